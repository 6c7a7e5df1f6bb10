//! Servers that are killed, frozen or full: each test has servers of its own.

use std::time::{Duration, Instant};

use anyhow::Result;
use orderly_chaos::drills::recovery::{broker_killed, database_killed};
use orderly_devstack::{Disk, Insight, Nodes, SERVICES, TestBed};
use orderly_e2e::{Message, System, eventually};

use crate::support::{
    IMPATIENT, all_ready, expect_all_confirmed, metric, metric_reaches, orderly, orders, stock_up,
    unready, worker,
};

/// How many orders are on their way when a server is killed.
const ORDERS: usize = 300;
/// How long a worker may take to stop.
const LIMIT: Duration = Duration::from_secs(10);

/// What is killed.
#[derive(Debug, Clone, Copy)]
enum Server {
    Broker,
    Database,
}

fn placed(round: usize) -> Vec<Message> {
    orders(&format!("r{round}"), ORDERS)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_servers_come_back_and_work_goes_on_within_moments() -> Result<()> {
    let mut nodes = tokio::task::block_in_place(Nodes::start)?;
    let mut system = System::start_on(nodes.endpoints()).await?;
    stock_up(&system).await?;
    let mut rounds = 0;
    // Another process may have had the processor: the best of three counts.
    for (server, bound) in [(Server::Broker, 2), (Server::Database, 1)] {
        let bound = Duration::from_secs(bound);
        for attempt in 1..=3 {
            let round = rounds;
            rounds += 1;
            let recovery = match server {
                Server::Broker => broker_killed(&mut nodes, &mut system, round, ORDERS).await?,
                Server::Database => database_killed(&mut nodes, &mut system, round, ORDERS).await?,
            };
            println!("{server:?}: {recovery:?}");
            if recovery.first_effect <= bound {
                break;
            }
            assert!(attempt < 3, "{server:?}: {recovery:?}");
        }
    }
    let all: Vec<_> = (0..rounds).flat_map(placed).collect();
    expect_all_confirmed(&mut system, &all).await
}

/// Lets an alarm go off before the order worker has something to publish, until it is over.
async fn alarm(
    nodes: &Nodes,
    system: &mut System,
    name: &str,
    [on, off]: [&str; 2],
) -> Result<Vec<Message>> {
    let placed = orders(name, 100);
    orderly(system, &["pause", "order"])?;
    metric_reaches(system, "order", "orderly_paused", 1.0).await?;
    system.client.publish(placed.clone()).await?;
    tokio::task::block_in_place(|| nodes.rabbitmqctl(&[name, on]))?;
    let order = worker(system, "order")?;
    let published = metric(order, "orderly_published_total", "")?;
    let sessions = metric(order, "orderly_sessions_total", "")?;
    orderly(system, &["resume", "order"])?;
    unready(system, "order", "the broker blocks publishers: memory or disk alarm").await?;
    let order = worker(system, "order")?;
    assert_eq!(metric(order, "orderly_broker_blocked", "")?, 1.0);
    assert_eq!(metric(order, "orderly_published_total", "")?, published, "it got through");
    tokio::task::block_in_place(|| nodes.rabbitmqctl(&[name, off]))?;
    metric_reaches(system, "order", "orderly_broker_blocked", 0.0).await?;
    all_ready(system).await?;
    let order = worker(system, "order")?;
    assert_eq!(metric(order, "orderly_sessions_total", "")?, sessions, "it began anew");
    Ok(placed)
}

/// How long until every worker says that this is in trouble.
async fn noticed(system: &mut System, word: &str) -> Result<Duration> {
    let began = Instant::now();
    for service in SERVICES {
        unready(system, service, word).await?;
    }
    Ok(began.elapsed())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn alarms_and_frozen_servers_are_told_and_outlived() -> Result<()> {
    let mut nodes = tokio::task::block_in_place(Nodes::start)?;
    let mut system = System::prepare(TestBed::on(nodes.endpoints())?, &IMPATIENT).await?;
    let url = format!("{}?heartbeat=2", system.bed().amqp_url());
    system.set(&[("ORDERLY_BROKER_URL", &url)]);
    system.start_workers()?;
    stock_up(&system).await?;

    let memory = ["0.00001", "0.4"];
    let mut all = alarm(&nodes, &mut system, "set_vm_memory_high_watermark", memory).await?;
    let disk = ["100000GB", "50MB"];
    all.extend(alarm(&nodes, &mut system, "set_disk_free_limit", disk).await?);
    system.databases.settled(all.len() as i64).await?;

    nodes.freeze_broker()?;
    let broker_noticed = noticed(&mut system, "broker: ").await?;
    // To connect has a limit of its own.
    unready(&mut system, "order", "within 5s").await?;
    nodes.thaw_broker()?;
    all_ready(&mut system).await?;
    system.reconnect().await?;

    let more = orders("cold", 100);
    system.client.publish(more.clone()).await?;
    all.extend(more);
    nodes.freeze_database()?;
    let database_noticed = noticed(&mut system, "database: ").await?;
    nodes.thaw_database()?;
    all_ready(&mut system).await?;
    expect_all_confirmed(&mut system, &all).await?;
    println!(
        "frozen: broker noticed after {broker_noticed:?}, database after {database_noticed:?}"
    );
    assert!(broker_noticed < Duration::from_secs(5), "two heartbeats are four seconds");

    all.extend(keep_too_long(&nodes, &mut system).await?);
    expect_all_confirmed(&mut system, &all).await?;
    all_ready(&mut system).await
}

/// Lets a worker sleep with deliveries in hand until the broker closes its channel. The orders
/// that it has slept over.
async fn keep_too_long(nodes: &Nodes, system: &mut System) -> Result<Vec<Message>> {
    // As it is after half an hour in production. It holds for channels made from now on.
    let impatience = "application:set_env(rabbit, consumer_timeout, 2000),
                      application:set_env(rabbit, channel_tick_interval, 500).";
    tokio::task::block_in_place(|| nodes.rabbitmqctl(&["eval", impatience]))?;
    let payment = system.workers().iter().position(|it| it.process.name().contains("payment"));
    system.workers().remove(payment.unwrap_or_default()).process.terminate(LIMIT)?;
    // Else the broker would miss its heartbeats first.
    let url = format!("{}?heartbeat=60", system.bed().amqp_url());
    system.set(&[("ORDERLY_BROKER_URL", &url)]);
    system.start_worker("payment")?;
    worker(system, "payment")?.process.signal("STOP")?;
    let kept = orders("kept", 20);
    system.client.publish(kept.clone()).await?;
    let log = nodes.folder().join("broker.log");
    eventually("the broker to close the channel", async || {
        Ok(std::fs::read_to_string(&log)?.contains("has timed out").then_some(()))
    })
    .await?;
    let payment = worker(system, "payment")?;
    payment.process.signal("CONT")?;
    eventually("the worker to see that", async || {
        Ok(payment.process.output().contains("PRECONDITION_FAILED").then_some(()))
    })
    .await?;
    Ok(kept)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_stops_work_and_room_on_it_starts_it_again() -> Result<()> {
    let nodes =
        tokio::task::block_in_place(|| Nodes::start_with(Disk::Small(160 << 20), Insight::Usual))?;
    let mut system = System::start_on(nodes.endpoints()).await?;
    stock_up(&system).await?;
    let mut all = orders("roomy", 50);
    system.client.publish(all.clone()).await?;
    system.databases.settled(50).await?;
    nodes.fill_database_disk()?;
    let more = orders("full", 400);
    system.client.publish(more.clone()).await?;
    all.extend(more);
    let said = unready(&mut system, "order", "53100").await?;
    assert!(said.contains("No space left on device"), "{said}");
    nodes.free_database_disk()?;
    expect_all_confirmed(&mut system, &all).await?;
    all_ready(&mut system).await
}

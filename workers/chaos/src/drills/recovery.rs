//! How soon work goes on after a server was killed: measured from its first word to the first effect.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use orderly_devstack::{Nodes, Worker};
use orderly_e2e::{Databases, System, eventually, place};

/// How often a condition is looked at: what is measured is late by so much at most.
const PERIOD: Duration = Duration::from_millis(5);
/// The article that all orders of a drill are for.
const ARTICLE: &str = "lamp";

/// What was measured.
#[derive(Debug, Clone, Copy)]
pub struct Recovery {
    /// From the kill until the last worker said that it was not ready.
    pub noticed: Duration,
    /// From the kill until the server took connections again.
    pub down: Duration,
    /// From then until the first message that had not been processed before was, and was committed.
    pub first_effect: Duration,
    /// From then until every worker was ready.
    pub ready: Duration,
}

/// Puts enough into the stock for any number of drills.
pub async fn stock_up(system: &System) -> Result<()> {
    system.client.stock_up(&[(ARTICLE, 10_000_000)]).await?;
    system.databases.item_reaches(ARTICLE, 10_000_000, 0).await
}

/// Kills RabbitMQ while `orders` orders, named after `round`, are on their way, and starts it again.
pub async fn broker_killed(
    nodes: &mut Nodes,
    system: &mut System,
    round: usize,
    orders: usize,
) -> Result<Recovery> {
    let databases = Databases::connect(system.environment()).await?;
    begin(system, round, orders).await?;
    let killed = Instant::now();
    tokio::task::block_in_place(|| nodes.kill_broker())?;
    let noticed = all_unready(system.workers(), killed).await?;
    let broker = &nodes.endpoints().broker;
    let address: SocketAddr = format!("{}:{}", broker.host, broker.amqp_port).parse()?;
    let greeted = Arc::new(OnceLock::new());
    let (greeting, seen) = (greeted.clone(), greeted);
    let greeting = tokio::task::spawn_blocking(move || until_greeted(address, &greeting));
    let watching = tokio::spawn(async move { first_effect(&databases, &seen).await });
    tokio::task::block_in_place(|| nodes.start_broker())?;
    let accepts = greeting.await??;
    let first = watching.await??;
    let ready = all_ready(system.workers(), accepts).await?;
    system.reconnect().await?;
    Ok(Recovery { noticed, down: accepts - killed, first_effect: first - accepts, ready })
}

/// Kills PostgreSQL while `orders` orders, named after `round`, are on their way, and starts it
/// again: it has to recover from its log.
pub async fn database_killed(
    nodes: &mut Nodes,
    system: &mut System,
    round: usize,
    orders: usize,
) -> Result<Recovery> {
    begin(system, round, orders).await?;
    let killed = Instant::now();
    tokio::task::block_in_place(|| nodes.kill_database())?;
    let noticed = all_unready(system.workers(), killed).await?;
    let environment = system.environment().clone();
    let watching = tokio::spawn(async move {
        let databases = loop {
            match Databases::connect(&environment).await {
                Ok(databases) => break databases,
                Err(_) => tokio::time::sleep(PERIOD).await,
            }
        };
        let accepts = Instant::now();
        anyhow::Ok((accepts, first_effect(&databases, &OnceLock::from(accepts)).await?))
    });
    tokio::task::block_in_place(|| nodes.start_database())?;
    let (accepts, first) = watching.await??;
    let ready = all_ready(system.workers(), accepts).await?;
    system.reconnect().await?;
    Ok(Recovery { noticed, down: accepts - killed, first_effect: first - accepts, ready })
}

/// Publishes orders, and returns when the workers are in the middle of them.
async fn begin(system: &mut System, round: usize, orders: usize) -> Result<()> {
    // Else they might be through before the last order is confirmed.
    for worker in system.workers() {
        worker.process.signal("STOP")?;
    }
    let orders = (0..orders).map(|n| place(&format!("r{round}-{n}"), ARTICLE, 1, "tok_visa"));
    let published = system.client.publish(orders).await;
    let before = processed(&system.databases).await?;
    for worker in system.workers() {
        worker.process.signal("CONT")?;
    }
    published?;
    eventually("the first of the orders to be taken", async || {
        Ok((processed(&system.databases).await? > before).then_some(()))
    })
    .await
}

async fn all_unready(workers: &[Worker], since: Instant) -> Result<Duration> {
    eventually("every worker to notice", async || {
        Ok((!workers.iter().any(Worker::is_ready)).then(|| since.elapsed()))
    })
    .await
}

async fn all_ready(workers: &[Worker], since: Instant) -> Result<Duration> {
    eventually("every worker to be ready", async || {
        Ok(workers.iter().all(Worker::is_ready).then(|| since.elapsed()))
    })
    .await
}

/// When RabbitMQ first answers a client's greeting. Its port is open a moment earlier.
fn until_greeted(address: SocketAddr, greeted: &OnceLock<Instant>) -> Result<Instant> {
    let deadline = Instant::now() + Duration::from_secs(60);
    let greet = || -> std::io::Result<()> {
        let mut stream = TcpStream::connect_timeout(&address, PERIOD)?;
        stream.set_read_timeout(Some(Duration::from_secs(1)))?;
        stream.write_all(b"AMQP\0\0\x09\x01")?;
        stream.read_exact(&mut [0])
    };
    while greet().is_err() {
        ensure!(Instant::now() < deadline, "RabbitMQ takes no connections");
        std::thread::sleep(PERIOD);
    }
    Ok(*greeted.get_or_init(Instant::now))
}

/// When the first message was processed after `accepts` was set. What was processed until then
/// does not count.
async fn first_effect(databases: &Databases, accepts: &OnceLock<Instant>) -> Result<Instant> {
    let deadline = Instant::now() + Duration::from_secs(90);
    let mut before = processed(databases).await?;
    loop {
        let count = processed(databases).await?;
        if accepts.get().is_none() {
            before = count;
        } else if count > before {
            return Ok(Instant::now());
        }
        ensure!(Instant::now() < deadline, "nothing was processed after {before} messages");
        tokio::time::sleep(PERIOD).await;
    }
}

async fn processed(databases: &Databases) -> Result<i64> {
    let mut sum = 0;
    for database in [&databases.order, &databases.stock, &databases.payment] {
        let row = database.query_one("SELECT count(*) FROM inbox", &[]).await?;
        sum += row.get::<_, i64>(0);
    }
    Ok(sum)
}

//! RabbitMQ with something missing, full or forbidden, in a virtual host of the test's own.

use anyhow::{Context, Result};
use orderly_contracts::routes::{COMMANDS, STOCK_COMMANDS};
use orderly_e2e::{System, eventually};
use serde_json::json;

use crate::support::{
    all_ready, expect_all_confirmed, metric, orderly, orders, system, unready, worker,
};

/// The path of something in the test's virtual host in the management API.
fn path(system: &System, kind: &str, rest: &str) -> String {
    format!("/api/{kind}/{}/{rest}", system.bed().vhost())
}

/// Closes every connection of the workers, as `rabbitmqctl close_all_connections` does.
fn close_connections(system: &System) -> Result<usize> {
    let endpoints = system.bed().endpoints();
    let all = endpoints.management_get(&path(system, "vhosts", "connections"))?;
    let all = all.as_array().context("a list of connections")?;
    let ours = all.iter().filter(|connection| {
        let name = connection["user_provided_name"].as_str();
        name.is_some_and(|name| name.starts_with("orderly-"))
    });
    let names: Vec<String> =
        ours.filter_map(|one| one["name"].as_str()).map(|name| name.replace(' ', "%20")).collect();
    // One that has ended meanwhile can't be closed.
    let close = |name: &String| {
        let path = format!("/api/connections/{}", name.replace('>', "%3E"));
        endpoints.management_delete(&path).is_ok()
    };
    Ok(names.iter().filter(|name| close(name)).count())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_closed_under_load_lose_and_double_nothing() -> Result<()> {
    let mut system = system(&[]).await?;
    let mut all = Vec::new();
    for round in 0..2 {
        let some = orders(&format!("closed{round}"), 200);
        system.client.publish(some.clone()).await?;
        all.extend(some);
        // A connection is known to the management a moment after it is made.
        let mut closed = 0;
        eventually("all connections to be closed", async || {
            closed += close_connections(&system)?;
            Ok((closed >= 6).then_some(()))
        })
        .await?;
    }
    expect_all_confirmed(&mut system, &all).await?;
    all_ready(&mut system).await?;
    for worker in system.workers() {
        let sessions = metric(worker, "orderly_sessions_total", "")?;
        assert!(sessions > 1.0, "{}: {sessions} sessions", worker.process);
        assert!(worker.process.output().contains("CONNECTION_FORCED"), "{}", worker.process);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deleted_queue_is_told_and_what_was_in_it_is_asked_for_again() -> Result<()> {
    let mut system = system(&[]).await?;
    let endpoints = system.bed().endpoints().clone();
    let queue = path(&system, "queues", STOCK_COMMANDS);
    let mut all = orders("inside", 20);
    worker(&mut system, "stock")?.process.signal("STOP")?;
    system.client.publish(all.clone()).await?;
    eventually("all of them to be asked for", async || {
        let sql = "SELECT count(*) FROM timers WHERE step = 'reserve'";
        let asked: i64 = system.databases.order.query_one(sql, &[]).await?.get(0);
        let sql = "SELECT count(*) FROM batches WHERE NOT sent";
        let unsent: i64 = system.databases.order.query_one(sql, &[]).await?.get(0);
        Ok((asked == 20 && unsent == 0).then_some(()))
    })
    .await?;
    endpoints.management_delete(&queue)?;
    worker(&mut system, "stock")?.process.signal("CONT")?;
    let said = unready(&mut system, "stock", "orderly setup").await?;
    assert!(said.contains(&format!("queue {STOCK_COMMANDS}")), "{said}");
    // What comes now has nowhere to go, and stays with the order worker, which says so.
    let more = orders("outside", 20);
    system.client.publish(more.clone()).await?;
    all.extend(more);
    let said = unready(&mut system, "order", "no queue is bound").await?;
    assert!(said.contains("orderly setup"), "{said}");
    assert!(endpoints.management_get(&queue).is_err(), "a worker has made a queue");

    orderly(&system, &["setup"])?;
    all_ready(&mut system).await?;
    let sql = "UPDATE timers SET due_at = now() WHERE owner LIKE 'inside-%'";
    system.databases.order.execute(sql, &[]).await?;
    expect_all_confirmed(&mut system, &all).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_missing_binding_or_exchange_is_told_and_outputs_wait_for_it() -> Result<()> {
    let mut system = system(&[]).await?;
    let endpoints = system.bed().endpoints().clone();
    let key = "stock.reserve.v1";
    let binding = format!("e/{COMMANDS}/q/{STOCK_COMMANDS}/{key}");
    let mut all = orders("unbound", 50);
    endpoints.management_delete(&path(&system, "bindings", &binding))?;
    system.client.publish(all.clone()).await?;
    unready(&mut system, "order", "no queue is bound").await?;
    orderly(&system, &["setup"])?;
    expect_all_confirmed(&mut system, &all).await?;

    let more = orders("nowhere", 50);
    worker(&mut system, "order")?.process.signal("STOP")?;
    system.client.publish(more.clone()).await?;
    all.extend(more);
    endpoints.management_delete(&path(&system, "exchanges", COMMANDS))?;
    worker(&mut system, "order")?.process.signal("CONT")?;
    let said = unready(&mut system, "order", COMMANDS).await?;
    assert!(said.contains("NOT_FOUND") || said.contains("not found"), "{said}");
    orderly(&system, &["setup"])?;
    all_ready(&mut system).await?;
    system.reconnect().await?;
    expect_all_confirmed(&mut system, &all).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_refuses_and_outputs_wait_until_it_has_room() -> Result<()> {
    let mut system = system(&[]).await?;
    let endpoints = system.bed().endpoints().clone();
    let stock = system.workers().iter().position(|it| it.process.name().contains("stock"));
    let mut stock = system.workers().remove(stock.context("a stock worker")?);
    stock.process.terminate(std::time::Duration::from_secs(10))?;
    let policy = path(&system, "policies", "short");
    let short = json!({ "pattern": "^stock\\.commands$", "apply-to": "queues",
                        "definition": { "max-length": 3 } });
    endpoints.management_put(&policy, &short)?;
    let mut all = Vec::new();
    // What is published at once is taken at once: only then is the queue known to be full.
    let said = eventually("the order worker to be refused", async || {
        let some = orders(&format!("full{}", all.len()), 5);
        system.client.publish(some.clone()).await?;
        all.extend(some);
        let said = worker(&mut system, "order")?.readiness()?;
        Ok(said.contains("a queue may be full").then_some(said))
    })
    .await?;
    assert!(said.contains("\"ready\":false"), "{said}");
    endpoints.management_delete(&policy)?;
    system.start_worker("stock")?;
    expect_all_confirmed(&mut system, &all).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_rights_a_worker_is_not_ready_and_messages_stay() -> Result<()> {
    let mut system = system(&[]).await?;
    let endpoints = system.bed().endpoints().clone();
    let all = orders("forbidden", 50);
    worker(&mut system, "order")?.process.signal("STOP")?;
    system.client.publish(all.clone()).await?;
    let rights = path(&system, "permissions", &endpoints.broker.user);
    let nothing = json!({ "configure": "^$", "write": "^$", "read": "^$" });
    endpoints.management_put(&rights, &nothing)?;
    let mut closed = 0;
    eventually("all connections to be closed", async || {
        closed += close_connections(&system)?;
        Ok((closed >= 6).then_some(()))
    })
    .await?;
    worker(&mut system, "order")?.process.signal("CONT")?;
    for service in orderly_devstack::SERVICES {
        unready(&mut system, service, "ACCESS_REFUSED").await?;
    }
    endpoints.create_vhost(system.bed().vhost())?;
    all_ready(&mut system).await?;
    system.reconnect().await?;
    expect_all_confirmed(&mut system, &all).await
}

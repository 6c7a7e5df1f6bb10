//! Replicas, repetitions and restarts: nothing is lost and nothing happens twice.

use std::collections::BTreeMap;

use anyhow::Result;
use orderly_devstack::Nodes;
use orderly_e2e::{Message, System, eventually, place};
use orderly_runtime::message::Properties;
use tokio_postgres::Client;

/// Orders over a few articles, of which some are declined; the stock is enough for all.
fn orders(count: usize) -> Vec<Message> {
    (0..count)
        .map(|n| {
            let token = if n % 10 == 0 { "tok_decline" } else { "tok_visa" };
            place(&format!("o{n}"), &format!("article-{}", n % 7), 1 + (n % 3) as i64, token)
        })
        .collect()
}

async fn stock_up(system: &System) -> Result<()> {
    let names: Vec<String> = (0..7).map(|n| format!("article-{n}")).collect();
    let articles: Vec<(&str, i64)> = names.iter().map(|name| (name.as_str(), 10_000)).collect();
    system.client.stock_up(&articles).await?;
    for name in &names {
        system.databases.item_reaches(name, 10_000, 0).await?;
    }
    Ok(())
}

/// How the orders above end.
fn outcomes(count: i64) -> BTreeMap<String, i64> {
    let declined = (count + 9) / 10;
    BTreeMap::from([("cancelled".to_owned(), declined), ("confirmed".to_owned(), count - declined)])
}

/// Waits until no reservation is open any more: the commits follow the confirmations.
async fn committed(system: &System) -> Result<()> {
    eventually("all reservations to be settled", async || {
        let sql = "SELECT count(*) FROM reservations WHERE status = 'reserved'";
        let open: i64 = system.databases.stock.query_one(sql, &[]).await?.get(0);
        Ok((open == 0).then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn two_replicas_of_each_worker_share_the_work() -> Result<()> {
    let mut system = System::start().await?;
    system.start_workers()?;
    stock_up(&system).await?;
    system.client.publish(orders(1_000)).await?;
    assert_eq!(system.databases.settled(1_000).await?, outcomes(1_000));
    committed(&system).await?;
    system.expect_clean_audit()?;
    system.databases.expect_conserved().await
}

/// Everything that a worker has published and somebody here consumes, as it was published.
async fn published(database: &Client) -> Result<Vec<Message>> {
    let sql = "SELECT output->>'exchange', output->>'routing_key', output->>'properties',
                      output->>'body'
               FROM batches, json_array_elements(outputs::json) AS output
               WHERE (output->>'mandatory')::boolean";
    let rows = database.query(sql, &[]).await?;
    rows.iter()
        .map(|row| {
            let properties: Properties = serde_json::from_str(row.get(2))?;
            let body: String = row.get(3);
            Ok(Message {
                exchange: row.get(0),
                routing_key: row.get(1),
                properties,
                body: body.into_bytes(),
            })
        })
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_message_again_after_the_inbox_forgot_it_changes_nothing() -> Result<()> {
    let system = System::start().await?;
    stock_up(&system).await?;
    let mut all = orders(100);
    system.client.publish(all.clone()).await?;
    system.databases.settled(100).await?;
    committed(&system).await?;

    let databases = &system.databases;
    let services = [&databases.order, &databases.stock, &databases.payment];
    let snapshot = async || -> Result<Vec<String>> {
        let mut rows = Vec::new();
        for (database, sql) in [
            (&databases.order, "SELECT order_id, status, version FROM orders"),
            (&databases.stock, "SELECT sku, on_hand, reserved FROM items"),
            (&databases.stock, "SELECT order_id, status FROM reservations"),
            (
                &databases.stock,
                "SELECT operation, count(*), sum(pieces) FROM stock_ledger GROUP BY 1",
            ),
            (&databases.payment, "SELECT order_id, status, amount FROM payments"),
            (
                &databases.payment,
                "SELECT operation, count(*), sum(amount) FROM payment_ledger GROUP BY 1",
            ),
        ] {
            let sql = format!("SELECT r::text FROM ({sql}) r ORDER BY 1");
            rows.extend(database.query(&sql, &[]).await?.iter().map(|row| row.get::<_, String>(0)));
        }
        Ok(rows)
    };
    let before = snapshot().await?;
    for database in services {
        all.extend(published(database).await?);
        database.batch_execute("TRUNCATE inbox, batches").await?;
    }
    // A confirmed order takes five messages after its own, a declined one six: none is left out.
    assert_eq!(all.len(), 100 + 90 * 5 + 10 * 6);
    let expected = all.len() as i64;
    system.client.publish(all).await?;
    eventually("every message to be processed again", async || {
        let mut inboxes = 0;
        for database in services {
            let sql = "SELECT count(*) FROM inbox WHERE source <> 'timer'";
            inboxes += database.query_one(sql, &[]).await?.get::<_, i64>(0);
        }
        Ok((inboxes >= expected).then_some(()))
    })
    .await?;
    committed(&system).await?;
    assert_eq!(snapshot().await?, before);
    system.databases.expect_conserved().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_broker_and_a_database_restart_in_the_middle_lose_and_double_nothing() -> Result<()> {
    let mut nodes = tokio::task::block_in_place(Nodes::start)?;
    let mut system = System::start_on(nodes.endpoints()).await?;
    stock_up(&system).await?;
    let some_progress = async |system: &System, least: i64| {
        eventually(&format!("{least} orders to end"), async || {
            let outcomes = system.databases.outcomes().await?;
            let ended = ["confirmed", "cancelled"].iter().filter_map(|s| outcomes.get(*s));
            Ok((ended.sum::<i64>() >= least).then_some(()))
        })
        .await
    };
    system.client.publish(orders(1_000)).await?;
    some_progress(&system, 50).await?;
    tokio::task::block_in_place(|| nodes.restart_broker())?;
    some_progress(&system, 200).await?;
    tokio::task::block_in_place(|| nodes.restart_database())?;
    system.reconnect().await?;
    assert_eq!(system.databases.settled(1_000).await?, outcomes(1_000));
    committed(&system).await?;
    system.databases.expect_conserved().await?;
    system.expect_clean_audit()?;
    for worker in system.workers() {
        worker.wait_ready()?;
        let status = worker.process.terminate(std::time::Duration::from_secs(10))?;
        assert!(status.success(), "stops cleanly after the restarts: {status}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_under_load_ends_cleanly_and_the_next_worker_goes_on() -> Result<()> {
    let mut system = System::start().await?;
    stock_up(&system).await?;
    system.client.publish(orders(600)).await?;
    for service in ["order", "stock", "payment"] {
        let position = system.workers().iter().position(|w| w.process.name().contains(service));
        let worker = &mut system.workers()[position.unwrap_or_default()];
        let status = worker.process.terminate(std::time::Duration::from_secs(5))?;
        assert!(status.success(), "{service}: {status}");
        system.workers().remove(position.unwrap_or_default());
        system.start_worker(service)?;
    }
    assert_eq!(system.databases.settled(600).await?, outcomes(600));
    committed(&system).await?;
    system.expect_clean_audit()?;
    system.databases.expect_conserved().await
}

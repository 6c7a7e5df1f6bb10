//! Waiting well: deadlines, retries, and what a crash leaves behind.

use anyhow::Result;
use orderly_devstack::TestBed;
use orderly_e2e::{Message, System, eventually, place};
use serde_json::json;

/// An order's deadline: its step, its round, and whether it is due.
async fn deadline(system: &System, order: &str) -> Result<Option<(String, i32, bool)>> {
    let sql = "SELECT step, round, due_at <= now() FROM timers WHERE owner = $1";
    let row = system.databases.order.query_opt(sql, &[&order]).await?;
    Ok(row.map(|row| (row.get(0), row.get(1), row.get(2))))
}

/// Moves an order's deadline to now, as an operator may.
async fn fall_due(system: &System, order: &str) -> Result<()> {
    let sql = "UPDATE timers SET due_at = now() WHERE owner = $1";
    assert_eq!(system.databases.order.execute(sql, &[&order]).await?, 1);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadline_asks_again_and_freezes_while_nobody_can_answer() -> Result<()> {
    let mut system = System::start().await?;
    system.client.stock_up(&[("lamp", 10)]).await?;
    system.databases.item_reaches("lamp", 10, 0).await?;

    // The provider never answers, so the order waits for its charge.
    system.client.publish([place("waiting", "lamp", 1, "tok_error")]).await?;
    system.databases.reaches("waiting", "reserved").await?;
    assert_eq!(deadline(&system, "waiting").await?, Some(("charge".to_owned(), 0, false)));
    fall_due(&system, "waiting").await?;
    eventually("the charge to be asked for again", async || {
        Ok(deadline(&system, "waiting").await?.filter(|(_, round, is_due)| *round == 1 && !is_due))
    })
    .await?;

    // Without a stock worker, the deadline of a reservation is put off and counts no round.
    let stock = system.workers().iter().position(|w| w.process.name().contains("stock"));
    let mut worker = system.workers().remove(stock.unwrap_or_default());
    worker.process.terminate(std::time::Duration::from_secs(10))?;
    system.client.publish([place("frozen", "lamp", 1, "tok_visa")]).await?;
    system.databases.reaches("frozen", "pending").await?;
    fall_due(&system, "frozen").await?;
    eventually("the deadline to be put off", async || {
        Ok(deadline(&system, "frozen").await?.filter(|(_, _, is_due)| !is_due))
    })
    .await?;
    assert_eq!(deadline(&system, "frozen").await?, Some(("reserve".to_owned(), 0, false)));
    system.start_worker("stock")?;
    system.databases.reaches("frozen", "confirmed").await?;
    assert_eq!(deadline(&system, "frozen").await?, None);
    system.expect_clean_audit()?;
    system.databases.expect_conserved().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_meets_a_lock_waits_in_the_ladder_and_succeeds_later() -> Result<()> {
    let settings =
        [("ORDERLY_STATEMENT_TIMEOUT_MS", "100"), ("ORDERLY_RETRY_DELAYS_MS", "300,600,1200,2400")];
    let mut system = System::prepare(TestBed::new()?, &settings).await?;
    system.start_workers()?;
    system.client.stock_up(&[("lamp", 10), ("mug", 10)]).await?;
    system.databases.item_reaches("lamp", 10, 0).await?;
    system.databases.item_reaches("mug", 10, 0).await?;
    let stock = &system.databases.stock;
    stock.batch_execute("BEGIN; SELECT 1 FROM items WHERE sku = 'lamp' FOR UPDATE").await?;
    system
        .client
        .publish([place("locked", "lamp", 1, "tok_visa"), place("free", "mug", 1, "tok_visa")])
        .await?;
    // The neighbour in the same batch does not wait for the lock.
    system.databases.reaches("free", "confirmed").await?;
    let ladder: Vec<String> = orderly_runtime::topology::queues(
        orderly_contracts::routes::Party::Stock,
        &system.ladder()?,
    )
    .into_iter()
    .map(|queue| queue.name)
    .filter(|name| name.contains(".retry."))
    .collect();
    eventually("the message to be in the ladder", async || {
        for queue in &ladder {
            if system.client.ready(queue).await? > 0 {
                return Ok(Some(()));
            }
        }
        Ok(None)
    })
    .await?;
    assert_eq!(system.databases.order("locked").await?, Some(("pending".to_owned(), None)));
    stock.batch_execute("ROLLBACK").await?;
    system.databases.reaches("locked", "confirmed").await?;
    assert!(system.databases.letters(stock).await?.is_empty());
    system.expect_clean_audit()?;
    system.databases.expect_conserved().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_never_noted_as_sent_is_swept_and_changes_nothing() -> Result<()> {
    let settings = [("ORDERLY_SWEEP_AFTER_MS", "300")];
    let mut system = System::prepare(TestBed::new()?, &settings).await?;
    system.start_workers()?;
    system.client.stock_up(&[("lamp", 100)]).await?;
    system.databases.item_reaches("lamp", 100, 0).await?;
    let orders = (0..50).map(|n| place(&format!("o{n}"), "lamp", 1, "tok_visa"));
    system.client.publish(orders).await?;
    system.databases.settled(50).await?;
    system.databases.item_reaches("lamp", 50, 0).await?;

    let databases = &system.databases;
    let services = [&databases.order, &databases.stock, &databases.payment];
    for database in services {
        // As if every worker had died between its commit and the first publish.
        let sql = "UPDATE batches SET sent = false, at = now() - interval '1 hour'";
        assert!(database.execute(sql, &[]).await? > 0);
    }
    for database in services {
        eventually("the sweep", async || {
            let sql = "SELECT count(*) FROM batches WHERE NOT sent";
            let left: i64 = database.query_one(sql, &[]).await?.get(0);
            Ok((left == 0).then_some(()))
        })
        .await?;
    }
    // A last order behind all duplicates: once it is through, they are, too.
    system.client.publish([place("last", "lamp", 1, "tok_visa")]).await?;
    databases.reaches("last", "confirmed").await?;
    databases.item_reaches("lamp", 49, 0).await?;
    assert_eq!(databases.outcomes().await?["confirmed"], 51);
    system.expect_clean_audit()?;
    databases.expect_conserved().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_of_services_and_gifts_need_no_stock_and_no_charge() -> Result<()> {
    let system = System::start().await?;
    system.client.stock_up(&[("lamp", 5)]).await?;
    system.databases.item_reaches("lamp", 5, 0).await?;
    let order = |id: &str, lines: serde_json::Value| {
        let body = json!({ "order_id": id, "lines": lines, "currency": "EUR",
                           "payment_token": "tok_visa" });
        Message::new("order.place.v1", id, &body)
    };
    let postage = json!({ "sku": "POST", "quantity": 1, "unit_price": 1800, "service": true });
    let gift = json!({ "sku": "lamp", "quantity": 2, "unit_price": 0 });
    let free_service = json!({ "sku": "M", "quantity": 1, "unit_price": 0, "service": true });
    system
        .client
        .publish([
            order("postage", json!([postage])),
            order("gift", json!([gift])),
            order("nothing", json!([free_service])),
            order("both", json!([gift, postage])),
        ])
        .await?;
    let outcomes = system.databases.settled(4).await?;
    assert_eq!(outcomes["confirmed"], 4);
    system.databases.item_reaches("lamp", 1, 0).await?;
    assert_eq!(system.databases.money("postage").await?, (1800, 0));
    assert_eq!(system.databases.money("gift").await?, (0, 0));
    assert_eq!(system.databases.money("both").await?, (1800, 0));
    system.expect_clean_audit()?;
    system.databases.expect_conserved().await
}

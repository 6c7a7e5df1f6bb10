//! Dead letters that can't be handed over, and more of them than of anything else.

use anyhow::Result;
use orderly_contracts::routes::ORDER_NEW;
use orderly_devstack::TestBed;
use orderly_e2e::{Message, System, eventually, place};
use orderly_runtime::amqp::declare::declare;
use serde_json::json;

/// Every dead letter of the order worker, and the number of messages that wait for it.
async fn filed(system: &System) -> Result<i64> {
    let sql = "SELECT count(*) FROM dead_letters";
    Ok(system.databases.order.query_one(sql, &[]).await?.get(0))
}

/// Waits until the order worker is unready and has said `word`.
async fn said(system: &System, word: &str) -> Result<()> {
    let order = &system.running()[0];
    eventually(&format!("the worker to say {word:?}"), async || {
        Ok((!order.is_ready() && order.process.output().contains(word)).then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_whose_letter_goes_nowhere_stays_in_its_queue_until_it_does() -> Result<()> {
    a_letter_goes_nowhere(|vhost| {
        format!("/api/bindings/{vhost}/e/orderly.dead/q/order.dead/{ORDER_NEW}")
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_whose_letter_has_no_queue_stays_in_its_own_until_there_is_one() -> Result<()> {
    a_letter_goes_nowhere(|vhost| format!("/api/queues/{vhost}/order.dead")).await
}

/// Deletes on the management API what lies at `path` of a virtual host. A system of its own for each: what a worker
/// has done but not yet acknowledged comes back as well when its session ends, and nothing else must lie in the queue.
async fn a_letter_goes_nowhere(path: impl Fn(&str) -> String) -> Result<()> {
    let system = System::start().await?;
    system.client.stock_up(&[("lamp", 10)]).await?;
    system.databases.item_reaches("lamp", 10, 0).await?;
    let fault = path(system.bed().vhost());
    tokio::task::block_in_place(|| system.bed().endpoints().management_delete(&fault))?;
    let bad = Message::raw("order.place.v1", "bad", "nonsense");
    system.client.publish([bad]).await?;
    said(&system, "orderly setup").await?;
    eventually("the message to be back in its queue", async || {
        Ok((system.client.ready(ORDER_NEW).await? == 1).then_some(()))
    })
    .await?;
    assert_eq!(filed(&system).await?, 0);

    declare(system.client.broker(), &system.ladder()?).await?;
    system.client.publish([place("good", "lamp", 1, "tok_visa")]).await?;
    system.databases.reaches("good", "confirmed").await?;
    eventually("the letter", async || Ok((filed(&system).await? == 1).then_some(()))).await?;
    assert_eq!(system.client.waiting().await?, 0);
    let letters = system.databases.letters(&system.databases.order).await?;
    assert!(letters.values().all(|(reason, _)| reason == "invalid_json"), "{letters:?}");
    system.expect_clean_audit().map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_queue_of_dead_letters_takes_the_rest_once_there_is_room() -> Result<()> {
    const BAD: usize = 3_000;
    let settings = [("ORDERLY_STATEMENT_TIMEOUT_MS", "120000"), ("ORDERLY_LOG", "warn")];
    let mut system = System::prepare(TestBed::new()?, &settings).await?;
    system.start_workers()?;
    // Letters can't be filed, so those that the drain may hold it holds, and the others fill the queue.
    let lock = "BEGIN; LOCK TABLE dead_letters IN ACCESS EXCLUSIVE MODE";
    system.databases.order.batch_execute(lock).await?;
    let policy = format!("/api/policies/{}/full", system.bed().vhost());
    let full = json!({ "pattern": "^order\\.dead$", "apply-to": "queues",
                       "definition": { "max-length": 50, "overflow": "reject-publish" } });
    tokio::task::block_in_place(|| system.bed().endpoints().management_put(&policy, &full))?;
    let bad = (0..BAD).map(|n| Message::raw("order.place.v1", &format!("bad-{n}"), "nonsense"));
    system.client.publish(bad).await?;
    said(&system, "a queue may be full").await?;
    eventually("what was refused to be back in its queue", async || {
        Ok((system.client.ready(ORDER_NEW).await? > 0).then_some(()))
    })
    .await?;

    tokio::task::block_in_place(|| system.bed().endpoints().management_delete(&policy))?;
    system.databases.order.batch_execute("ROLLBACK").await?;
    eventually("every letter to be filed", async || {
        Ok((filed(&system).await? == BAD as i64).then_some(()))
    })
    .await?;
    system.client.stock_up(&[("lamp", 10)]).await?;
    system.client.publish([place("good", "lamp", 1, "tok_visa")]).await?;
    system.databases.reaches("good", "confirmed").await?;
    assert_eq!(system.client.waiting().await?, 0);
    system.expect_clean_audit().map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_flood_of_nothing_but_poison_is_filed_while_orders_go_through() -> Result<()> {
    const FLOOD: usize = 6_000;
    let system = System::start().await?;
    system.client.stock_up(&[("lamp", 100)]).await?;
    system.databases.item_reaches("lamp", 100, 0).await?;
    let poison = |n: usize| Message::raw("order.place.v1", &format!("bad-{n}"), "nonsense");
    system.client.publish((0..FLOOD / 2).map(poison)).await?;
    // In the middle of it, and behind half of it in the same queue.
    let orders = (0..50).map(|n| place(&format!("o{n}"), "lamp", 1, "tok_visa"));
    system.client.publish(orders).await?;
    system.client.publish((FLOOD / 2..FLOOD).map(poison)).await?;
    assert_eq!(system.databases.settled(50).await?["confirmed"], 50);
    eventually("every letter to be filed", async || {
        let sql = "SELECT count(*) FROM dead_letters";
        let filed: i64 = system.databases.order.query_one(sql, &[]).await?.get(0);
        Ok((filed == FLOOD as i64).then_some(()))
    })
    .await?;
    for worker in system.running() {
        assert!((worker.metric("orderly_sessions_total")? - 1.0).abs() < 0.1, "it began anew");
        assert!(worker.metric("orderly_breaker_open")? < 0.1, "poison is no reason to pause");
        assert!(worker.is_ready());
    }
    let dead = system.running()[0].metric("orderly_dead_letters_total")?;
    assert!((dead - FLOOD as f64).abs() < 0.1, "{dead} are counted");
    system.expect_clean_audit()?;
    system.databases.expect_conserved().await
}

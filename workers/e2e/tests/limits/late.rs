//! Answers that come late, in another order, or never: nothing stays reserved, and no money is kept.

use std::time::Duration;

use anyhow::{Context, Result};
use orderly_contracts::routes::ORDER_ANSWERS;
use orderly_devstack::TestBed;
use orderly_e2e::{Message, System, eventually, place};
use serde_json::json;

fn cancel(order: &str) -> Message {
    Message::new("order.cancel.v1", &format!("cancel-{order}"), &json!({ "order_id": order }))
}

/// Ends the worker of a service in good order.
fn stop(system: &mut System, service: &str) -> Result<()> {
    let position = system.workers().iter().position(|w| w.process.name().contains(service));
    let mut worker = system.workers().remove(position.context("it runs")?);
    worker.process.terminate(Duration::from_secs(15)).map(drop)
}

async fn stocked(settings: &[(&str, &str)]) -> Result<System> {
    let mut system = System::prepare(TestBed::new()?, settings).await?;
    system.start_workers()?;
    system.client.stock_up(&[("lamp", 100)]).await?;
    system.databases.item_reaches("lamp", 100, 0).await?;
    Ok(system)
}

/// Waits until a payment is where the provider was asked and has not answered.
async fn asked(system: &System, order: &str) -> Result<()> {
    eventually(&format!("the provider to be asked about {order}"), async || {
        let sql = "SELECT 1 FROM payments WHERE order_id = $1 AND status = 'requested'";
        Ok(system.databases.payment.query_opt(sql, &[&order]).await?.map(|_| ()))
    })
    .await
}

async fn conserved(system: &System) -> Result<()> {
    system.databases.item_reaches("lamp", 100, 0).await?;
    system.expect_clean_audit()?;
    system.databases.expect_conserved().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_charge_that_succeeds_after_the_order_was_called_off_is_given_back() -> Result<()> {
    // Two attempts fail, so the provider approves some three seconds after it was first asked.
    let system = stocked(&[("ORDERLY_RETRY_DELAYS_MS", "1500,1500,1500")]).await?;
    system.client.publish([place("late", "lamp", 2, "tok_flaky_2")]).await?;
    asked(&system, "late").await?;
    system.client.publish([cancel("late")]).await?;
    system.databases.reaches("late", "cancelling").await?;
    assert_eq!(system.databases.money("late").await?, (0, 0), "the provider was too fast");
    system.databases.reaches("late", "cancelled").await?;
    assert_eq!(system.databases.money("late").await?, (500, 500));
    conserved(&system).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_charge_that_succeeds_after_the_deadline_is_given_back() -> Result<()> {
    let settings =
        [("ORDERLY_EFFECT_TIMEOUT_MS", "2000"), ("ORDERLY_RETRY_DELAYS_MS", "1500,1500,1500")];
    let system = stocked(&settings).await?;
    system.client.publish([place("late", "lamp", 2, "tok_hang_1")]).await?;
    asked(&system, "late").await?;
    // As if it had been asked for again and again for a day.
    let orders = &system.databases.order;
    let sql = "WITH o AS (UPDATE orders SET round = 200 WHERE order_id = 'late' RETURNING 1)
               UPDATE timers SET round = 200, due_at = now() WHERE owner = 'late'";
    assert_eq!(orders.execute(sql, &[]).await?, 1);
    system.databases.reaches("late", "cancelling").await?;
    assert_eq!(system.databases.money("late").await?, (0, 0), "the provider was too fast");
    system.databases.reaches("late", "cancelled").await?;
    let (_, reason) = system.databases.order("late").await?.context("it is there")?;
    assert_eq!(reason.as_deref(), Some("payment_timeout"));
    assert_eq!(system.databases.money("late").await?, (500, 500));
    conserved(&system).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_answer_that_is_lost_is_asked_for_again_by_the_same_id() -> Result<()> {
    let mut system = stocked(&[]).await?;
    // The order worker goes away, the stock answers, and its answer is lost with the queue's content.
    stop(&mut system, "payment")?;
    system.client.publish([place("lost", "lamp", 1, "tok_visa")]).await?;
    system.databases.reaches("lost", "reserved").await?;
    stop(&mut system, "order")?;
    system.start_worker("payment")?;
    eventually("the answer to wait", async || {
        Ok((system.client.ready(ORDER_ANSWERS).await? == 1).then_some(()))
    })
    .await?;
    let (bed, queue) = (system.bed(), ORDER_ANSWERS);
    let contents = format!("/api/queues/{}/{queue}/contents", bed.vhost());
    tokio::task::block_in_place(|| bed.endpoints().management_delete(&contents))?;
    assert_eq!(system.client.ready(ORDER_ANSWERS).await?, 0);
    assert_eq!(system.databases.money("lost").await?, (250, 0));
    let sql = "UPDATE timers SET due_at = now() WHERE owner = 'lost'";
    assert_eq!(system.databases.order.execute(sql, &[]).await?, 1);
    system.start_worker("order")?;
    system.databases.reaches("lost", "confirmed").await?;
    assert_eq!(system.databases.money("lost").await?, (250, 0), "charged once");
    system.databases.item_reaches("lamp", 99, 0).await?;
    system.expect_clean_audit()?;
    system.databases.expect_conserved().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_participant_that_is_dead_past_the_deadline_finds_its_order_called_off() -> Result<()> {
    let mut system = stocked(&[]).await?;
    stop(&mut system, "payment")?;
    let names: Vec<String> = (0..20).map(|n| format!("o{n}")).collect();
    system.client.publish(names.iter().map(|name| place(name, "lamp", 1, "tok_visa"))).await?;
    for name in &names {
        system.databases.reaches(name, "reserved").await?;
    }
    // A deadline stands still while nobody can answer; whoever waits may still call it off. Then
    // charges and refunds wait in two queues, and either may be found first.
    system.client.publish(names.iter().map(|name| cancel(name))).await?;
    for name in &names {
        system.databases.reaches(name, "cancelling").await?;
    }
    system.databases.item_reaches("lamp", 100, 0).await?;
    system.start_worker("payment")?;
    for name in &names {
        system.databases.reaches(name, "cancelled").await?;
        let (captured, refunded) = system.databases.money(name).await?;
        assert_eq!(captured, refunded, "{name}");
    }
    conserved(&system).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_overtakes_on_the_way_ends_as_if_it_had_not() -> Result<()> {
    let mut system = stocked(&[]).await?;
    // A cancellation before the order that it cancels.
    system.client.publish([cancel("early")]).await?;
    system.databases.reaches("early", "cancelled").await?;
    system.client.publish([place("early", "lamp", 1, "tok_visa")]).await?;
    eventually("the order to be told how it stands", async || {
        let sql = "SELECT 1 FROM batches, json_array_elements(outputs::json) AS output
                   WHERE output->>'cause' = 'place-early'
                     AND output->>'routing_key' = 'order.unchanged.v1'";
        Ok(system.databases.order.query_opt(sql, &[]).await?.map(|_| ()))
    })
    .await?;
    assert_eq!(system.databases.money("early").await?, (0, 0));

    // Releases and reservations that wait in two queues: either may be found first.
    stop(&mut system, "stock")?;
    let names: Vec<String> = (0..20).map(|n| format!("o{n}")).collect();
    system.client.publish(names.iter().map(|name| place(name, "lamp", 1, "tok_visa"))).await?;
    for name in &names {
        system.databases.reaches(name, "pending").await?;
    }
    system.client.publish(names.iter().map(|name| cancel(name))).await?;
    for name in &names {
        system.databases.reaches(name, "cancelling").await?;
    }
    system.start_worker("stock")?;
    for name in &names {
        system.databases.reaches(name, "cancelled").await?;
        assert_eq!(system.databases.money(name).await?, (0, 0));
    }
    conserved(&system).await
}

//! The saga with real processes: every way an order can end.

use anyhow::Result;
use orderly_e2e::{Message, System, place};
use serde_json::json;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_outcome_is_reached_and_leaves_stock_and_money_as_it_should() -> Result<()> {
    let system = System::start().await?;
    let (client, databases) = (&system.client, &system.databases);
    client.stock_up(&[("lamp", 10), ("mug", 1)]).await?;
    databases.item_reaches("lamp", 10, 0).await?;
    databases.item_reaches("mug", 1, 0).await?;
    client
        .publish([
            place("paid", "lamp", 2, "tok_visa"),
            place("short", "mug", 5, "tok_visa"),
            place("declined", "lamp", 3, "tok_decline"),
            place("flaky", "lamp", 1, "tok_flaky_2"),
        ])
        .await?;
    databases.settled(4).await?;
    let end = async |id| databases.order(id).await.map(Option::unwrap_or_default);
    assert_eq!(end("paid").await?, ("confirmed".into(), None));
    assert_eq!(end("short").await?, ("rejected".into(), Some("out_of_stock".into())));
    assert_eq!(end("declined").await?, ("cancelled".into(), Some("payment_declined".into())));
    assert_eq!(end("flaky").await?, ("confirmed".into(), None));
    databases.item_reaches("lamp", 7, 0).await?;
    databases.item_reaches("mug", 1, 0).await?;
    assert_eq!(databases.money("paid").await?, (500, 0));
    assert_eq!(databases.money("short").await?, (0, 0));
    assert_eq!(databases.money("declined").await?, (0, 0));
    assert_eq!(databases.money("flaky").await?, (250, 0));
    system.expect_clean_audit()?;
    databases.expect_conserved().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_cancellation_is_obeyed_before_the_charge_and_refused_after_it() -> Result<()> {
    let system = System::start().await?;
    let (client, databases) = (&system.client, &system.databases);
    let cancel = |order: &str| {
        let id = format!("cancel-{order}");
        Message::new("order.cancel.v1", &id, &json!({ "order_id": order }))
    };
    client.stock_up(&[("lamp", 10)]).await?;
    databases.item_reaches("lamp", 10, 0).await?;

    client.publish([cancel("early")]).await?;
    databases.reaches("early", "cancelled").await?;
    client.publish([place("early", "lamp", 1, "tok_visa")]).await?;

    // The provider hangs, so the order waits for its charge until it is cancelled.
    client.publish([place("waiting", "lamp", 2, "tok_hang_1")]).await?;
    databases.reaches("waiting", "reserved").await?;
    client.publish([cancel("waiting")]).await?;
    databases.reaches("waiting", "cancelled").await?;

    client.publish([place("late", "lamp", 3, "tok_visa")]).await?;
    databases.reaches("late", "confirmed").await?;
    client.publish([cancel("late")]).await?;

    client.publish([place("last", "lamp", 1, "tok_visa")]).await?;
    databases.reaches("last", "confirmed").await?;
    databases.item_reaches("lamp", 6, 0).await?;
    assert_eq!(databases.order("early").await?.unwrap_or_default().0, "cancelled");
    assert_eq!(databases.order("late").await?.unwrap_or_default().0, "confirmed");
    let (captured, refunded) = databases.money("waiting").await?;
    assert_eq!(captured, refunded);
    system.expect_clean_audit()?;
    databases.expect_conserved().await
}

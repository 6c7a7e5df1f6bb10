//! Orders that two transactions change by what both saw of them.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result};
use orderly_contracts::Message as _;
use orderly_contracts::order::{CancelOrder, OrderStatus, PlaceOrder};
use orderly_contracts::stock::StockReserved;
use orderly_contracts::text::OrderId;
use orderly_devstack::TestBed;
use orderly_e2e::eventually;
use orderly_order::{Input, Order, OrderTables, migrations};
use orderly_runtime::clock::{Clock, Entropy, SystemClock, SystemEntropy};
use orderly_runtime::config::Reader;
use orderly_runtime::domain::{Arrival, Cause, Context as Handed, Domain, States};
use orderly_runtime::fold::fold;
use orderly_runtime::postgres::connect::{client, pool};
use orderly_runtime::postgres::migrate::migrate;
use orderly_runtime::postgres::store::PgStore;
use orderly_runtime::store::{Claim, Store, StoreError, Unit};
use serde_json::json;
use tokio_postgres::Client;

/// Longer than any test waits.
const PATIENCE: Duration = Duration::from_secs(60);

/// The orders of the bed's database, and a way to look into it.
async fn orders(bed: &TestBed) -> Result<(PgStore<OrderTables>, Client)> {
    let address = Reader::new(bed.env())
        .address("ORDERLY_ORDER_DATABASE", &["postgres"])
        .context("there is no database")?;
    migrate(&address, migrations()).await?;
    Ok((
        PgStore::new(pool(&address, "test", 4, PATIENCE)?, PATIENCE),
        client(&address, "look").await?,
    ))
}

fn arrival(kind: &'static str, id: &str, body: &serde_json::Value) -> Result<Arrival<Input>> {
    let input = Order::decode(kind, body.to_string().as_bytes());
    Ok(Arrival {
        cause: Cause { source: "test", id: id.to_owned() },
        kind,
        at: SystemClock.now(),
        context: Handed::default(),
        input: input.map_err(|refusal| anyhow::anyhow!("{refusal:?}"))?,
    })
}

fn the_order() -> Result<BTreeSet<OrderId>> {
    Ok(BTreeSet::from([OrderId::new("o").map_err(anyhow::Error::msg)?]))
}

/// A transaction that has looked at the order, and what it saw.
async fn look<S: Store<Order>>(store: &S) -> Result<(S::Unit, States<Order>)> {
    let mut unit = store.begin().await?;
    let keys = the_order()?;
    let states = unit.look(&keys).await?;
    Ok((unit, States::new(keys, states)))
}

/// Leaves what follows from what was seen and from `arrival`.
async fn leave<U: Unit<Order>>(
    (unit, states): (U, States<Order>),
    arrival: Arrival<Input>,
) -> Result<(), StoreError> {
    let work = fold(&Order::default(), SystemEntropy.uuid(), &[&arrival], states).work;
    unit.leave_new(&[claim(&arrival)], &work).await
}

fn claim(Arrival { cause, kind, .. }: &Arrival<Input>) -> Claim {
    Claim { cause: cause.clone(), kind, body_hash: [1; 32] }
}

/// A database with one order, which is placed, and a way to look into it. It lasts as long as its bed.
async fn placed() -> Result<(TestBed, PgStore<OrderTables>, Client)> {
    let bed = TestBed::new()?;
    let (store, database) = orders(&bed).await?;
    let lines = json!([{ "sku": "lamp", "quantity": 1, "unit_price": 250 }]);
    let body =
        json!({ "order_id": "o", "lines": lines, "currency": "GBP", "payment_token": "tok_visa" });
    leave(look(&store).await?, arrival(PlaceOrder::KIND, "place", &body)?).await?;
    Ok((bed, store, database))
}

fn reserved() -> Result<Arrival<Input>> {
    arrival(StockReserved::KIND, "reserved", &json!({ "order_id": "o" }))
}

fn cancelled() -> Result<Arrival<Input>> {
    arrival(CancelOrder::KIND, "cancel", &json!({ "order_id": "o" }))
}

/// The order stands as whoever was first has left it, and nothing is left of the other.
async fn expect_the_first_alone(database: &Client) -> Result<()> {
    let order = database.query_one("SELECT status, version FROM orders", &[]).await?;
    assert_eq!((order.get(0), order.get(1)), (OrderStatus::Reserved.as_str(), 2_i64));
    for (table, rows) in [("order_history", 2_i64), ("inbox", 2), ("batches", 2), ("timers", 1)] {
        let count = database.query_one(&format!("SELECT count(*) FROM {table}"), &[]).await?;
        assert_eq!(count.get::<_, i64>(0), rows, "{table}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_two_changes_of_one_version_only_the_first_is_saved() -> Result<()> {
    let (_bed, store, database) = placed().await?;
    let (first, second) = (look(&store).await?, look(&store).await?);
    leave(first, reserved()?).await?;
    let late = leave(second, cancelled()?).await;
    assert!(matches!(late, Err(StoreError::Conflict(_))), "{late:?}");
    expect_the_first_alone(&database).await?;
    // Whoever looks again finds what there is by now.
    leave(look(&store).await?, cancelled()?).await?;
    let order = database.query_one("SELECT status, version FROM orders", &[]).await?;
    assert_eq!((order.get(0), order.get(1)), (OrderStatus::Cancelling.as_str(), 3_i64));
    Ok(())
}

/// The first holds the order locked, as a batch that is done with care does. Meanwhile the same message comes by one
/// that looked at the order before. Had that claimed it already, the two would wait for each other.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_only_looked_waits_for_the_order_before_it_claims() -> Result<()> {
    let (_bed, store, database) = placed().await?;
    let second = look(&store).await?;
    let mut first = store.begin().await?;
    let keys = the_order()?;
    let states = States::new(keys.clone(), first.load(&keys).await?);
    let late = tokio::spawn(leave(second, reserved()?));
    let waiting = "SELECT FROM pg_stat_activity
         WHERE datname = current_database() AND wait_event_type = 'Lock' LIMIT 1";
    eventually("the second to wait for the first", async || {
        Ok(database.query_opt(waiting, &[]).await?.map(|_| ()))
    })
    .await?;
    let (arrival, batch) = (reserved()?, SystemEntropy.uuid());
    let work = fold(&Order::default(), batch, &[&arrival], states).work;
    first.claim(batch, &[claim(&arrival)]).await?;
    first.save(&work).await?;
    first.commit().await?;
    // Its key is taken. A deadlock would be a conflict as well.
    let late = late.await?;
    assert!(matches!(&late, Err(StoreError::Conflict(why)) if why.contains("23505")), "{late:?}");
    expect_the_first_alone(&database).await
}

/// Creating may wait for whoever changes, so nobody who changes without a lock may create as well.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_creates_and_changes_is_done_with_care() -> Result<()> {
    let (_bed, store, database) = placed().await?;
    let mut unit = store.begin().await?;
    let keys = BTreeSet::from(["o", "p"].map(|id| OrderId::new(id).expect("an id")));
    let states = States::new(keys.clone(), unit.look(&keys).await?);
    let never_placed = arrival(CancelOrder::KIND, "cancel", &json!({ "order_id": "p" }))?;
    let arrivals = [&reserved()?, &never_placed];
    let work = fold(&Order::default(), SystemEntropy.uuid(), &arrivals, states).work;
    assert_eq!((work.changes.created.len(), work.changes.updated.len()), (1, 1));
    let left = unit.leave_new(&arrivals.map(claim), &work).await;
    assert!(matches!(left, Err(StoreError::Conflict(_))), "{left:?}");
    leave(look(&store).await?, reserved()?).await?;
    expect_the_first_alone(&database).await
}

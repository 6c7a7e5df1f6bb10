//! The order worker's tables: how orders are loaded, and what is written to save them.

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fmt::Display;
use std::sync::Arc;

use orderly_contracts::number::Amount;
use orderly_contracts::order::{EndReason, OrderStatus};
use orderly_contracts::text::{Currency, CustomerId, Note, OrderId, PaymentToken};
use orderly_runtime::clock::Micros;
use orderly_runtime::metrics::Reading;
use orderly_runtime::metrics::catalogue::{ORDERS_OLDEST, ORDERS_OPEN};
use orderly_runtime::postgres::session::Session;
use orderly_runtime::postgres::tables::Tables;
use orderly_runtime::postgres::write::{Write, each};
use orderly_runtime::store::{Changes, StoreError};
use tokio_postgres::Row;

use crate::Order;
use crate::domain::{Entry, Placement, Saga};
use crate::saga::{Owed, Stage, Undoing};

/// The tables `orders` and `order_history`.
#[derive(Debug, Clone, Copy)]
pub struct OrderTables;

macro_rules! look {
    () => {
        "
    SELECT order_id, customer_id, currency, payment_token, lines::text AS lines, total,
           (extract(epoch FROM placed_at) * 1000000)::bigint AS placed_at,
           status, version, reason, round, owes_release, owes_refund, refunded,
           (extract(epoch FROM ended_at) * 1000000)::bigint AS ended_at
    FROM orders WHERE order_id = ANY($1::text[]) ORDER BY order_id"
    };
}
const LOOK: &str = look!();
const LOAD: &str = concat!(look!(), " FOR UPDATE");

const CREATE: &str = "
    INSERT INTO orders (order_id, customer_id, currency, payment_token, lines, total, placed_at,
                        status, version, reason, round, owes_release, owes_refund, refunded,
                        ended_at)
    SELECT unnest($1::text[]), unnest($2::text[]), unnest($3::text[]), unnest($4::text[]),
           unnest($5::text[])::jsonb, unnest($6::bigint[]),
           'epoch'::timestamptz + unnest($7::bigint[]) * interval '1 microsecond',
           unnest($8::text[]), unnest($9::bigint[]), unnest($10::text[]), unnest($11::integer[]),
           unnest($12::boolean[]), unnest($13::boolean[]), unnest($14::boolean[]),
           'epoch'::timestamptz + unnest($15::bigint[]) * interval '1 microsecond'";

// What was ordered never changes, so it is not written again: it may be long.
const UPDATE: &str = "
    UPDATE orders SET
        status = new.status, version = new.version, reason = new.reason, round = new.round,
        owes_release = new.owes_release, owes_refund = new.owes_refund,
        refunded = new.refunded, updated_at = now(),
        ended_at = 'epoch'::timestamptz + new.ended_at * interval '1 microsecond'
    FROM (SELECT unnest($1::text[]) AS order_id, unnest($2::text[]) AS status,
                 unnest($3::bigint[]) AS version, unnest($4::text[]) AS reason,
                 unnest($5::integer[]) AS round, unnest($6::boolean[]) AS owes_release,
                 unnest($7::boolean[]) AS owes_refund, unnest($8::boolean[]) AS refunded,
                 unnest($9::bigint[]) AS ended_at) AS new
    WHERE orders.order_id = new.order_id";

const RECORD: &str = "
    INSERT INTO order_history (order_id, version, at, from_status, to_status, reason,
                               cause_source, cause_id, kind, note)
    SELECT unnest($1::text[]), unnest($2::bigint[]),
           'epoch'::timestamptz + unnest($3::bigint[]) * interval '1 microsecond',
           unnest($4::text[]), unnest($5::text[]), unnest($6::text[]), unnest($7::text[]),
           unnest($8::text[]), unnest($9::text[]), unnest($10::text[])";

// Whatever is open waits with a deadline. More of them than this need no counting.
const OPEN: &str = "
    SELECT status, count(*)::float8,
           coalesce(extract(epoch FROM now() - min(placed_at)), 0)::float8
    FROM (SELECT owner FROM timers ORDER BY due_at LIMIT 10000) AS waiting
    JOIN orders ON orders.order_id = waiting.owner
    WHERE ended_at IS NULL GROUP BY status";

impl Tables<Order> for OrderTables {
    /// Each change of an order leaves its version in the history, whose key it is.
    const VERSIONED: bool = true;

    async fn load(
        session: Session<'_>,
        keys: &BTreeSet<OrderId>,
    ) -> Result<BTreeMap<OrderId, Saga>, StoreError> {
        find(session, LOAD, keys).await
    }

    async fn look(
        session: Session<'_>,
        keys: &BTreeSet<OrderId>,
    ) -> Result<BTreeMap<OrderId, Saga>, StoreError> {
        find(session, LOOK, keys).await
    }

    fn save<'a>(changes: &'a Changes<Order>, entries: &'a [Entry]) -> Vec<Write<'a>> {
        let Changes { created, updated } = changes;
        vec![create(created), update(updated), record(entries)]
    }

    async fn census(session: Session<'_>, _: bool) -> Result<Vec<Reading>, StoreError> {
        open(session).await
    }
}

/// The orders under `keys`, as `sql` finds them.
async fn find(
    session: Session<'_>,
    sql: &'static str,
    keys: &BTreeSet<OrderId>,
) -> Result<BTreeMap<OrderId, Saga>, StoreError> {
    if keys.is_empty() {
        return Ok(BTreeMap::new());
    }
    let ids: Vec<&str> = keys.iter().map(OrderId::as_str).collect();
    session.query(sql, &[&ids]).await?.iter().map(read).collect()
}

/// The orders that have not ended, by their status.
async fn open(session: Session<'_>) -> Result<Vec<Reading>, StoreError> {
    let rows = session.query(OPEN, &[]).await?;
    let open = OrderStatus::ALL.into_iter().filter(|status| !status.is_final());
    let readings = open.flat_map(|status| {
        let row = rows.iter().find(|row| row.get::<_, &str>(0) == status.as_str());
        let (count, age) = row.map_or((0.0, 0.0), |row| (row.get(1), row.get(2)));
        [(&ORDERS_OPEN, count), (&ORDERS_OLDEST, age)]
            .map(|(gauge, value)| Reading::of(gauge, status.as_str(), value))
    });
    Ok(readings.collect())
}

fn create(orders: &[(OrderId, Saga)]) -> Write<'_> {
    let placed = Write::new(CREATE)
        .with(ids(orders))
        .with(content(orders, |placed| placed.customer_id.as_ref().map(CustomerId::as_str)))
        .with(content(orders, |placed| Some(placed.currency.to_string())))
        .with(content(orders, |placed| Some(placed.payment_token.as_str())))
        .with(content(orders, |placed| Some(lines_to_json(placed))))
        .with(content(orders, |placed| Some(placed.total.get())))
        .with(content(orders, |placed| Some(placed.placed_at.0)));
    with_progress(placed, orders)
}

fn update(orders: &[(OrderId, Saga)]) -> Write<'_> {
    with_progress(Write::new(UPDATE).with(ids(orders)), orders).touching_all()
}

/// The columns of how far the sagas have come, behind those of `write`.
fn with_progress<'a>(write: Write<'a>, orders: &'a [(OrderId, Saga)]) -> Write<'a> {
    write
        .with(progress(orders, |saga| saga.stage.status().as_str()))
        .with(progress(orders, |saga| saga.version))
        .with(progress(orders, |saga| saga.stage.reason().map(EndReason::as_str)))
        .with(progress(orders, round))
        .with(progress(orders, |saga| undoing(saga).is_some_and(|it| it.owed.release)))
        .with(progress(orders, |saga| undoing(saga).is_some_and(|it| it.owed.refund)))
        .with(progress(orders, |saga| undoing(saga).is_some_and(|it| it.refunded)))
        .with(progress(orders, |saga| saga.ended_at.map(|at| at.0)))
}

fn record(entries: &[Entry]) -> Write<'_> {
    Write::new(RECORD)
        .with(each(entries, |entry| entry.order_id.as_str()))
        .with(each(entries, |entry| entry.version))
        .with(each(entries, |entry| entry.at.0))
        .with(each(entries, |entry| entry.from.map(OrderStatus::as_str)))
        .with(each(entries, |entry| entry.to.as_str()))
        .with(each(entries, |entry| entry.reason.map(EndReason::as_str)))
        .with(each(entries, |entry| entry.cause.source))
        .with(each(entries, |entry| entry.cause.id.as_str()))
        .with(each(entries, |entry| entry.kind))
        .with(each(entries, |entry| entry.note.as_ref().map(Note::as_str)))
}

fn ids(orders: &[(OrderId, Saga)]) -> Vec<&str> {
    each(orders, |(order_id, _)| order_id.as_str())
}

fn progress<'a, C>(orders: &'a [(OrderId, Saga)], of: impl Fn(&'a Saga) -> C) -> Vec<C> {
    each(orders, |(_, saga)| of(saga))
}

fn content<'a, C>(
    orders: &'a [(OrderId, Saga)],
    of: impl Fn(&'a Placement) -> Option<C>,
) -> Vec<Option<C>> {
    progress(orders, |saga| saga.placement.as_deref().and_then(&of))
}

fn undoing(saga: &Saga) -> Option<Undoing> {
    match saga.stage {
        Stage::Cancelling(undoing) => Some(undoing),
        _ => None,
    }
}

fn lines_to_json(placed: &Placement) -> String {
    serde_json::to_string(&placed.lines).expect("contract types always serialise")
}

/// The round of the present step, within the bounds of its column.
fn round(saga: &Saga) -> i32 {
    let round = saga.stage.deadline().map_or(0, |deadline| deadline.round);
    i32::try_from(round).unwrap_or(i32::MAX)
}

fn read(row: &Row) -> Result<(OrderId, Saga), StoreError> {
    let id: String = row.get("order_id");
    let broken = |why: &dyn Display| StoreError::Data(format!("order {id} makes no sense: {why}"));
    let saga = Saga {
        placement: read_placement(row).map_err(|why| broken(&why))?.map(Arc::new),
        stage: read_stage(row).ok_or_else(|| broken(&"status, reason and round"))?,
        version: row.get("version"),
        ended_at: row.get::<_, Option<i64>>("ended_at").map(Micros),
    };
    let order_id = OrderId::new(id.as_str()).map_err(|why| broken(&why))?;
    Ok((order_id, saga))
}

fn read_placement(row: &Row) -> Result<Option<Placement>, Box<dyn Error>> {
    let Some(lines) = row.get::<_, Option<&str>>("lines") else {
        return Ok(None);
    };
    Ok(Some(Placement {
        customer_id: row.get::<_, Option<&str>>("customer_id").map(CustomerId::new).transpose()?,
        lines: serde_json::from_str(lines)?,
        currency: Currency::new(row.get("currency"))?,
        payment_token: PaymentToken::new(row.get::<_, &str>("payment_token"))?,
        total: Amount::new(row.get("total"))?,
        placed_at: Micros(row.get("placed_at")),
    }))
}

fn read_stage(row: &Row) -> Option<Stage> {
    let reason = row.get::<_, Option<&str>>("reason").and_then(EndReason::from_word);
    let round = u32::try_from(row.get::<_, i32>("round")).ok()?;
    Some(match OrderStatus::from_word(row.get("status"))? {
        OrderStatus::Pending => Stage::Pending(round),
        OrderStatus::Reserved => Stage::Reserved(round),
        OrderStatus::Cancelling => Stage::Cancelling(Undoing {
            reason: reason?,
            round,
            owed: Owed { release: row.get("owes_release"), refund: row.get("owes_refund") },
            refunded: row.get("refunded"),
        }),
        OrderStatus::Confirmed => Stage::Confirmed,
        OrderStatus::Rejected => Stage::Rejected(reason?),
        OrderStatus::Cancelled => Stage::Cancelled(reason?),
    })
}

//! The SQL of the stock worker: what is loaded, and what is written to save it.
//!
//! Locks are taken in the order of keys: reservations, then articles. Adjustments never change once
//! they are made, so they are read without a lock; making one twice at once fails on its key.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use orderly_contracts::number::Delta;
use orderly_contracts::stock::AdjustRefusal;
use orderly_contracts::text::{AdjustmentId, Note, OrderId, Sku};
use orderly_runtime::metrics::{Reading, catalogue};
use orderly_runtime::postgres::session::{Parameters, Session};
use orderly_runtime::postgres::tables::Tables;
use orderly_runtime::postgres::write::{Write, each};
use orderly_runtime::store::{Changes, StoreError};
use serde::de::DeserializeOwned;
use tokio_postgres::Row;

use crate::domain::Stock;
use crate::state::{Adjustment, Item, Key, Outcome, Posting, Reservation, State, Status};

const LOAD_RESERVATIONS: &str = "\
SELECT order_id, status, lines::text, shortages::text
FROM reservations WHERE order_id = ANY($1) ORDER BY order_id FOR UPDATE";

// With the articles that the reservations lead to, which are locked by then: this is sent behind them.
//
// A join, and not `sku = ANY(..)`: a row that somebody else has just changed is looked at once more
// before it is locked, and then the whole of such an array would be sorted again for that row.
const LOAD_ITEMS: &str = "\
SELECT items.sku, on_hand, reserved
FROM (SELECT DISTINCT sku FROM unnest($1::text[] || ARRAY(
          SELECT jsonb_object_keys(lines) FROM reservations WHERE order_id = ANY($2)
      )) AS sku) AS wanted
JOIN items USING (sku)
ORDER BY items.sku FOR UPDATE OF items";

const LOAD_ADJUSTMENTS: &str = "\
SELECT adjustment_id, sku, delta, note, refusal, on_hand, reserved
FROM adjustments WHERE adjustment_id = ANY($1)";

const CREATE_RESERVATIONS: &str = "\
INSERT INTO reservations (order_id, status, lines, shortages)
SELECT unnest($1::text[]), unnest($2::text[]), unnest($3::text[])::jsonb, unnest($4::text[])::jsonb";

const UPDATE_RESERVATIONS: &str = "\
UPDATE reservations AS old SET status = new.status, lines = new.lines,
    shortages = new.shortages, updated_at = now()
FROM (SELECT unnest($1::text[]) AS order_id, unnest($2::text[]) AS status,
             unnest($3::text[])::jsonb AS lines, unnest($4::text[])::jsonb AS shortages) AS new
WHERE old.order_id = new.order_id";

const CREATE_ITEMS: &str = "\
INSERT INTO items (sku, on_hand, reserved)
SELECT unnest($1::text[]), unnest($2::int8[]), unnest($3::int8[])";

const UPDATE_ITEMS: &str = "\
UPDATE items AS old SET on_hand = new.on_hand, reserved = new.reserved
FROM (SELECT unnest($1::text[]) AS sku, unnest($2::int8[]) AS on_hand,
             unnest($3::int8[]) AS reserved) AS new
WHERE old.sku = new.sku";

const CREATE_ADJUSTMENTS: &str = "\
INSERT INTO adjustments (adjustment_id, sku, delta, note, refusal, on_hand, reserved)
SELECT unnest($1::text[]), unnest($2::text[]), unnest($3::int8[]), unnest($4::text[]),
    unnest($5::text[]), unnest($6::int8[]), unnest($7::int8[])";

const APPEND_POSTINGS: &str = "\
INSERT INTO stock_ledger (sku, order_id, adjustment_id, operation, pieces, at)
SELECT unnest($1::text[]), unnest($2::text[]), unnest($3::text[]), unnest($4::text[]),
    unnest($5::int8[]), 'epoch'::timestamptz + unnest($6::int8[]) * interval '1 microsecond'";

// All articles are read, for an index on what every batch changes would cost every batch.
const OUT_OF_STOCK: &str = "SELECT count(*)::float8 FROM items WHERE reserved = on_hand";

/// The stock worker's tables.
#[derive(Debug, Clone, Copy)]
pub struct StockTables;

impl Tables<Stock> for StockTables {
    async fn load(
        session: Session<'_>,
        keys: &BTreeSet<Key>,
    ) -> Result<BTreeMap<Key, State>, StoreError> {
        let Named { orders, skus, adjustments } = Named::of(keys);
        let (reservations, items, made) = tokio::try_join!(
            biased;
            async { asked(session, LOAD_RESERVATIONS, &[&orders], !orders.is_empty()).await },
            async {
                let is_asked = !(skus.is_empty() && orders.is_empty());
                asked(session, LOAD_ITEMS, &[&skus, &orders], is_asked).await
            },
            async { asked(session, LOAD_ADJUSTMENTS, &[&adjustments], !adjustments.is_empty()).await },
        )?;
        let reservations = reservations.iter().map(reservation);
        let found = reservations.chain(items.iter().map(item)).chain(made.iter().map(adjustment));
        found.collect()
    }

    fn save<'a>(changes: &'a Changes<Stock>, entries: &'a [Posting]) -> Vec<Write<'a>> {
        let (created, updated) = (Columns::of(&changes.created), Columns::of(&changes.updated));
        vec![
            created.reservations.write(CREATE_RESERVATIONS),
            updated.reservations.write(UPDATE_RESERVATIONS).touching_all(),
            created.items.write(CREATE_ITEMS),
            updated.items.write(UPDATE_ITEMS).touching_all(),
            created.adjustments.write(CREATE_ADJUSTMENTS),
            append(entries),
        ]
    }

    async fn census(session: Session<'_>, is_full: bool) -> Result<Vec<Reading>, StoreError> {
        if !is_full {
            return Ok(vec![]);
        }
        let rows = session.query(OUT_OF_STOCK, &[]).await?;
        Ok(rows.iter().map(|row| Reading::new(&catalogue::OUT_OF_STOCK, row.get(0))).collect())
    }
}

/// What `sql` gives, if there is anything to ask for.
async fn asked(
    session: Session<'_>,
    sql: &'static str,
    parameters: Parameters<'_>,
    is_asked: bool,
) -> Result<Vec<Row>, StoreError> {
    if is_asked { session.query(sql, parameters).await } else { Ok(vec![]) }
}

/// Keys by the table they are of, each in order.
#[derive(Default)]
struct Named<'a> {
    orders: Vec<&'a str>,
    skus: Vec<&'a str>,
    adjustments: Vec<&'a str>,
}

impl<'a> Named<'a> {
    fn of(keys: &'a BTreeSet<Key>) -> Self {
        let mut named = Self::default();
        for key in keys {
            match key {
                Key::Reservation(order) => named.orders.push(order.as_str()),
                Key::Item(sku) => named.skus.push(sku.as_str()),
                Key::Adjustment(id) => named.adjustments.push(id.as_str()),
            }
        }
        named
    }
}

fn reservation(row: &Row) -> Result<(Key, State), StoreError> {
    let shortages = json(row.get(3))?;
    let status = match row.get(1) {
        "reserved" => Status::Reserved,
        "rejected" => Status::Rejected(shortages),
        "released" => Status::Released,
        "expired" => Status::Expired,
        "committed" => Status::Committed,
        "short" => Status::Short(shortages),
        other => return Err(StoreError::Data(format!("reservations.status: {other}"))),
    };
    let order = OrderId::new(row.get::<_, &str>(0)).map_err(data)?;
    let reservation = Reservation { status, goods: json(row.get(2))? };
    Ok((Key::Reservation(order), State::Reservation(reservation)))
}

fn item(row: &Row) -> Result<(Key, State), StoreError> {
    let sku = Sku::new(row.get::<_, &str>(0)).map_err(data)?;
    let item = Item { on_hand: row.get(1), reserved: row.get(2) };
    Ok((Key::Item(sku), State::Item(item)))
}

fn adjustment(row: &Row) -> Result<(Key, State), StoreError> {
    let id = AdjustmentId::new(row.get::<_, &str>(0)).map_err(data)?;
    let refusal: Option<&str> = row.get(4);
    let outcome = match refusal {
        None => Outcome::Adjusted(Item { on_hand: row.get(5), reserved: row.get(6) }),
        Some(word) => Outcome::Refused(refusal_of(word)?),
    };
    let note: Option<&str> = row.get(3);
    let adjustment = Adjustment {
        sku: Sku::new(row.get::<_, &str>(1)).map_err(data)?,
        delta: Delta::new(row.get(2)).map_err(data)?,
        note: note.map(Note::new).transpose().map_err(data)?,
        outcome,
    };
    Ok((Key::Adjustment(id), State::Adjustment(adjustment)))
}

/// The word of a refusal that is put on record; a conflict never is, as it changes nothing.
fn word_of(refusal: AdjustRefusal) -> &'static str {
    match refusal {
        AdjustRefusal::BelowReserved => "below_reserved",
        AdjustRefusal::AboveLimit => "above_limit",
        AdjustRefusal::Conflict => "conflict",
    }
}

fn refusal_of(word: &str) -> Result<AdjustRefusal, StoreError> {
    [AdjustRefusal::BelowReserved, AdjustRefusal::AboveLimit]
        .into_iter()
        .find(|refusal| word_of(*refusal) == word)
        .ok_or_else(|| StoreError::Data(format!("adjustments.refusal: {word}")))
}

fn json<T: DeserializeOwned>(text: &str) -> Result<T, StoreError> {
    serde_json::from_str(text).map_err(data)
}

/// A row that we can't read harms the messages that need it, and no others.
fn data(error: impl Display) -> StoreError {
    StoreError::Data(error.to_string())
}

/// States by the table they go to, a vector a column.
#[derive(Default)]
struct Columns<'a> {
    reservations: Reservations<'a>,
    items: Items<'a>,
    adjustments: Adjustments<'a>,
}

impl<'a> Columns<'a> {
    fn of(states: &'a [(Key, State)]) -> Self {
        let mut columns = Self::default();
        for (key, state) in states {
            match (key, state) {
                (Key::Reservation(order), State::Reservation(reservation)) => {
                    columns.reservations.push(order, reservation);
                }
                (Key::Item(sku), State::Item(item)) => columns.items.push(sku, *item),
                (Key::Adjustment(id), State::Adjustment(adjustment)) => {
                    columns.adjustments.push(id, adjustment);
                }
                (key, state) => unreachable!("{state:?} under {key:?}"),
            }
        }
        columns
    }
}

#[derive(Default)]
struct Reservations<'a> {
    order_id: Vec<&'a str>,
    status: Vec<&'a str>,
    lines: Vec<String>,
    shortages: Vec<String>,
}

impl<'a> Reservations<'a> {
    fn push(&mut self, order: &'a OrderId, Reservation { status, goods }: &'a Reservation) {
        let text = "goods and shortages always serialise";
        self.order_id.push(order.as_str());
        self.status.push(status.word());
        self.lines.push(serde_json::to_string(goods).expect(text));
        self.shortages.push(serde_json::to_string(status.shortages()).expect(text));
    }

    fn write(self, sql: &'static str) -> Write<'a> {
        let Self { order_id, status, lines, shortages } = self;
        Write::new(sql).with(order_id).with(status).with(lines).with(shortages)
    }
}

#[derive(Default)]
struct Items<'a> {
    sku: Vec<&'a str>,
    on_hand: Vec<i64>,
    reserved: Vec<i64>,
}

impl<'a> Items<'a> {
    fn push(&mut self, sku: &'a Sku, item: Item) {
        self.sku.push(sku.as_str());
        self.on_hand.push(item.on_hand);
        self.reserved.push(item.reserved);
    }

    fn write(self, sql: &'static str) -> Write<'a> {
        let Self { sku, on_hand, reserved } = self;
        Write::new(sql).with(sku).with(on_hand).with(reserved)
    }
}

#[derive(Default)]
struct Adjustments<'a> {
    adjustment_id: Vec<&'a str>,
    sku: Vec<&'a str>,
    delta: Vec<i64>,
    note: Vec<Option<&'a str>>,
    refusal: Vec<Option<&'a str>>,
    on_hand: Vec<Option<i64>>,
    reserved: Vec<Option<i64>>,
}

impl<'a> Adjustments<'a> {
    fn push(&mut self, id: &'a AdjustmentId, adjustment: &'a Adjustment) {
        let (refusal, item) = match adjustment.outcome {
            Outcome::Adjusted(item) => (None, Some(item)),
            Outcome::Refused(refusal) => (Some(word_of(refusal)), None),
        };
        self.adjustment_id.push(id.as_str());
        self.sku.push(adjustment.sku.as_str());
        self.delta.push(adjustment.delta.get());
        self.note.push(adjustment.note.as_ref().map(Note::as_str));
        self.refusal.push(refusal);
        self.on_hand.push(item.map(|item| item.on_hand));
        self.reserved.push(item.map(|item| item.reserved));
    }

    fn write(self, sql: &'static str) -> Write<'a> {
        let Self { adjustment_id, sku, delta, note, refusal, on_hand, reserved } = self;
        let made = Write::new(sql).with(adjustment_id).with(sku).with(delta).with(note);
        made.with(refusal).with(on_hand).with(reserved)
    }
}

fn append(entries: &[Posting]) -> Write<'_> {
    Write::new(APPEND_POSTINGS)
        .with(each(entries, |entry| entry.sku.as_str()))
        .with(each(entries, |entry| entry.origin.order()))
        .with(each(entries, |entry| entry.origin.adjustment()))
        .with(each(entries, |entry| entry.operation.word()))
        .with(each(entries, |entry| entry.pieces))
        .with(each(entries, |entry| entry.at.0))
}

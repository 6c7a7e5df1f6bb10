//! The SQL of the payment worker: how payments are loaded, and what is written to save them.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Display;

use orderly_contracts::number::Amount;
use orderly_contracts::text::{Currency, Note, OrderId, PaymentToken};
use orderly_runtime::postgres::session::Session;
use orderly_runtime::postgres::tables::Tables;
use orderly_runtime::postgres::write::{Write, each};
use orderly_runtime::store::{Changes, StoreError};
use tokio_postgres::Row;

use crate::domain::Payment;
use crate::state::{Charge, Open, Posting, State};

const LOAD: &str = "\
SELECT order_id, status, amount, currency, payment_token, refund_wanted, detail
FROM payments WHERE order_id = ANY($1) ORDER BY order_id FOR UPDATE";

const CREATE: &str = "\
INSERT INTO payments (order_id, status, amount, currency, payment_token, refund_wanted, detail)
SELECT unnest($1::text[]), unnest($2::text[]), unnest($3::int8[]), unnest($4::text[]),
    unnest($5::text[]), unnest($6::bool[]), unnest($7::text[])";

const UPDATE: &str = "\
UPDATE payments AS old SET status = new.status, amount = new.amount, currency = new.currency,
    payment_token = new.payment_token, refund_wanted = new.refund_wanted, detail = new.detail,
    updated_at = now()
FROM (SELECT unnest($1::text[]) AS order_id, unnest($2::text[]) AS status,
             unnest($3::int8[]) AS amount, unnest($4::text[]) AS currency,
             unnest($5::text[]) AS payment_token, unnest($6::bool[]) AS refund_wanted,
             unnest($7::text[]) AS detail) AS new
WHERE old.order_id = new.order_id";

const APPEND: &str = "\
INSERT INTO payment_ledger (order_id, operation, account, amount, currency, at)
SELECT unnest($1::text[]), unnest($2::text[]), unnest($3::text[]), unnest($4::int8[]),
    unnest($5::text[]), 'epoch'::timestamptz + unnest($6::int8[]) * interval '1 microsecond'";

/// The payment worker's tables.
#[derive(Debug, Clone, Copy)]
pub struct PaymentTables;

impl Tables<Payment> for PaymentTables {
    async fn load(
        session: Session<'_>,
        keys: &BTreeSet<OrderId>,
    ) -> Result<BTreeMap<OrderId, State>, StoreError> {
        if keys.is_empty() {
            return Ok(BTreeMap::new());
        }
        let orders: Vec<_> = keys.iter().map(OrderId::as_str).collect();
        session.query(LOAD, &[&orders]).await?.iter().map(read).collect()
    }

    fn save<'a>(changes: &'a Changes<Payment>, entries: &'a [Posting]) -> Vec<Write<'a>> {
        let Changes { created, updated } = changes;
        vec![put(CREATE, created), put(UPDATE, updated).touching_all(), append(entries)]
    }
}

fn read(row: &Row) -> Result<(OrderId, State), StoreError> {
    let order = OrderId::new(row.get::<_, &str>(0)).map_err(data)?;
    let (status, charge) = (row.get(1), charge(row)?);
    let detail: Option<&str> = row.get(6);
    let state = match (status, charge) {
        ("requested" | "unknown", Some(charge)) => {
            let (is_unknown, refund_wanted) = (status == "unknown", row.get(5));
            State::Open(Open { charge, is_unknown, refund_wanted })
        }
        ("captured", Some(charge)) => State::Captured(charge),
        ("declined", Some(charge)) => {
            State::Declined(charge, detail.map(Note::new).transpose().map_err(data)?)
        }
        ("refunding", Some(charge)) => State::Refunding(charge),
        ("refunded", Some(charge)) => State::Refunded(charge),
        ("voided", charge) => State::Voided(charge),
        (other, _) => return Err(data(format!("payments.status: {other}"))),
    };
    Ok((order, state))
}

fn charge(row: &Row) -> Result<Option<Charge>, StoreError> {
    let (amount, currency, token): (Option<i64>, Option<&str>, Option<&str>) =
        (row.get(2), row.get(3), row.get(4));
    let (Some(amount), Some(currency), Some(token)) = (amount, currency, token) else {
        return Ok(None);
    };
    Ok(Some(Charge {
        amount: Amount::new(amount).map_err(data)?,
        currency: Currency::new(currency).map_err(data)?,
        payment_token: PaymentToken::new(token).map_err(data)?,
    }))
}

/// A row that we can't read harms the messages that need it, and no others.
fn data(error: impl Display) -> StoreError {
    StoreError::Data(error.to_string())
}

fn put<'a>(sql: &'static str, states: &'a [(OrderId, State)]) -> Write<'a> {
    let is_refund_wanted =
        |state: &State| matches!(state, State::Open(Open { refund_wanted: true, .. }));
    Write::new(sql)
        .with(each(states, |(order, _)| order.as_str()))
        .with(each(states, |(_, state)| state.word()))
        .with(each(states, |(_, state)| state.charge().map(|charge| charge.amount.get())))
        .with(each(states, |(_, state)| state.charge().map(|charge| charge.currency.as_str())))
        .with(each(states, |(_, state)| state.charge().map(|charge| charge.payment_token.as_str())))
        .with(each(states, |(_, state)| is_refund_wanted(state)))
        .with(each(states, |(_, state)| detail(state)))
}

fn detail(state: &State) -> Option<&str> {
    match state {
        State::Declined(_, words) => words.as_ref().map(Note::as_str),
        _ => None,
    }
}

fn append(entries: &[Posting]) -> Write<'_> {
    Write::new(APPEND)
        .with(each(entries, |entry| entry.order.as_str()))
        .with(each(entries, |entry| entry.movement.word()))
        .with(each(entries, |entry| entry.account.word()))
        .with(each(entries, |entry| entry.amount))
        .with(each(entries, |entry| entry.currency.as_str()))
        .with(each(entries, |entry| entry.at.0))
}

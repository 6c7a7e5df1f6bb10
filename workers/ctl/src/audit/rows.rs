//! Rows into facts, one function a side. What can't be read becomes a fact as well.

use std::collections::BTreeMap;
use std::time::Duration;

use orderly_contracts::order::OrderStatus;
use serde::Deserialize;
use tokio_postgres::{Error, Row};

use crate::audit::facts::{
    Content, Deadline, Goods, History, Money, Moves, Order, OrderSide, Payment, PaymentSide,
    Reservation, StockSide,
};

/// A line of an order, read more leniently than the contract does: whatever the table holds.
#[derive(Deserialize)]
struct Line {
    sku: String,
    quantity: i64,
    unit_price: i64,
    #[serde(default)]
    service: bool,
}

/// A row of the order's side.
pub(crate) fn order(row: &Row) -> Result<OrderSide, Error> {
    let status: Option<&str> = row.try_get(1)?;
    let mut side = OrderSide { history: history(row)?, ..OrderSide::default() };
    let Some(word) = status else {
        return Ok(side);
    };
    let Some(status) = OrderStatus::from_word(word) else {
        side.unreadable = Some(format!("the order has the unknown status {word}"));
        return Ok(side);
    };
    let content = match content(row)? {
        Ok(content) => content,
        Err(error) => {
            side.unreadable = Some(format!("the order's lines can't be read: {error}"));
            return Ok(side);
        }
    };
    let seconds: i64 = row.try_get(8)?;
    side.order = Some(Order {
        status,
        version: row.try_get(2)?,
        content,
        owes_release: row.try_get(6)?,
        owes_refund: row.try_get(7)?,
        unchanged_for: Duration::from_secs(u64::try_from(seconds).unwrap_or_default()),
        deadline: deadline(row)?,
    });
    Ok(side)
}

fn content(row: &Row) -> Result<Result<Option<Content>, serde_json::Error>, Error> {
    let (Some(lines), total, currency) = (
        row.try_get::<_, Option<&str>>(3)?,
        row.try_get::<_, Option<i64>>(4)?,
        row.try_get::<_, Option<String>>(5)?,
    ) else {
        return Ok(Ok(None));
    };
    let lines: Vec<Line> = match serde_json::from_str(lines) {
        Ok(lines) => lines,
        Err(error) => return Ok(Err(error)),
    };
    let mut goods = Goods::new();
    let mut sum_of_lines = 0i128;
    for line in lines {
        sum_of_lines += i128::from(line.quantity) * i128::from(line.unit_price);
        if !line.service {
            let pieces = goods.entry(line.sku).or_default();
            *pieces = pieces.saturating_add(line.quantity);
        }
    }
    Ok(Ok(Some(Content {
        goods,
        sum_of_lines,
        total: total.unwrap_or_default(),
        currency: currency.unwrap_or_default(),
    })))
}

fn deadline(row: &Row) -> Result<Option<Deadline>, Error> {
    let Some(step) = row.try_get(9)? else {
        return Ok(None);
    };
    Ok(Some(Deadline { step, round: row.try_get(10)?, due_in_seconds: row.try_get(11)? }))
}

fn history(row: &Row) -> Result<History, Error> {
    let Some(entries) = row.try_get(12)? else {
        return Ok(History::default());
    };
    Ok(History {
        entries,
        first_version: row.try_get(13)?,
        last_version: row.try_get(14)?,
        distinct_versions: row.try_get(15)?,
        terminal: row.try_get(16)?,
        last_status: row.try_get(17)?,
    })
}

/// A row of the stock's side.
pub(crate) fn stock(row: &Row) -> Result<StockSide, Error> {
    let mut side = StockSide { moves: moves(row)?, ..StockSide::default() };
    let Some(status) = row.try_get(1)? else {
        return Ok(side);
    };
    match serde_json::from_str(row.try_get(2)?) {
        Ok(lines) => side.reservation = Some(Reservation { status, lines }),
        Err(error) => {
            side.unreadable = Some(format!("the reservation's lines can't be read: {error}"));
        }
    }
    Ok(side)
}

fn moves(row: &Row) -> Result<BTreeMap<String, Moves>, Error> {
    let mut moves: BTreeMap<String, Moves> = BTreeMap::new();
    let Some(skus) = row.try_get::<_, Option<Vec<String>>>(3)? else {
        return Ok(moves);
    };
    let operations: Vec<&str> = row.try_get(4)?;
    let pieces: Vec<i64> = row.try_get(5)?;
    for ((sku, operation), pieces) in skus.into_iter().zip(operations).zip(pieces) {
        let moves = moves.entry(sku).or_default();
        let sum = match operation {
            "reserve" => &mut moves.reserved,
            "release" => &mut moves.released,
            "expire" => &mut moves.expired,
            "commit" => &mut moves.committed,
            _ => continue,
        };
        *sum = sum.saturating_add(pieces);
    }
    Ok(moves)
}

/// A row of the payment's side.
pub(crate) fn payment(row: &Row) -> Result<PaymentSide, Error> {
    let status: Option<String> = row.try_get(1)?;
    let payment = match status {
        None => None,
        Some(status) => {
            Some(Payment { status, amount: row.try_get(2)?, currency: row.try_get(3)? })
        }
    };
    let sum = |index| Ok::<i64, Error>(row.try_get::<_, Option<i64>>(index)?.unwrap_or_default());
    let money = Money {
        captured: sum(4)?,
        refunded: sum(5)?,
        captures: sum(6)?,
        refunds: sum(7)?,
        capture_balance: sum(8)?,
        refund_balance: sum(9)?,
        currencies: row.try_get::<_, Option<_>>(10)?.unwrap_or_default(),
    };
    Ok(PaymentSide { payment, money })
}

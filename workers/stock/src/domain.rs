//! How stock decides: orders whole or not at all, never below zero, the same answer however often.
//!
//! An article changes only by a [`Posting`], and every posting goes into the ledger: so the count
//! of an article is the sum of its ledger, by construction.

use std::time::Duration;

use orderly_contracts::number::Pieces;
use orderly_contracts::order::OrderLine;
use orderly_contracts::stock::{
    AdjustRefusal, AdjustStock, Shortage, StockAdjustRefused, StockAdjusted, StockExpired,
    StockLine, StockRefusal, StockRejected, StockReleased, StockReserved, StockShortfall,
};
use orderly_contracts::text::{OrderId, Sku};
use orderly_runtime::domain::{Decision, Timer, Verdict};

use crate::known::{Known, pieces};
use crate::state::{
    Adjustment, Goods, Item, Key, Operation, Origin, Outcome, Posting, Reservation, State, Status,
};

#[cfg(test)]
mod adjustments;
#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod world;

/// The step of the timer that ends a reservation nobody settled.
pub const EXPIRE: &str = "expire";

/// The stock worker's decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Stock {
    /// What may be set about them.
    pub policy: Policy,
}

/// What an operator may set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// How long a reservation waits to be settled. A safety net: longer than all deadlines of an
    /// order together, or it would end reservations of healthy orders.
    pub expiry: Duration,
}

impl Default for Policy {
    fn default() -> Self {
        Self { expiry: Duration::from_secs(8 * 24 * 60 * 60) }
    }
}

/// What arrives.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// An order asks for its goods.
    Reserve(OrderId, Goods),
    /// An order was called off.
    Release(OrderId),
    /// An order was paid; these are the goods in it.
    OrderConfirmed(OrderId, Goods),
    /// A reservation has waited too long.
    ExpiryDue(OrderId),
    /// Somebody corrects the count of an article.
    Adjust(AdjustStock),
}

/// What the lines of a reservation come to.
pub fn goods_to_reserve(lines: &[StockLine]) -> Goods {
    sum(lines.iter().map(|line| (&line.sku, line.pieces.get())))
}

/// What the lines of an order come to; services have no stock.
pub fn goods_ordered(lines: &[OrderLine]) -> Goods {
    let goods = lines.iter().filter(|line| !line.service);
    sum(goods.map(|line| (&line.sku, line.quantity.get())))
}

/// Sums by article. No pieces are no demand; more than 64 bits hold are out of stock all the same.
fn sum<'a>(lines: impl Iterator<Item = (&'a Sku, i64)>) -> Goods {
    let mut goods = Goods::new();
    for (sku, pieces) in lines.filter(|(_, pieces)| *pieces > 0) {
        let demand = goods.entry(sku.clone()).or_default();
        *demand = demand.saturating_add(pieces);
    }
    goods
}

impl Stock {
    /// Reserves all goods of an order or none; an order that asked before hears what came of it.
    pub(crate) fn reserve(
        &self,
        order: &OrderId,
        goods: &Goods,
        known: Known<'_>,
    ) -> Verdict<Self> {
        if let Some(reservation) = known.reservation(order) {
            return answer(order, &reservation.status, Decision::nothing());
        }
        let shortages = known.shortages(goods);
        if !shortages.is_empty() {
            return answered(order, Status::Rejected(shortages), goods, Decision::nothing());
        }
        let expiry = Timer { owner: order.to_string(), step: EXPIRE.to_owned(), round: 0 };
        let booked =
            known.book(order, goods, &[Operation::Reserve]).set_timer(expiry, self.policy.expiry);
        answered(order, Status::Reserved, goods, booked)
    }
}

/// Puts the reservation on record and answers as it stands.
fn answered(
    order: &OrderId,
    status: Status,
    goods: &Goods,
    decision: Decision<Stock>,
) -> Verdict<Stock> {
    let decision = record(order, status.clone(), goods, decision);
    answer(order, &status, decision)
}

/// What an order that asks for its goods hears.
fn answer(order: &OrderId, status: &Status, decision: Decision<Stock>) -> Verdict<Stock> {
    let order_id = order.clone();
    let reason = match status {
        Status::Reserved | Status::Committed => {
            return decision.send(&StockReserved { order_id }).done();
        }
        Status::Rejected(_) | Status::Short(_) => StockRefusal::OutOfStock,
        Status::Released => StockRefusal::Released,
        Status::Expired => StockRefusal::Expired,
    };
    let shortages = status.shortages().to_vec();
    decision.send(&StockRejected { order_id, reason, shortages }).rejected()
}

/// Gives back what an order has reserved. One that has not asked yet will be refused when it does.
pub(crate) fn release(order: &OrderId, known: Known<'_>) -> Verdict<Stock> {
    let released = StockReleased { order_id: order.clone() };
    let Some(Reservation { status, goods }) = known.reservation(order) else {
        let nothing = Decision::nothing();
        return record(order, Status::Released, &Goods::new(), nothing).send(&released).done();
    };
    match status {
        Status::Reserved => {
            let booked = known.book(order, goods, &[Operation::Release]);
            record(order, Status::Released, goods, booked)
                .clear_timer(order.as_str())
                .send(&released)
                .done()
        }
        Status::Rejected(_) | Status::Released | Status::Expired => {
            Decision::nothing().send(&released).done()
        }
        // The order is paid: nothing of it may be undone any more, and no saga asks for it.
        Status::Committed | Status::Short(_) => Decision::nothing().rejected(),
    }
}

/// Hands the goods of a paid order over. Where it holds none any more, they are taken from what is
/// available, and if that isn't enough, people must act.
pub(crate) fn commit(order: &OrderId, goods: &Goods, known: Known<'_>) -> Verdict<Stock> {
    match known.reservation(order) {
        Some(Reservation { status: Status::Reserved, goods }) => {
            let booked = known.book(order, goods, &[Operation::Commit]);
            record(order, Status::Committed, goods, booked).clear_timer(order.as_str()).done()
        }
        Some(Reservation { status: Status::Committed, .. }) => Decision::nothing().done(),
        Some(Reservation { status: Status::Short(shortages), .. }) => {
            shortfall(order, shortages.clone(), Decision::nothing())
        }
        _ if goods.is_empty() => Decision::nothing().done(),
        _ => commit_unreserved(order, goods, known),
    }
}

fn commit_unreserved(order: &OrderId, goods: &Goods, known: Known<'_>) -> Verdict<Stock> {
    let shortages = known.shortages(goods);
    if shortages.is_empty() {
        let booked = known.book(order, goods, &[Operation::Reserve, Operation::Commit]);
        return record(order, Status::Committed, goods, booked).done();
    }
    // On record, so that a second confirmation can't take what people have dealt with by then.
    let status = Status::Short(shortages.clone());
    shortfall(order, shortages, record(order, status, goods, Decision::nothing()))
}

fn shortfall(
    order: &OrderId,
    shortages: Vec<Shortage>,
    decision: Decision<Stock>,
) -> Verdict<Stock> {
    decision.send(&StockShortfall { order_id: order.clone(), shortages }).rejected()
}

/// Ends a reservation that nobody settled.
pub(crate) fn expire(order: &OrderId, known: Known<'_>) -> Verdict<Stock> {
    match known.reservation(order) {
        Some(Reservation { status: Status::Reserved, goods }) => {
            let booked = known.book(order, goods, &[Operation::Expire]);
            record(order, Status::Expired, goods, booked)
                .send(&StockExpired { order_id: order.clone() })
                .done()
        }
        _ => Decision::nothing().done(),
    }
}

/// Corrects the count of an article, once; the same correction again hears what came of it.
pub(crate) fn adjust(command: &AdjustStock, known: Known<'_>) -> Verdict<Stock> {
    let id = &command.adjustment_id;
    let nothing = Decision::nothing();
    if let Some(Adjustment { sku, delta, outcome, .. }) = known.adjustment(id) {
        let is_same = (sku, delta) == (&command.sku, &command.delta);
        let outcome = if is_same { *outcome } else { Outcome::Refused(AdjustRefusal::Conflict) };
        return adjusted(command, outcome, nothing);
    }
    let delta = command.delta.get();
    let item = known.item(&command.sku).after(Operation::Adjust, delta);
    let (outcome, decision) = if item.on_hand < item.reserved {
        (Outcome::Refused(AdjustRefusal::BelowReserved), nothing)
    } else if item.on_hand > Pieces::MAX {
        (Outcome::Refused(AdjustRefusal::AboveLimit), nothing)
    } else {
        let posting = Posting {
            sku: command.sku.clone(),
            origin: Origin::Adjustment(id.clone()),
            operation: Operation::Adjust,
            pieces: delta,
            at: known.at,
        };
        let changed = nothing.change(Key::Item(command.sku.clone()), State::Item(item));
        (Outcome::Adjusted(item), changed.entry(posting))
    };
    let adjustment = Adjustment {
        sku: command.sku.clone(),
        delta: command.delta,
        note: command.note.clone(),
        outcome,
    };
    let on_record = decision.change(Key::Adjustment(id.clone()), State::Adjustment(adjustment));
    adjusted(command, outcome, on_record)
}

/// What whoever corrects an article hears.
fn adjusted(command: &AdjustStock, outcome: Outcome, decision: Decision<Stock>) -> Verdict<Stock> {
    let AdjustStock { adjustment_id, sku, delta, .. } = command.clone();
    match outcome {
        Outcome::Adjusted(Item { on_hand, reserved }) => {
            let (on_hand, reserved) = (pieces(on_hand), pieces(reserved));
            let adjusted = StockAdjusted { adjustment_id, sku, delta, on_hand, reserved };
            decision.send(&adjusted).done()
        }
        Outcome::Refused(reason) => {
            decision.send(&StockAdjustRefused { adjustment_id, sku, delta, reason }).rejected()
        }
    }
}

/// Puts the reservation of `order` on record.
fn record(
    order: &OrderId,
    status: Status,
    goods: &Goods,
    decision: Decision<Stock>,
) -> Decision<Stock> {
    let reservation = Reservation { status, goods: goods.clone() };
    decision.change(Key::Reservation(order.clone()), State::Reservation(reservation))
}

//! Every way in which an order may rest, and none of it is complained of.

use orderly_contracts::order::OrderStatus;

use super::world::{at, cancelled, confirmed, content, facts, judged, payment, stock};
use crate::audit::facts::{Facts, Goods, Moves, PaymentSide, StockSide};
use crate::audit::waiting::Waiting;

#[track_caller]
fn is(facts: &Facts, outcome: &str) {
    assert_eq!(judged(facts, &Waiting::default()), [outcome]);
}

fn without_goods(mut facts: Facts) -> Facts {
    content(&mut facts).goods = Goods::new();
    facts.stock = StockSide::default();
    facts
}

fn without_price(mut facts: Facts) -> Facts {
    content(&mut facts).total = 0;
    content(&mut facts).sum_of_lines = 0;
    facts.payment = PaymentSide::default();
    facts
}

#[test]
fn an_order_that_is_paid_and_committed() {
    is(&confirmed(), "confirmed");
    is(&without_goods(confirmed()), "confirmed");
    is(&without_price(confirmed()), "confirmed");
    is(&without_price(without_goods(confirmed())), "confirmed");
}

#[test]
fn goods_that_were_taken_after_the_reservation_had_expired() {
    let mut facts = confirmed();
    for moves in facts.stock.moves.values_mut() {
        let pieces = moves.committed;
        *moves = Moves { reserved: 2 * pieces, expired: pieces, ..*moves };
    }
    is(&facts, "confirmed");
}

#[test]
fn a_shortfall_on_record() {
    let short = facts(OrderStatus::Confirmed, stock("short"), payment("captured"));
    is(&short, "confirmed_short");
    let mut expired_before = short;
    expired_before.stock.moves = stock("expired").moves;
    is(&expired_before, "confirmed_short");
}

#[test]
fn an_order_that_found_too_little_stock() {
    let nothing = PaymentSide::default();
    is(&facts(OrderStatus::Rejected, stock("rejected"), nothing), "rejected");
}

#[test]
fn an_order_that_was_undone() {
    is(&cancelled(), "cancelled");
    let nothing = PaymentSide::default;
    is(&facts(OrderStatus::Cancelled, stock("released"), nothing()), "cancelled");
    is(&facts(OrderStatus::Cancelled, stock("expired"), payment("declined")), "cancelled");
    is(&facts(OrderStatus::Cancelled, stock("rejected"), payment("voided")), "cancelled");
    is(&without_goods(cancelled()), "cancelled");
}

#[test]
fn an_order_that_was_cancelled_before_it_was_placed() {
    let mut facts = at(OrderStatus::Cancelled, 1);
    super::world::order(&mut facts).content = None;
    is(&facts, "cancelled");
}

#[test]
fn tombstones_without_an_order() {
    let mut released = stock("released");
    released.moves.clear();
    if let Some(reservation) = &mut released.reservation {
        reservation.lines.clear();
    }
    let facts = Facts { stock: released, payment: payment("voided"), ..Facts::default() };
    is(&facts, "tombstone");
}

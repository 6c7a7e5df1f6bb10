//! Every reason to be open, and that it ends when nothing is on its way any more.

use orderly_contracts::order::OrderStatus;
use orderly_contracts::routes::Party;

use super::world::{
    confirmed, facts, judged, letter, order, payment, pending, reserved, stock, unsent_of,
    waiting_in,
};
use crate::audit::facts::{Facts, PaymentSide, StockSide};
use crate::audit::verdict::{Verdict, judge};
use crate::audit::waiting::{QueueKind, Waiting};

fn nothing() -> Waiting {
    Waiting::default()
}

#[test]
fn a_saga_names_the_answer_it_waits_for() {
    assert_eq!(judged(&pending(), &nothing()), ["awaits_reservation"]);
    assert_eq!(judged(&reserved(), &nothing()), ["awaits_charge"]);
    for (release, refund, reason) in [
        (true, true, "awaits_release_and_refund"),
        (true, false, "awaits_release"),
        (false, true, "awaits_refund"),
    ] {
        let mut facts = facts(OrderStatus::Cancelling, stock("reserved"), payment("captured"));
        order(&mut facts).owes_release = release;
        order(&mut facts).owes_refund = refund;
        assert_eq!(judged(&facts, &nothing()), [reason]);
    }
}

#[test]
fn answers_that_are_on_their_way_are_no_contradiction() {
    for status in ["reserved", "rejected", "expired"] {
        let facts = facts(OrderStatus::Pending, stock(status), PaymentSide::default());
        assert_eq!(judged(&facts, &nothing()), ["awaits_reservation"], "{status}");
    }
    for status in ["requested", "unknown", "captured", "declined"] {
        let facts = facts(OrderStatus::Reserved, stock("reserved"), payment(status));
        assert_eq!(judged(&facts, &nothing()), ["awaits_charge"], "{status}");
    }
}

#[test]
fn the_reason_says_for_how_long_and_until_when() {
    let Verdict::Open(reason) = judge(&pending(), &nothing()) else {
        panic!("it is open");
    };
    assert_eq!(
        reason.to_string(),
        "waits for the stock's answer to the reservation for 12s, asked again 1 time, \
         next deadline in 18 s"
    );
}

/// Confirmed, but the stock has not heard of it yet.
fn uncommitted() -> Facts {
    facts(OrderStatus::Confirmed, stock("reserved"), payment("captured"))
}

#[test]
fn a_commit_is_under_way_as_long_as_it_may_be_somewhere() {
    use Party::{Order, Payment, Stock};
    use QueueKind::{Dead, Retry, Work};
    for place in [
        waiting_in("stock.settle", Stock, Work),
        waiting_in("stock.retry.0.1000ms", Stock, Retry),
        waiting_in("stock.dead", Stock, Dead),
        unsent_of(Order),
    ] {
        assert_eq!(judged(&uncommitted(), &place), ["commit_under_way"], "{place:?}");
    }
    for elsewhere in [
        nothing(),
        waiting_in("stock.commands", Stock, Work),
        waiting_in("order.answers", Order, Work),
        waiting_in("payment.retry.0.1000ms", Payment, Retry),
        unsent_of(Stock),
    ] {
        assert_eq!(judged(&uncommitted(), &elsewhere), ["commit_missing"], "{elsewhere:?}");
    }
}

#[test]
fn a_compensation_is_under_way_as_long_as_it_may_be_somewhere() {
    let held = facts(OrderStatus::Cancelled, stock("reserved"), PaymentSide::default());
    let kept = facts(OrderStatus::Cancelled, StockSide::default(), payment("refunding"));
    let asked = facts(OrderStatus::Rejected, stock("rejected"), payment("requested"));
    let effects = waiting_in("payment.effects", Party::Payment, QueueKind::Work);
    let settle = waiting_in("stock.settle", Party::Stock, QueueKind::Work);
    assert_eq!(judged(&held, &settle), ["release_under_way"]);
    assert_eq!(judged(&kept, &effects), ["refund_under_way"]);
    assert_eq!(judged(&asked, &effects), ["refund_under_way"]);
}

#[test]
fn a_dead_letter_explains_what_a_message_would_have_settled() {
    let mut facts = uncommitted();
    facts.letters = vec![letter()];
    assert_eq!(judged(&facts, &nothing()), ["dead_letter"]);
    let mut facts = pending();
    facts.letters = vec![letter()];
    assert_eq!(judged(&facts, &nothing()), ["dead_letter"]);
}

#[test]
fn a_dead_letter_explains_nothing_else() {
    let mut facts = confirmed();
    facts.letters = vec![letter()];
    assert_eq!(judged(&facts, &nothing()), ["confirmed"]);
    facts.payment = payment("declined");
    assert_eq!(judged(&facts, &nothing()), ["capture_missing"]);
}

#[test]
fn what_changed_while_it_was_read_is_not_judged() {
    let mut facts = confirmed();
    facts.payment = PaymentSide::default();
    facts.has_moved = true;
    assert_eq!(judged(&facts, &nothing()), ["moving"]);
    let placed_meanwhile = Facts { has_moved: true, ..Facts::default() };
    assert_eq!(judged(&placed_meanwhile, &nothing()), ["moving"]);
}

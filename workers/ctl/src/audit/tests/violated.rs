//! Every violation of an order, made on purpose by one change, and found by its code.

use std::collections::BTreeSet;

use orderly_contracts::order::OrderStatus;

use super::world::{
    cancelled, confirmed, content, facts, judged, order, payment, pending, reservation, reserved,
    stock,
};
use crate::audit::facts::{Facts, PaymentSide, StockSide};
use crate::audit::violation::Violation;
use crate::audit::waiting::Waiting;

/// One change of an order, and what it violates.
type Case = (&'static str, Facts, fn(&mut Facts));

fn cases_of_orders() -> Vec<Case> {
    vec![
        ("order_lost", confirmed(), |it| it.order.order = None),
        ("unreadable", confirmed(), |it| it.order.unreadable = Some("lines".to_owned())),
        ("total_wrong", confirmed(), |it| content(it).sum_of_lines += 1),
        ("history_lost", confirmed(), |it| it.order.history = <_>::default()),
        ("history_broken", confirmed(), |it| it.order.history.entries = 2),
        ("history_broken", confirmed(), |it| it.order.history.first_version = 2),
        ("history_broken", confirmed(), |it| it.order.history.distinct_versions = 2),
        ("history_broken", confirmed(), |it| order(it).version = 4),
        ("end_missing", confirmed(), |it| it.order.history.terminal = 0),
        ("ended_twice", confirmed(), |it| it.order.history.terminal = 2),
        ("ended_and_open", pending(), |it| it.order.history.terminal = 1),
        ("history_disagrees", confirmed(), |it| {
            it.order.history.last_status = "cancelled".to_owned();
        }),
        ("deadline_lost", pending(), |it| order(it).deadline = None),
        ("deadline_lost", reserved(), |it| order(it).deadline = None),
    ]
}

fn cases_of_stock() -> Vec<Case> {
    vec![
        ("unreadable", confirmed(), |it| it.stock.unreadable = Some("lines".to_owned())),
        ("reservation_lost", confirmed(), |it| it.stock.reservation = None),
        ("stock_ledger_wrong", confirmed(), |it| it.stock.moves.clear()),
        ("stock_ledger_wrong", confirmed(), |it| {
            if let Some(moves) = it.stock.moves.get_mut("71053") {
                moves.committed -= 1;
            }
        }),
        ("stock_ledger_wrong", cancelled(), |it| {
            if let Some(moves) = it.stock.moves.get_mut("71053") {
                moves.released -= 1;
            }
        }),
        ("committed_twice", confirmed(), |it| {
            if let Some(moves) = it.stock.moves.get_mut("71053") {
                moves.committed *= 2;
            }
        }),
        ("goods_differ", confirmed(), |it| {
            content(it).goods.insert("71053".to_owned(), 3);
        }),
        ("goods_differ", confirmed(), |it| content(it).goods.clear()),
        ("goods_differ", reserved(), |it| {
            content(it).goods.insert("22423".to_owned(), 1);
        }),
        ("commit_missing", confirmed(), |it| it.stock = stock("reserved")),
        ("commit_missing", confirmed(), |it| it.stock = stock("expired")),
        ("commit_missing", confirmed(), |it| it.stock = stock("released")),
        ("commit_missing", confirmed(), |it| it.stock = StockSide::default()),
        ("committed_unconfirmed", reserved(), |it| it.stock = stock("committed")),
        ("committed_unconfirmed", cancelled(), |it| it.stock = stock("committed")),
        ("committed_unconfirmed", cancelled(), |it| it.stock = stock("short")),
        ("held_after_end", cancelled(), |it| {
            it.stock = stock("reserved");
            it.stock.moves.remove("71053");
            reservation(it).lines.remove("71053");
        }),
        ("reservation_missing", reserved(), |it| it.stock = StockSide::default()),
        ("reservation_missing", reserved(), |it| it.stock = stock("rejected")),
        ("stock_without_order", reserved(), |it| it.order = <_>::default()),
    ]
}

fn cases_of_money() -> Vec<Case> {
    vec![
        ("payment_lost", confirmed(), |it| it.payment.payment = None),
        ("money_ledger_wrong", confirmed(), |it| it.payment.money = <_>::default()),
        ("money_ledger_wrong", cancelled(), |it| it.payment.money.refunded -= 1),
        ("money_ledger_wrong", cancelled(), |it| {
            it.payment.money = payment("captured").money;
        }),
        ("money_unbalanced", confirmed(), |it| it.payment.money.capture_balance = 5),
        ("money_unbalanced", cancelled(), |it| it.payment.money.refund_balance = -5),
        ("captured_twice", confirmed(), |it| {
            it.payment.money.captures = 2;
            it.payment.money.captured *= 2;
        }),
        ("refunded_twice", cancelled(), |it| it.payment.money.refunds = 2),
        ("currency_differs", confirmed(), |it| content(it).currency = "EUR".to_owned()),
        ("currency_differs", confirmed(), |it| {
            it.payment.money.currencies = vec!["EUR".to_owned()];
        }),
        ("capture_missing", confirmed(), |it| it.payment = PaymentSide::default()),
        ("capture_missing", confirmed(), |it| it.payment = payment("refunded")),
        ("capture_missing", confirmed(), |it| it.payment = payment("requested")),
        ("amount_differs", confirmed(), |it| {
            content(it).total += 1;
            content(it).sum_of_lines += 1;
        }),
        ("charged_for_nothing", confirmed(), |it| {
            content(it).total = 0;
            content(it).sum_of_lines = 0;
        }),
        ("captured_too_early", pending(), |it| it.payment = payment("captured")),
        ("kept_after_end", cancelled(), |it| it.payment = payment("captured")),
        ("kept_after_end", cancelled(), |it| it.payment = payment("refunding")),
        ("payment_unsettled", cancelled(), |it| it.payment = payment("unknown")),
        ("payment_without_order", reserved(), |it| {
            *it = facts(OrderStatus::Reserved, StockSide::default(), payment("captured"));
            it.order = <_>::default();
        }),
    ]
}

fn cases() -> Vec<Case> {
    [cases_of_orders(), cases_of_stock(), cases_of_money()].concat()
}

#[test]
fn every_violation_is_found_by_its_code() {
    for (code, mut facts, change) in cases() {
        change(&mut facts);
        let mut found = judged(&facts, &Waiting::default());
        found.dedup();
        // A violation in one place may show in another.
        assert!(found.contains(&code), "{code}: found {found:?} in {facts:?}");
    }
}

#[test]
fn no_violation_of_an_order_is_left_untried() {
    let tried: BTreeSet<&str> = cases().iter().map(|(code, ..)| *code).collect();
    let of_others = [
        "article_lost",
        "on_hand_wrong",
        "reserved_wrong",
        "stock_impossible",
        "adjustments_wrong",
        "money_sum_wrong",
        "outbox_stuck",
        "message_lost",
    ];
    let untried: Vec<_> = Violation::CODES
        .iter()
        .filter(|code| !tried.contains(*code) && !of_others.contains(*code))
        .collect();
    assert!(untried.is_empty(), "{untried:?}");
}

#[test]
fn the_texts_name_the_figures() {
    let violation =
        Violation::KeptAfterEnd { status: "cancelled", kept: 3030, payment: "captured".to_owned() };
    assert_eq!(
        violation.to_string(),
        "the order is cancelled, but 3030 are kept and its payment is captured"
    );
}

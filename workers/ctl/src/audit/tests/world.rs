//! Orders that are as they should be, one for each way to be.

use std::collections::BTreeMap;
use std::time::Duration;

use orderly_contracts::order::OrderStatus;

use crate::audit::facts::{
    Content, DeadLetter, Deadline, Facts, History, Money, Moves, Order, OrderSide, Payment,
    PaymentSide, Reservation, StockSide,
};
use crate::audit::verdict::{Verdict, judge};
use crate::audit::waiting::{Outbox, QueueDepth, QueueKind, Waiting};
use orderly_contracts::routes::Party;

/// What every order here costs.
pub(super) const TOTAL: i64 = 3030;

pub(super) fn goods() -> BTreeMap<String, i64> {
    BTreeMap::from([("85123A".to_owned(), 6), ("71053".to_owned(), 2)])
}

/// An order that stands at `status` since its version `version`.
pub(super) fn at(status: OrderStatus, version: i64) -> Facts {
    let is_final = status.is_final();
    let deadline = Deadline { step: "reserve".to_owned(), round: 1, due_in_seconds: 18 };
    let order = Order {
        status,
        version,
        content: Some(Content {
            goods: goods(),
            total: TOTAL,
            sum_of_lines: TOTAL.into(),
            currency: "GBP".to_owned(),
        }),
        owes_release: status == OrderStatus::Cancelling,
        owes_refund: status == OrderStatus::Cancelling,
        unchanged_for: Duration::from_secs(12),
        deadline: (!is_final).then_some(deadline),
    };
    let history = History {
        entries: version,
        first_version: 1,
        last_version: version,
        distinct_versions: version,
        terminal: i64::from(is_final),
        last_status: status.as_str().to_owned(),
    };
    Facts {
        order_id: "536365".to_owned(),
        order: OrderSide { order: Some(order), history, unreadable: None },
        ..Facts::default()
    }
}

/// A reservation whose ledger says what it should.
pub(super) fn stock(status: &str) -> StockSide {
    let moves = |pieces| match status {
        "rejected" | "short" => Moves::default(),
        "reserved" => Moves { reserved: pieces, ..Moves::default() },
        "released" => Moves { reserved: pieces, released: pieces, ..Moves::default() },
        "expired" => Moves { reserved: pieces, expired: pieces, ..Moves::default() },
        "committed" => Moves { reserved: pieces, committed: pieces, ..Moves::default() },
        other => panic!("no reservation is {other}"),
    };
    StockSide {
        reservation: Some(Reservation { status: status.to_owned(), lines: goods() }),
        moves: goods().into_iter().map(|(sku, pieces)| (sku, moves(pieces))).collect(),
        unreadable: None,
    }
}

/// A payment whose ledger says what it should.
pub(super) fn payment(status: &str) -> PaymentSide {
    let (captures, refunds) = match status {
        "captured" | "refunding" => (1, 0),
        "refunded" => (1, 1),
        _ => (0, 0),
    };
    PaymentSide {
        payment: Some(Payment {
            status: status.to_owned(),
            amount: Some(TOTAL),
            currency: Some("GBP".to_owned()),
        }),
        money: Money {
            captured: captures * TOTAL,
            refunded: refunds * TOTAL,
            captures,
            refunds,
            capture_balance: 0,
            refund_balance: 0,
            currencies: if captures > 0 { vec!["GBP".to_owned()] } else { vec![] },
        },
    }
}

/// An order with stock and payment.
pub(super) fn facts(status: OrderStatus, stock: StockSide, payment: PaymentSide) -> Facts {
    Facts { stock, payment, ..at(status, 3) }
}

pub(super) fn confirmed() -> Facts {
    facts(OrderStatus::Confirmed, stock("committed"), payment("captured"))
}

pub(super) fn cancelled() -> Facts {
    facts(OrderStatus::Cancelled, stock("released"), payment("refunded"))
}

pub(super) fn pending() -> Facts {
    at(OrderStatus::Pending, 1)
}

pub(super) fn reserved() -> Facts {
    facts(OrderStatus::Reserved, stock("reserved"), PaymentSide::default())
}

/// The order of these facts.
pub(super) fn order(facts: &mut Facts) -> &mut Order {
    facts.order.order.as_mut().expect("there is an order")
}

/// The content of these facts.
pub(super) fn content(facts: &mut Facts) -> &mut Content {
    order(facts).content.as_mut().expect("there is content")
}

/// The reservation of these facts.
pub(super) fn reservation(facts: &mut Facts) -> &mut Reservation {
    facts.stock.reservation.as_mut().expect("there is a reservation")
}

/// One message in the queue.
pub(super) fn waiting_in(name: &str, party: Party, kind: QueueKind) -> Waiting {
    let name = name.to_owned();
    let queue = QueueDepth { name, party, kind, ready: 1, consumers: 1 };
    Waiting { queues: vec![queue], outboxes: vec![] }
}

/// One batch in the outbox.
pub(super) fn unsent_of(party: Party) -> Waiting {
    let outbox = Outbox { party, unsent_batches: 1, oldest_seconds: 2 };
    Waiting { queues: vec![], outboxes: vec![outbox] }
}

pub(super) fn letter() -> DeadLetter {
    DeadLetter { id: "5f0c".to_owned(), reason: "exhausted".to_owned(), worker: "stock" }
}

/// The codes of all violations, or of the reason, or the word of the outcome.
pub(super) fn judged(facts: &Facts, waiting: &Waiting) -> Vec<&'static str> {
    match judge(facts, waiting) {
        Verdict::Clean(outcome) => vec![outcome.word()],
        Verdict::Open(reason) => vec![reason.code()],
        Verdict::Violated(violations) => violations.iter().map(|it| it.code()).collect(),
    }
}

//! What labels may say, and the bounds of histograms: closed sets, known in advance.

use std::borrow::Cow;

use orderly_contracts::Reason;
use orderly_contracts::order::{EndReason, OrderStatus};
use orderly_contracts::routes::{PAYMENT_EFFECTS, Party, kinds_in};

use crate::metrics::metric::{Label, Metric, OTHER, Place, Shape};
use crate::topology::work_queues;

/// The workers of one service.
pub(super) const ORDER: [Party; 1] = [Party::Order];
pub(super) const STOCK: [Party; 1] = [Party::Stock];
pub(super) const PAYMENT: [Party; 1] = [Party::Payment];

/// Bounds for what should take moments.
pub(super) const SHORT_BOUNDS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Bounds for what may wait behind a backlog.
pub(super) const LONG_BOUNDS: [f64; 16] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
];
/// Bounds for the life of an order, up to the first deadlines and beyond.
pub(super) const ORDER_BOUNDS: [f64; 15] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0];
/// Bounds for batches, up to the largest that may be configured.
pub(super) const BATCH_BOUNDS: [f64; 11] =
    [1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1_000.0, 10_000.0];

pub(super) const QUEUE: Label = Label {
    name: "queue",
    meaning: "a work queue of the worker",
    values: |place| borrowed(work_queues(place.party)),
};
pub(super) const BATCHED_QUEUE: Label = Label {
    name: "queue",
    meaning: "a work queue of the worker, but for `payment.effects`",
    values: |place| {
        let queues = work_queues(place.party).into_iter();
        borrowed(queues.filter(|queue| *queue != PAYMENT_EFFECTS))
    },
};
pub(super) const KIND: Label = Label {
    name: "kind",
    meaning: "a type of message that comes in this queue",
    values: |place| {
        let queues = work_queues(place.party).into_iter();
        borrowed(queues.flat_map(|queue| kinds_in(queue).map(|route| route.kind)))
    },
};
pub(super) const FATE: Label =
    words("outcome", |_| borrowed(["done", "rejected", "retry", "dead"]));
pub(super) const RUNG: Label = Label {
    name: "rung",
    meaning: "a rung of the retry ladder, counted from 0",
    values: |place| (0..place.rungs).map(|rung| Cow::Owned(rung.to_string())).collect(),
};
pub(super) const REASON: Label = Label {
    name: "reason",
    meaning: "a reason of a dead letter, as in `contracts/README.md`",
    values: |_| borrowed(Reason::ALL.map(Reason::code)),
};
pub(super) const TIMER_OUTCOME: Label =
    words("outcome", |_| borrowed(["fired", "frozen", "failed"]));
pub(super) const SPAN_OUTCOME: Label = words("outcome", |_| borrowed(["exported", "dropped"]));
pub(super) const EFFECT_OUTCOME: Label = words("outcome", |_| borrowed(["answered", "failed"]));
pub(super) const ORDER_OUTCOME: Label = words("outcome", |_| {
    let ends = OrderStatus::ALL.into_iter().filter(|status| status.is_final());
    borrowed(ends.map(OrderStatus::as_str))
});
pub(super) const OPEN_STATUS: Label = words("status", |_| {
    let open = OrderStatus::ALL.into_iter().filter(|status| !status.is_final());
    borrowed(open.map(OrderStatus::as_str))
});
pub(super) const END_REASON: Label = Label {
    name: "reason",
    meaning: "why an order was not confirmed, as in `order.cancelled.v1`; empty if it was",
    values: |_| borrowed([""].into_iter().chain(EndReason::ALL.map(EndReason::as_str))),
};
pub(super) const CURRENCY: Label = Label {
    name: "currency",
    meaning: "one of the most traded currencies, or `other`: anybody may invent three letters",
    values: |_| {
        borrowed([
            "AUD", "CAD", "CHF", "CNY", "EUR", "GBP", "HKD", "INR", "JPY", "KRW", "MXN", "NOK",
            "NZD", "SEK", "SGD", "USD", OTHER,
        ])
    },
};
pub(super) const POOL_STATE: Label = words("state", |_| borrowed(["busy", "idle", "waiting"]));
pub(super) const VERSION: Label = Label {
    name: "version",
    meaning: "the version of the worker",
    values: |_| borrowed([env!("CARGO_PKG_VERSION")]),
};

pub(super) fn kind_comes_in_queue(values: &[&str]) -> bool {
    matches!(values, [queue, kind, ..] if kinds_in(queue).any(|route| route.kind == *kind))
}

pub(super) fn only_failures_have_a_reason(values: &[&str]) -> bool {
    matches!(values, [outcome, reason] if (*outcome == "confirmed") == reason.is_empty())
}

/// A label with few values, all of which say enough.
const fn words(name: &'static str, values: fn(&Place) -> Vec<Cow<'static, str>>) -> Label {
    Label { name, meaning: "", values }
}

fn borrowed(values: impl IntoIterator<Item = &'static str>) -> Vec<Cow<'static, str>> {
    values.into_iter().map(Cow::Borrowed).collect()
}

pub(super) const fn counter(
    name: &'static str,
    unit: &'static str,
    labels: &'static [Label],
    meaning: &'static str,
) -> Metric {
    Metric::new(Shape::Counter, name, unit, labels, meaning)
}

pub(super) const fn gauge(
    name: &'static str,
    unit: &'static str,
    labels: &'static [Label],
    meaning: &'static str,
) -> Metric {
    Metric::new(Shape::Gauge, name, unit, labels, meaning)
}

pub(super) const fn histogram(
    name: &'static str,
    unit: &'static str,
    labels: &'static [Label],
    bounds: &'static [f64],
    meaning: &'static str,
) -> Metric {
    Metric::new(Shape::Histogram(bounds), name, unit, labels, meaning)
}

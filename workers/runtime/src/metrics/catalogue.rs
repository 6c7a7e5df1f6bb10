//! Every metric of a worker: name, unit, labels and meaning. The page in `docs` follows from it.
//!
//! Labels come from closed sets: queues, kinds, outcomes, reasons. Never ids, and never what a
//! sender wrote.

use std::borrow::Cow;

use orderly_contracts::Reason;
use orderly_contracts::order::{EndReason, OrderStatus};
use orderly_contracts::routes::{PAYMENT_EFFECTS, Party, kinds_in};

use super::metric::{Label, Metric, OTHER, Place, Shape};
use crate::topology::work_queues;

/// All workers.
pub const EVERY: [Party; 3] = crate::topology::WORKERS;
const ORDER: [Party; 1] = [Party::Order];
const STOCK: [Party; 1] = [Party::Stock];
const PAYMENT: [Party; 1] = [Party::Payment];

/// Every metric, in the order of the page.
pub static CATALOGUE: &[&Metric] = &[
    &MESSAGES,
    &DUPLICATES,
    &RETRIES,
    &DEAD_LETTERS,
    &BATCH_MESSAGES,
    &BATCH_SPLITS,
    &CONFLICTS,
    &QUEUE_SECONDS,
    &TRANSACTION_SECONDS,
    &CONFIRM_SECONDS,
    &CRITICAL_SECONDS,
    &PUBLISHED,
    &SWEPT,
    &TIMERS,
    &EFFECTS,
    &EFFECT_SECONDS,
    &ORDERS_PLACED,
    &ORDERS_ENDED,
    &ORDER_SECONDS,
    &MONEY_CHARGED,
    &MONEY_REFUNDED,
    &IN_PROGRESS,
    &ORDERS_OPEN,
    &ORDERS_OLDEST,
    &DEADLINES_OVERDUE,
    &DEADLINES_OLDEST,
    &OUTPUTS_WAITING,
    &OUTPUTS_OLDEST,
    &DEAD_LETTERS_OPEN,
    &OUT_OF_STOCK,
    &CENSUS_TIMESTAMP,
    &READY,
    &PAUSED,
    &BREAKER_OPEN,
    &SESSIONS,
    &BROKER_CONNECTED,
    &BROKER_BLOCKED,
    &BROKER_BLOCKED_SECONDS,
    &CONNECTIONS,
    &CONNECTIONS_MAX,
    &LOG_LINES_DROPPED,
    &TRACE_SPANS,
    &BUILD_INFO,
    &PROCESS_CPU,
    &PROCESS_RESIDENT,
    &PROCESS_VIRTUAL,
    &PROCESS_VIRTUAL_MAX,
    &PROCESS_START,
    &PROCESS_FDS,
    &PROCESS_FDS_MAX,
    &PROCESS_THREADS,
];

/// Messages decided, by what came of them.
pub static MESSAGES: Metric = counter(
    "orderly_messages_total",
    "messages",
    &[QUEUE, KIND, FATE],
    "Messages decided. Duplicates are not among them, nor are messages that could not be read, which \
     are dead letters.",
)
.with(kind_comes_in_queue);

/// Messages that had been processed before.
pub static DUPLICATES: Metric = counter(
    "orderly_duplicates_total",
    "messages",
    &[BATCHED_QUEUE, KIND],
    "Messages that had been processed before, and had no effect again.",
)
.with(kind_comes_in_queue);

/// Messages sent to the retry ladder.
pub static RETRIES: Metric = counter(
    "orderly_retries_total",
    "messages",
    &[QUEUE, RUNG],
    "Messages sent to a rung of the retry ladder.",
);

/// Messages given up.
pub static DEAD_LETTERS: Metric = counter(
    "orderly_dead_letters_total",
    "messages",
    &[QUEUE, REASON],
    "Messages given up, by the queue they came from.",
);

/// Messages in a batch.
pub static BATCH_MESSAGES: Metric = histogram(
    "orderly_batch_messages",
    "messages",
    &[BATCHED_QUEUE],
    &BATCH_BOUNDS,
    "Messages taken in hand together.",
);

/// Batches split to find the message at fault.
pub static BATCH_SPLITS: Metric = counter(
    "orderly_batch_splits_total",
    "batches",
    &[BATCHED_QUEUE],
    "Batches split to find the message at fault.",
);

/// Transactions tried again.
pub static CONFLICTS: Metric = counter(
    "orderly_transaction_conflicts_total",
    "transactions",
    &[BATCHED_QUEUE],
    "Transactions tried again because another was in the way.",
);

/// From sent to taken in hand.
pub static QUEUE_SECONDS: Metric = histogram(
    "orderly_queue_seconds",
    "seconds",
    &[QUEUE],
    &LONG_BOUNDS,
    "From sent to taken in hand. A message was sent when its header `sent-at-us` says so: a worker \
     puts there when it took in hand what caused the message, so its own work on that is part of it. \
     Messages without the header are not observed.",
);

/// From taken in hand to committed.
pub static TRANSACTION_SECONDS: Metric = histogram(
    "orderly_transaction_seconds",
    "seconds",
    &[BATCHED_QUEUE],
    &SHORT_BOUNDS,
    "From a batch taken in hand to all of it committed, with everything that was tried again.",
);

/// From published to confirmed.
pub static CONFIRM_SECONDS: Metric = histogram(
    "orderly_publish_confirm_seconds",
    "seconds",
    &[],
    &SHORT_BOUNDS,
    "From publishing a window of messages to the last of its confirms.",
);

/// From sent to settled.
pub static CRITICAL_SECONDS: Metric = histogram(
    "orderly_critical_seconds",
    "seconds",
    &[QUEUE],
    &LONG_BOUNDS,
    "The critical time, from sent (as in `orderly_queue_seconds`) to settled: what follows from the \
     message is confirmed by the broker, and its delivery is acknowledged.",
);

/// Messages published and confirmed.
pub static PUBLISHED: Metric = counter(
    "orderly_published_total",
    "messages",
    &[],
    "Messages published and answered by the broker, copies for the ladder and dead letters included.",
);

/// Messages published late.
pub static SWEPT: Metric = counter(
    "orderly_swept_total",
    "messages",
    &[],
    "Messages published late, after a crash had left them.",
);

/// Timers that fell due.
pub static TIMERS: Metric = counter(
    "orderly_timers_total",
    "timers",
    &[TIMER_OUTCOME],
    "Timers that fell due. One is frozen while the participant it waits for is absent or has a \
     backlog; one that failed is put off and logged as an error.",
);

/// Calls to the outside.
pub static EFFECTS: Metric = counter(
    "orderly_effects_total",
    "calls",
    &[EFFECT_OUTCOME],
    "Calls to the payment provider. A declined payment is an answer.",
)
.only(&PAYMENT);

/// The time of a call.
pub static EFFECT_SECONDS: Metric = histogram(
    "orderly_effect_seconds",
    "seconds",
    &[],
    &LONG_BOUNDS,
    "Time of a call to the payment provider.",
)
.only(&PAYMENT);

/// Orders placed.
pub static ORDERS_PLACED: Metric =
    counter("orderly_orders_placed_total", "orders", &[], "Orders placed.").only(&ORDER);

/// Orders that came to their end.
pub static ORDERS_ENDED: Metric = counter(
    "orderly_orders_ended_total",
    "orders",
    &[ORDER_OUTCOME, END_REASON],
    "Orders that came to their end; also those that were cancelled before they were placed.",
)
.only(&ORDER)
.with(only_failures_have_a_reason);

/// From placed to ended.
pub static ORDER_SECONDS: Metric = histogram(
    "orderly_order_seconds",
    "seconds",
    &[ORDER_OUTCOME],
    &ORDER_BOUNDS,
    "From an order placed, as its publisher says, to the arrival of what ended it.",
)
.only(&ORDER);

/// Money charged.
pub static MONEY_CHARGED: Metric = counter(
    "orderly_money_charged_total",
    "minor units",
    &[CURRENCY],
    "Money charged, as in the ledger, in minor units such as cents. Under `other` are the sums of \
     currencies that have nothing in common.",
)
.only(&PAYMENT);

/// Money given back.
pub static MONEY_REFUNDED: Metric = counter(
    "orderly_money_refunded_total",
    "minor units",
    &[CURRENCY],
    "Money given back, as in the ledger, in minor units such as cents.",
)
.only(&PAYMENT);

/// Work in progress and moving.
pub static IN_PROGRESS: Metric = gauge(
    "orderly_in_progress",
    "orders",
    &[],
    "Orders in progress and moving, which gate new work. From the database, ten times a second.",
)
.only(&ORDER);

/// Open orders.
pub static ORDERS_OPEN: Metric = gauge(
    "orderly_orders_open",
    "orders",
    &[OPEN_STATUS],
    "Orders that have not ended, up to 10,000 in all. From the database.",
)
.only(&ORDER);

/// How long ago the oldest of them was placed.
pub static ORDERS_OLDEST: Metric = gauge(
    "orderly_orders_oldest_seconds",
    "seconds",
    &[OPEN_STATUS],
    "How long ago the oldest of these orders was placed; 0 if there is none. From the database.",
)
.only(&ORDER);

/// Deadlines that are due.
pub static DEADLINES_OVERDUE: Metric = gauge(
    "orderly_deadlines_overdue",
    "timers",
    &[],
    "Deadlines that are due and have not fired, up to 10,000. From the database.",
);

/// By how much the oldest is late.
pub static DEADLINES_OLDEST: Metric = gauge(
    "orderly_deadlines_oldest_overdue_seconds",
    "seconds",
    &[],
    "By how much the longest overdue deadline is late; 0 if there is none. From the database.",
);

/// Batches whose outputs may not be out.
pub static OUTPUTS_WAITING: Metric = gauge(
    "orderly_outputs_waiting",
    "batches",
    &[],
    "Batches whose stored outputs are not known to be out, up to 10,000. From the database.",
);

/// How old the oldest of them is.
pub static OUTPUTS_OLDEST: Metric = gauge(
    "orderly_outputs_oldest_seconds",
    "seconds",
    &[],
    "How long the oldest of these batches has waited; 0 if there is none. A sweep publishes what is \
     older than 30 s. From the database.",
);

/// Open dead letters.
pub static DEAD_LETTERS_OPEN: Metric = gauge(
    "orderly_dead_letters_open",
    "letters",
    &[REASON],
    "Dead letters that are open, up to 10,000 for each reason. From the database.",
);

/// Articles with nothing left.
pub static OUT_OF_STOCK: Metric = gauge(
    "orderly_articles_out_of_stock",
    "articles",
    &[],
    "Articles of which nothing is left to reserve. From the database, once a minute.",
)
.only(&STOCK);

/// When the database was asked.
pub static CENSUS_TIMESTAMP: Metric = gauge(
    "orderly_census_timestamp_seconds",
    "seconds",
    &[],
    "When the gauges that come from the database were last read, in seconds since 1970; 0 if never.",
);

/// Whether the worker is ready.
pub static READY: Metric =
    gauge("orderly_ready", "yes or no", &[], "1 while the worker is ready, else 0.");

/// Whether it is paused.
pub static PAUSED: Metric =
    gauge("orderly_paused", "yes or no", &[], "1 while an operator has paused the worker, else 0.");

/// Whether a queue is left alone.
pub static BREAKER_OPEN: Metric = gauge(
    "orderly_breaker_open",
    "yes or no",
    &[QUEUE],
    "1 while a queue is left alone because too much of it fails, else 0.",
);

/// Sessions begun.
pub static SESSIONS: Metric = counter(
    "orderly_sessions_total",
    "sessions",
    &[],
    "Sessions begun with broker and database. Each but the first is a new beginning after trouble.",
);

/// Whether there is a session.
pub static BROKER_CONNECTED: Metric = gauge(
    "orderly_broker_connected",
    "yes or no",
    &[],
    "1 while a session with broker and database lasts, else 0.",
);

/// Whether the broker blocks.
pub static BROKER_BLOCKED: Metric = gauge(
    "orderly_broker_blocked",
    "yes or no",
    &[],
    "1 while the broker blocks publishers, short of memory or disk, else 0.",
);

/// How long the broker has blocked.
pub static BROKER_BLOCKED_SECONDS: Metric = counter(
    "orderly_broker_blocked_seconds_total",
    "seconds",
    &[],
    "For how long the broker has blocked publishers, in whole seconds.",
);

/// Connections of the pool.
pub static CONNECTIONS: Metric = gauge(
    "orderly_database_connections",
    "connections",
    &[POOL_STATE],
    "Connections of this process to its database, busy and idle, and tasks waiting for one.",
);

/// The most connections.
pub static CONNECTIONS_MAX: Metric = gauge(
    "orderly_database_connections_max",
    "connections",
    &[],
    "The most connections of this process to its database.",
);

/// Lines of the log that are missing.
pub static LOG_LINES_DROPPED: Metric = counter(
    "orderly_log_lines_dropped_total",
    "lines",
    &[],
    "Lines of the log that nobody read in time.",
);

/// Spans of traces.
pub static TRACE_SPANS: Metric = counter(
    "orderly_trace_spans_total",
    "spans",
    &[SPAN_OUTCOME],
    "Spans of traces, by what became of them. None are made unless somebody asks for them.",
);

/// The build.
pub static BUILD_INFO: Metric = gauge(
    "orderly_build_info",
    "build",
    &[VERSION],
    "Always 1; the labels tell worker and version.",
);

/// Processor time.
pub static PROCESS_CPU: Metric = counter(
    "process_cpu_seconds_total",
    "seconds",
    &[],
    "Processor time of the process, in whole seconds.",
);

/// Resident memory.
pub static PROCESS_RESIDENT: Metric =
    gauge("process_resident_memory_bytes", "bytes", &[], "Resident memory of the process.");

/// Virtual memory.
pub static PROCESS_VIRTUAL: Metric =
    gauge("process_virtual_memory_bytes", "bytes", &[], "Virtual memory of the process.");

/// The most virtual memory.
pub static PROCESS_VIRTUAL_MAX: Metric = gauge(
    "process_virtual_memory_max_bytes",
    "bytes",
    &[],
    "The most virtual memory that the process may have.",
);

/// When the process started.
pub static PROCESS_START: Metric = gauge(
    "process_start_time_seconds",
    "seconds",
    &[],
    "When the process started, in seconds since 1970.",
);

/// Open file descriptors.
pub static PROCESS_FDS: Metric =
    gauge("process_open_fds", "files", &[], "Open file descriptors of the process.");

/// The most file descriptors.
pub static PROCESS_FDS_MAX: Metric =
    gauge("process_max_fds", "files", &[], "The most file descriptors the process may open.");

/// Threads.
pub static PROCESS_THREADS: Metric =
    gauge("process_threads", "threads", &[], "Threads of the process.");

/// Bounds for what should take moments.
const SHORT_BOUNDS: [f64; 14] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0];
/// Bounds for what may wait behind a backlog.
const LONG_BOUNDS: [f64; 16] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
];
/// Bounds for the life of an order, up to the first deadlines and beyond.
const ORDER_BOUNDS: [f64; 15] =
    [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0];
/// Bounds for batches, up to the largest that may be configured.
const BATCH_BOUNDS: [f64; 11] =
    [1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0, 1_000.0, 10_000.0];

const QUEUE: Label = Label {
    name: "queue",
    meaning: "a work queue of the worker",
    values: |place| borrowed(work_queues(place.party)),
};
const BATCHED_QUEUE: Label = Label {
    name: "queue",
    meaning: "a work queue of the worker, but for `payment.effects`",
    values: |place| {
        let queues = work_queues(place.party).into_iter();
        borrowed(queues.filter(|queue| *queue != PAYMENT_EFFECTS))
    },
};
const KIND: Label = Label {
    name: "kind",
    meaning: "a type of message that comes in this queue",
    values: |place| {
        let queues = work_queues(place.party).into_iter();
        borrowed(queues.flat_map(|queue| kinds_in(queue).map(|route| route.kind)))
    },
};
const FATE: Label = words("outcome", |_| borrowed(["done", "rejected", "retry", "dead"]));
const RUNG: Label = Label {
    name: "rung",
    meaning: "a rung of the retry ladder, counted from 0",
    values: |place| (0..place.rungs).map(|rung| Cow::Owned(rung.to_string())).collect(),
};
const REASON: Label = Label {
    name: "reason",
    meaning: "a reason of a dead letter, as in `contracts/README.md`",
    values: |_| borrowed(Reason::ALL.map(Reason::code)),
};
const TIMER_OUTCOME: Label = words("outcome", |_| borrowed(["fired", "frozen", "failed"]));
const SPAN_OUTCOME: Label = words("outcome", |_| borrowed(["exported", "dropped"]));
const EFFECT_OUTCOME: Label = words("outcome", |_| borrowed(["answered", "failed"]));
const ORDER_OUTCOME: Label = words("outcome", |_| {
    let ends = OrderStatus::ALL.into_iter().filter(|status| status.is_final());
    borrowed(ends.map(OrderStatus::as_str))
});
const OPEN_STATUS: Label = words("status", |_| {
    let open = OrderStatus::ALL.into_iter().filter(|status| !status.is_final());
    borrowed(open.map(OrderStatus::as_str))
});
const END_REASON: Label = Label {
    name: "reason",
    meaning: "why an order was not confirmed, as in `order.cancelled.v1`; empty if it was",
    values: |_| borrowed([""].into_iter().chain(EndReason::ALL.map(EndReason::as_str))),
};
const CURRENCY: Label = Label {
    name: "currency",
    meaning: "one of the most traded currencies, or `other`: anybody may invent three letters",
    values: |_| {
        borrowed([
            "AUD", "CAD", "CHF", "CNY", "EUR", "GBP", "HKD", "INR", "JPY", "KRW", "MXN", "NOK",
            "NZD", "SEK", "SGD", "USD", OTHER,
        ])
    },
};
const POOL_STATE: Label = words("state", |_| borrowed(["busy", "idle", "waiting"]));
const VERSION: Label = Label {
    name: "version",
    meaning: "the version of the worker",
    values: |_| borrowed([env!("CARGO_PKG_VERSION")]),
};

fn kind_comes_in_queue(values: &[&str]) -> bool {
    matches!(values, [queue, kind, ..] if kinds_in(queue).any(|route| route.kind == *kind))
}

fn only_failures_have_a_reason(values: &[&str]) -> bool {
    matches!(values, [outcome, reason] if (*outcome == "confirmed") == reason.is_empty())
}

/// A label with few values, all of which say enough.
const fn words(name: &'static str, values: fn(&Place) -> Vec<Cow<'static, str>>) -> Label {
    Label { name, meaning: "", values }
}

fn borrowed(values: impl IntoIterator<Item = &'static str>) -> Vec<Cow<'static, str>> {
    values.into_iter().map(Cow::Borrowed).collect()
}

const fn counter(
    name: &'static str,
    unit: &'static str,
    labels: &'static [Label],
    meaning: &'static str,
) -> Metric {
    Metric::new(Shape::Counter, name, unit, labels, meaning)
}

const fn gauge(
    name: &'static str,
    unit: &'static str,
    labels: &'static [Label],
    meaning: &'static str,
) -> Metric {
    Metric::new(Shape::Gauge, name, unit, labels, meaning)
}

const fn histogram(
    name: &'static str,
    unit: &'static str,
    labels: &'static [Label],
    bounds: &'static [f64],
    meaning: &'static str,
) -> Metric {
    Metric::new(Shape::Histogram(bounds), name, unit, labels, meaning)
}

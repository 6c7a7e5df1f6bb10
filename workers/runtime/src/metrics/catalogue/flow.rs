//! What flows: messages, batches, calls, orders and money, with the times they take.

use super::sets::*;
use crate::metrics::metric::Metric;

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
    "Transactions tried again because another was in the way, or because not all of the batch was new.",
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
     message is confirmed by the broker, and its delivery may be acknowledged.",
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

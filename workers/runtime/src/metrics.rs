//! Every metric of a worker, in one place: name, unit, labels and meaning.
//!
//! Labels come from closed sets: queues, kinds, outcomes, reasons. Never ids.

use std::time::Duration;

use metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
};
use orderly_contracts::Reason;

use crate::fold::Fate;

const MESSAGES: &str = "orderly_messages_total";
const DUPLICATES: &str = "orderly_duplicates_total";
const RETRIES: &str = "orderly_retries_total";
const DEAD_LETTERS: &str = "orderly_dead_letters_total";
const BATCH_MESSAGES: &str = "orderly_batch_messages";
const BATCH_SECONDS: &str = "orderly_batch_seconds";
const BATCH_SPLITS: &str = "orderly_batch_splits_total";
const CONFLICTS: &str = "orderly_transaction_conflicts_total";
const PUBLISHED: &str = "orderly_published_total";
const CONFIRM_SECONDS: &str = "orderly_publish_confirm_seconds";
const SWEPT: &str = "orderly_swept_total";
const TIMERS: &str = "orderly_timers_total";
const IN_PROGRESS: &str = "orderly_in_progress";
const EFFECTS: &str = "orderly_effects_total";
const EFFECT_SECONDS: &str = "orderly_effect_seconds";
const BLOCKED: &str = "orderly_broker_blocked";
const BREAKER: &str = "orderly_breaker_open";
const PAUSED: &str = "orderly_paused";
const SESSIONS: &str = "orderly_sessions_total";
const LOG_DROPPED: &str = "orderly_log_lines_dropped_total";
const SPANS: &str = "orderly_trace_spans_total";
const READY: &str = "orderly_ready";
const BUILD: &str = "orderly_build_info";

/// The upper bounds of the buckets for durations, in seconds.
pub const SECONDS_BUCKETS: [f64; 12] =
    [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0];
/// The upper bounds of the buckets for batch sizes.
pub const BATCH_BUCKETS: [f64; 9] = [1.0, 2.0, 5.0, 10.0, 25.0, 50.0, 100.0, 250.0, 500.0];

/// Tells the exporter what every metric means.
pub fn describe(worker: &'static str) {
    describe_counter!(MESSAGES, "Messages processed, by queue, kind and outcome.");
    describe_counter!(DUPLICATES, "Messages that had been processed before, by kind.");
    describe_counter!(RETRIES, "Messages sent to the retry ladder, by queue.");
    describe_counter!(DEAD_LETTERS, "Messages given up, by queue and reason.");
    describe_histogram!(BATCH_MESSAGES, "Messages in a batch, by queue.");
    describe_histogram!(BATCH_SECONDS, Unit::Seconds, "Time of a batch's transaction, by queue.");
    describe_counter!(BATCH_SPLITS, "Batches split to find the message at fault, by queue.");
    describe_counter!(CONFLICTS, "Transactions tried again because of another, by queue.");
    describe_counter!(PUBLISHED, "Messages published and confirmed.");
    describe_histogram!(CONFIRM_SECONDS, Unit::Seconds, "Time until a window was confirmed.");
    describe_counter!(SWEPT, "Messages published late, after a crash had left them.");
    describe_counter!(TIMERS, "Timers that fell due, by what became of them: fired or frozen.");
    describe_gauge!(IN_PROGRESS, "Work in progress and moving, which gates new work.");
    describe_counter!(EFFECTS, "Calls to the outside, by outcome.");
    describe_histogram!(EFFECT_SECONDS, Unit::Seconds, "Time of a call to the outside.");
    describe_gauge!(BLOCKED, "1 while the broker blocks publishers, else 0.");
    describe_gauge!(BREAKER, "1 while a queue is left alone because too much of it fails, else 0.");
    describe_gauge!(PAUSED, "1 while an operator has paused the worker, else 0.");
    describe_counter!(SESSIONS, "Sessions begun with broker and database.");
    describe_counter!(LOG_DROPPED, "Lines of the log that nobody read in time.");
    describe_counter!(SPANS, "Spans of traces, by what became of them: exported or dropped.");
    describe_gauge!(READY, "1 while the worker is ready, else 0.");
    describe_gauge!(BUILD, "Always 1; the labels tell worker and version.");
    gauge!(BUILD, "worker" => worker, "version" => env!("CARGO_PKG_VERSION")).set(1.0);
    gauge!(BLOCKED).set(0.0);
    gauge!(READY).set(0.0);
    gauge!(PAUSED).set(0.0);
}

pub(crate) fn message(queue: &'static str, kind: &'static str, fate: &Fate) {
    let outcome = match fate {
        Fate::Done => "done",
        Fate::Rejected => "rejected",
        Fate::Retry(_) => "retry",
        Fate::Dead(_) => "dead",
    };
    counter!(MESSAGES, "queue" => queue, "kind" => kind, "outcome" => outcome).increment(1);
}

pub(crate) fn duplicate(kind: &'static str) {
    counter!(DUPLICATES, "kind" => kind).increment(1);
}

pub(crate) fn retry(queue: &'static str) {
    counter!(RETRIES, "queue" => queue).increment(1);
}

pub(crate) fn dead_letter(queue: &'static str, reason: Reason) {
    counter!(DEAD_LETTERS, "queue" => queue, "reason" => reason.code()).increment(1);
}

pub(crate) fn batch(queue: &'static str, messages: usize, took: Duration) {
    histogram!(BATCH_MESSAGES, "queue" => queue).record(messages as f64);
    histogram!(BATCH_SECONDS, "queue" => queue).record(took);
}

pub(crate) fn batch_split(queue: &'static str) {
    counter!(BATCH_SPLITS, "queue" => queue).increment(1);
}

pub(crate) fn transaction_conflict(queue: &'static str) {
    counter!(CONFLICTS, "queue" => queue).increment(1);
}

pub(crate) fn published(messages: usize, took: Duration) {
    counter!(PUBLISHED).increment(messages as u64);
    histogram!(CONFIRM_SECONDS).record(took);
}

pub(crate) fn swept(messages: usize) {
    counter!(SWEPT).increment(messages as u64);
}

pub(crate) fn timers(outcome: &'static str, count: usize) {
    counter!(TIMERS, "outcome" => outcome).increment(count as u64);
}

pub(crate) fn in_progress(count: u32) {
    gauge!(IN_PROGRESS).set(count);
}

pub(crate) fn effect(outcome: &'static str, took: Duration) {
    counter!(EFFECTS, "outcome" => outcome).increment(1);
    histogram!(EFFECT_SECONDS).record(took);
}

pub(crate) fn blocked(is_blocked: bool) {
    gauge!(BLOCKED).set(f64::from(u8::from(is_blocked)));
}

pub(crate) fn breaker_open(queue: &'static str, is_open: bool) {
    gauge!(BREAKER, "queue" => queue).set(f64::from(u8::from(is_open)));
}

pub(crate) fn paused(is_paused: bool) {
    gauge!(PAUSED).set(f64::from(u8::from(is_paused)));
}

pub(crate) fn session() {
    counter!(SESSIONS).increment(1);
}

pub(crate) fn log_lines_dropped(in_all: u64) {
    counter!(LOG_DROPPED).absolute(in_all);
}

pub(crate) fn spans(outcome: &'static str, count: usize) {
    counter!(SPANS, "outcome" => outcome).increment(count as u64);
}

pub(crate) fn ready(is_ready: bool) {
    gauge!(READY).set(f64::from(u8::from(is_ready)));
}

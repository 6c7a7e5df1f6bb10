//! What a worker counts and measures: the [`catalogue`], and what is recorded where.
//!
//! Nothing is recorded, at no cost, in a process that does not [`install`] the exporter.

pub mod catalogue;
mod exporter;
pub mod metric;
mod page;
mod waits;

use std::time::Duration;

use orderly_contracts::Reason;

use crate::clock::Micros;
use crate::fold::Fate;
use crate::message::Outgoing;

use catalogue::*;
use metric::Metric;

pub use exporter::{Exporter, install};
pub use metric::Place;
pub use page::page;
pub use waits::Waits;

/// A reading of a gauge.
#[derive(Debug, Clone)]
pub struct Reading {
    /// The gauge.
    pub metric: &'static Metric,
    /// The values of its labels.
    pub values: Vec<String>,
    /// What it shows.
    pub value: f64,
}

impl Reading {
    /// A reading of a gauge without labels.
    pub fn new(metric: &'static Metric, value: f64) -> Self {
        Self { metric, values: vec![], value }
    }

    /// A reading of a gauge with one label.
    pub fn of(metric: &'static Metric, value_of_label: &str, value: f64) -> Self {
        Self { metric, values: vec![value_of_label.to_owned()], value }
    }
}

/// Whether anybody may ever look.
pub(crate) fn is_installed() -> bool {
    BUILD_INFO.is_installed()
}

pub(crate) fn message(queue: &str, kind: &str, fate: &Fate) {
    let outcome = match fate {
        Fate::Done => "done",
        Fate::Rejected => "rejected",
        Fate::Retry(_) => "retry",
        Fate::Dead(_) => "dead",
    };
    MESSAGES.add(&[queue, kind, outcome], 1);
}

pub(crate) fn duplicates(queue: &str, kinds: &[&str]) {
    for kind in kinds {
        DUPLICATES.add(&[queue, kind], 1);
    }
}

/// The routing key of a copy for the ladder begins with its rung.
pub(crate) fn retry(queue: &str, copy: &Outgoing) {
    let rung = copy.routing_key.split('.').next().unwrap_or_default();
    RETRIES.add(&[queue, rung], 1);
}

pub(crate) fn dead_letter(queue: &str, reason: Reason) {
    DEAD_LETTERS.add(&[queue, reason.code()], 1);
}

pub(crate) fn batch(queue: &str, messages: usize, took: Duration) {
    BATCH_MESSAGES.observe(&[queue], messages as f64);
    TRANSACTION_SECONDS.observe(&[queue], took.as_secs_f64());
}

pub(crate) fn batch_split(queue: &str) {
    BATCH_SPLITS.add(&[queue], 1);
}

pub(crate) fn transaction_conflict(queue: &str) {
    CONFLICTS.add(&[queue], 1);
}

pub(crate) fn published(messages: usize, took: Duration) {
    PUBLISHED.add(&[], messages as u64);
    CONFIRM_SECONDS.observe(&[], took.as_secs_f64());
}

pub(crate) fn swept(messages: usize) {
    SWEPT.add(&[], messages as u64);
}

pub(crate) fn timers(outcome: &str, count: usize) {
    TIMERS.add(&[outcome], count as u64);
}

pub(crate) fn in_progress(count: u32) {
    IN_PROGRESS.set(&[], f64::from(count));
}

pub(crate) fn effect(outcome: &str, took: Duration) {
    EFFECTS.add(&[outcome], 1);
    EFFECT_SECONDS.observe(&[], took.as_secs_f64());
}

pub(crate) fn census(readings: &[Reading], at: Micros) {
    for Reading { metric, values, value } in readings {
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        metric.set(&values, *value);
    }
    CENSUS_TIMESTAMP.set(&[], at.0 as f64 / 1e6);
}

pub(crate) fn connected(is_connected: bool) {
    BROKER_CONNECTED.set(&[], yes_or_no(is_connected));
    if is_connected {
        SESSIONS.add(&[], 1);
    }
}

pub(crate) fn blocked(is_blocked: bool, in_all: Duration) {
    BROKER_BLOCKED.set(&[], yes_or_no(is_blocked));
    BROKER_BLOCKED_SECONDS.add_up_to(&[], in_all.as_secs());
}

pub(crate) fn breaker_open(queue: &str, is_open: bool) {
    BREAKER_OPEN.set(&[queue], yes_or_no(is_open));
}

pub(crate) fn paused(is_paused: bool) {
    PAUSED.set(&[], yes_or_no(is_paused));
}

pub(crate) fn log_lines_dropped(in_all: u64) {
    LOG_LINES_DROPPED.add_up_to(&[], in_all);
}

pub(crate) fn spans(outcome: &str, count: usize) {
    TRACE_SPANS.add(&[outcome], count as u64);
}

pub(crate) fn ready(is_ready: bool) {
    READY.set(&[], yes_or_no(is_ready));
}

fn yes_or_no(is_so: bool) -> f64 {
    f64::from(u8::from(is_so))
}

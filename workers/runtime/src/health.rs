//! What a worker knows about its own health, and the truth it tells: `/livez` and `/readyz`.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::metrics;
use crate::pause::Pause;

/// Shared by everything that can be well or unwell.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Mutex<Condition>>);

#[derive(Debug, Default)]
struct Condition {
    expected: BTreeSet<String>,
    open: BTreeSet<String>,
    /// Queues that are left alone for a while, because too much of them failed.
    halted: BTreeSet<String>,
    /// Since when the broker has blocked publishers, if it does.
    blocked_since: Option<Instant>,
    /// For how long it did before.
    was_blocked: Duration,
    is_stopping: bool,
    trouble: Option<String>,
    pause: Option<Pause>,
}

/// What `/readyz` says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Readiness {
    /// Whether the worker can consume, commit and publish.
    pub ready: bool,
    /// Why not, in words.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// Who paused it, and why. A paused worker is well: it could be ready for a deployment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paused: Option<String>,
}

impl Health {
    /// A session begins, in which these queues have to be consumed.
    pub fn session_begins(&self, queues: impl IntoIterator<Item = String>) {
        self.update(|condition| {
            condition.expected = queues.into_iter().collect();
            condition.open.clear();
            condition.halted.clear();
            condition.trouble = None;
            condition.block(false);
        });
    }

    /// A queue is being consumed.
    pub fn lane_open(&self, queue: &str) {
        self.update(|condition| {
            condition.open.insert(queue.to_owned());
        });
    }

    /// A queue is left alone because too much of it fails, or not any more.
    pub fn halted(&self, queue: &str, is_halted: bool) {
        self.update(|condition| {
            if is_halted {
                condition.halted.insert(queue.to_owned());
            } else {
                condition.halted.remove(queue);
            }
        });
    }

    /// An operator paused the worker, or nobody did.
    pub fn paused(&self, pause: Option<Pause>) {
        metrics::paused(pause.is_some());
        self.update(|condition| condition.pause = pause);
    }

    /// The broker blocks publishers, or not any more.
    pub fn blocked(&self, is_blocked: bool) {
        self.update(|condition| condition.block(is_blocked));
    }

    /// The session ended in trouble.
    pub fn trouble(&self, text: String) {
        self.update(|condition| {
            condition.open.clear();
            condition.trouble = Some(text);
        });
    }

    /// The worker is stopping.
    pub fn stopping(&self) {
        self.update(|condition| condition.is_stopping = true);
    }

    /// Whether the worker is ready, and why not.
    pub fn readiness(&self) -> Readiness {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).readiness()
    }

    /// Brings the metrics up to date with what changes by itself.
    pub fn tell(&self) {
        self.update(|_| {});
    }

    fn update(&self, change: impl FnOnce(&mut Condition)) {
        let mut condition = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        change(&mut condition);
        metrics::ready(condition.readiness().ready);
        metrics::blocked(condition.blocked_since.is_some(), condition.blocked_in_all());
    }
}

impl Condition {
    fn block(&mut self, is_blocked: bool) {
        self.was_blocked = self.blocked_in_all();
        self.blocked_since = is_blocked.then(Instant::now);
    }

    fn blocked_in_all(&self) -> Duration {
        self.was_blocked + self.blocked_since.map(|since| since.elapsed()).unwrap_or_default()
    }

    fn readiness(&self) -> Readiness {
        let missing: Vec<_> = self.expected.difference(&self.open).map(String::as_str).collect();
        let reason = if self.is_stopping {
            Some("stopping".to_owned())
        } else if let Some(trouble) = &self.trouble {
            Some(trouble.clone())
        } else if self.expected.is_empty() {
            Some("starting".to_owned())
        } else if !missing.is_empty() && self.pause.is_none() {
            Some(format!("not consuming yet: {}", missing.join(", ")))
        } else if !self.halted.is_empty() {
            let halted: Vec<_> = self.halted.iter().map(String::as_str).collect();
            Some(format!("pausing because too much fails: {}", halted.join(", ")))
        } else if self.blocked_since.is_some() {
            Some("the broker blocks publishers: memory or disk alarm".to_owned())
        } else {
            None
        };
        let paused = self.pause.as_ref().map(|Pause { by, why, .. }| match why {
            Some(why) => format!("by {by}: {why}"),
            None => format!("by {by}"),
        });
        Readiness { ready: reason.is_none(), reason, paused }
    }
}

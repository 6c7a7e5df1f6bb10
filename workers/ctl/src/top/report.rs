//! The system at a glance, as values: what the screen shows, `--once` prints and `--json` tells.

use orderly_contracts::routes::Party;
use serde::Serialize;

use super::snapshot::{Group, Orders, Pause, name_of};

/// Everything that is known at a moment. What is not known is null.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Report {
    /// The broker's address.
    pub(crate) broker: String,
    /// Whether the management API is set at all: without it, rates are unknown.
    pub(crate) has_management: bool,
    /// How many sources have told nothing yet, neither this nor that.
    #[serde(skip)]
    pub(crate) unheard: usize,
    /// Sources that tell nothing at the moment, each with the reason.
    pub(crate) away: Vec<Away>,
    /// Why the broker blocks publishers, if it does.
    pub(crate) alarms: Vec<String>,
    /// All queues; the rungs of a worker's retry ladder are one.
    pub(crate) queues: Vec<QueueLine>,
    /// The workers.
    pub(crate) workers: Vec<WorkerLine>,
    /// Orders.
    pub(crate) orders: Option<Orders>,
    /// Dead letters that are not over, by cause, the most frequent first.
    pub(crate) dead_letters: Vec<Group>,
}

impl Report {
    /// Whether every database tells of its dead letters.
    pub(crate) fn knows_all_letters(&self) -> bool {
        self.workers.iter().all(|worker| worker.outputs.is_some())
    }
}

/// A source that tells nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Away {
    /// Which.
    pub(crate) source: String,
    /// Why.
    pub(crate) why: String,
}

/// What a queue is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Kind {
    /// Messages to be processed.
    Work,
    /// Messages that will be tried again.
    Retry,
    /// Given-up messages that are about to be filed.
    Dead,
    /// Messages that nobody can read.
    Parked,
}

/// A queue.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct QueueLine {
    pub(crate) name: String,
    pub(crate) kind: Kind,
    pub(crate) ready: Option<u64>,
    pub(crate) unacked: Option<u64>,
    pub(crate) in_per_second: Option<f64>,
    pub(crate) out_per_second: Option<f64>,
    pub(crate) consumers: Option<u64>,
    /// How many waited, second by second.
    #[serde(skip)]
    pub(crate) past: Vec<u64>,
}

/// What a worker is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Doing {
    /// It consumes all its queues.
    Ready,
    /// It consumes only some of its queues.
    Partly,
    /// It is connected, and consumes nothing.
    Waiting,
    /// An operator paused it.
    Paused,
    /// No replica is there.
    Away,
    /// Nobody can tell.
    Unknown,
}

impl Doing {
    /// The same in a word.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Ready => "ready",
            Self::Partly => "PARTLY",
            Self::Waiting => "WAITING",
            Self::Paused => "PAUSED",
            Self::Away => "AWAY",
            Self::Unknown => "unknown",
        }
    }
}

/// A worker, all replicas of it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct WorkerLine {
    #[serde(serialize_with = "name_of")]
    pub(crate) worker: Party,
    pub(crate) state: Doing,
    pub(crate) replicas: Option<u64>,
    /// Batches whose outputs are not known to be published; 10,000 stands for any more.
    pub(crate) outputs: Option<u64>,
    pub(crate) oldest_output_seconds: Option<u64>,
    /// Deadlines that are due; 10,000 stands for any more.
    pub(crate) due: Option<u64>,
    pub(crate) oldest_due_seconds: Option<u64>,
    pub(crate) pause: Option<Pause>,
    /// What else there is to say.
    pub(crate) note: Option<String>,
}

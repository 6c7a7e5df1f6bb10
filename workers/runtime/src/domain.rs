//! The page to read first: what a worker is.
//!
//! A worker is its kinds of input, the [`keys`](Domain::keys) an input needs, and a pure
//! [`decide`](Domain::decide) from an input and the states under these keys to a [`Verdict`]. It
//! knows no database, no broker, no clock and no randomness. The runtime batches, deduplicates,
//! locks, loads, folds, saves, publishes, confirms and acknowledges; none of it can be forgotten
//! by whoever writes a worker, for none of it is in this trait.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::time::Duration;

use orderly_contracts::routes::Party;
use orderly_contracts::{Message, Refusal};

use crate::clock::Micros;
use crate::store::Changes;
use crate::trace::context::TraceParent;

/// A worker's decisions: pure, synchronous, the same for any split of its inputs into batches.
pub trait Domain: Send + Sync + Sized + 'static {
    /// Who this worker is.
    const PARTY: Party;

    /// What arrives: an enum over the worker's messages and its due timers.
    type Input: Clone + Debug + Send + Sync;
    /// What a state is found by. Its order is the order of locking.
    type Key: Ord + Clone + Debug + Send + Sync;
    /// What is kept under a key.
    type State: Clone + PartialEq + Debug + Send + Sync;
    /// A record that is only ever appended: history, ledgers.
    type Entry: Clone + PartialEq + Debug + Send + Sync;

    /// Reads the body of a message of this `kind`.
    fn decode(kind: &str, body: &[u8]) -> Result<Self::Input, Refusal>;

    /// What a due timer says; `None` if the timer means nothing to this worker.
    fn due(timer: &Timer) -> Option<Self::Input>;

    /// What an input is about, such as an order: the property `correlation_id` of what follows.
    fn about(input: &Self::Input) -> &str;

    /// The keys of all states that [`decide`](Self::decide) may look at.
    fn keys(input: &Self::Input) -> Vec<Self::Key>;

    /// Those of its keys under which an input usually is the first to put something. It is decided as if nothing
    /// were there, and saved without asking; only where that fails it is decided with care.
    fn opens(input: &Self::Input) -> Vec<Self::Key> {
        let _ = input;
        vec![]
    }

    /// The queue whose waiting messages are older than any timer: a deadline must not fire while
    /// the answer it waits for lies there.
    const ANSWERS: Option<&'static str> = None;

    /// The queue of new work, taken only while not too much is in progress. Its lane rests after a batch, so
    /// that the busier the system is, the more of it goes together.
    const NEW_WORK: Option<&'static str> = None;

    /// The queue of messages that are in no hurry: they are gathered for a moment, so that many of
    /// them share a transaction.
    const UNHURRIED: Option<&'static str> = None;

    /// The queue of the participant that a timer of this `step` waits for: while nobody consumes
    /// it, the timer is frozen.
    fn participant(step: &str) -> Option<&'static str> {
        let _ = step;
        None
    }

    /// The keys of the states that this one leads to: loaded with it, without being asked for.
    fn leads_to(state: &Self::State) -> Vec<Self::Key> {
        let _ = state;
        vec![]
    }

    /// Shows on the worker's own [meters](crate::metrics::catalogue) what a record means that has
    /// just been committed. It decides nothing.
    fn meter(entry: &Self::Entry) {
        let _ = entry;
    }

    /// What follows from `arrival`, given what is known so far.
    fn decide(&self, arrival: &Arrival<Self::Input>, states: &States<Self>) -> Verdict<Self>;
}

/// An input together with where it came from and when.
#[derive(Debug, Clone, PartialEq)]
pub struct Arrival<I> {
    /// What caused it; the ids of everything that follows are derived from this.
    pub cause: Cause,
    /// The message's type, or [`TIMER`].
    pub kind: &'static str,
    /// When it arrived. Part of the input, so that a split of a batch changes nothing.
    pub at: Micros,
    /// What is handed on to every message that follows from it.
    pub context: Context,
    /// The input itself.
    pub input: I,
}

/// The source and kind of an arrival that is a due timer.
pub const TIMER: &str = "timer";

/// Names an arrival: unique within its source, which the routing table tells, never the sender.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cause {
    /// The party that sends this kind of message, or [`TIMER`].
    pub source: &'static str,
    /// The message id, or the timer's derived id.
    pub id: String,
}

/// What a message hands on to the messages that follow from it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Context {
    /// Where it stands in a trace.
    pub trace: Option<TraceParent>,
    /// The vendors' part of the W3C trace context.
    pub tracestate: Option<String>,
    /// Whether spans are made of it here, so that what follows has a place of its own in the trace.
    pub is_followed: bool,
    /// When the order was placed.
    pub placed_at: Option<Micros>,
}

/// How the processing of one input ends. The set is closed.
#[derive(Debug)]
pub enum Verdict<D: Domain> {
    /// It has had its effect.
    Done(Decision<D>),
    /// The business said no, which is a result like any other.
    Rejected(Decision<D>),
    /// It can't be decided now; it waits in the retry ladder for the stated reason.
    Retry(String),
    /// It can never be decided; it becomes a dead letter.
    Dead(Refusal),
}

/// What follows from one input.
#[derive(Debug, Clone, PartialEq)]
pub struct Decision<D: Domain> {
    /// New states, each under a key that the input named.
    pub changes: Vec<(D::Key, D::State)>,
    /// Records to append.
    pub entries: Vec<D::Entry>,
    /// Messages to publish, in order.
    pub outputs: Vec<Output>,
    /// Timers to set or clear.
    pub timers: Vec<TimerChange>,
}

impl<D: Domain> Default for Decision<D> {
    fn default() -> Self {
        Self { changes: vec![], entries: vec![], outputs: vec![], timers: vec![] }
    }
}

impl<D: Domain> Decision<D> {
    /// Nothing follows.
    pub fn nothing() -> Self {
        Self::default()
    }

    /// Puts `state` under `key`.
    #[must_use]
    pub fn change(mut self, key: D::Key, state: D::State) -> Self {
        self.changes.push((key, state));
        self
    }

    /// Appends a record.
    #[must_use]
    pub fn entry(mut self, entry: D::Entry) -> Self {
        self.entries.push(entry);
        self
    }

    /// Publishes a message.
    #[must_use]
    pub fn send<M: Message>(mut self, message: &M) -> Self {
        self.outputs.push(Output::of(message));
        self
    }

    /// Sets the owner's timer, replacing one it may have.
    #[must_use]
    pub fn set_timer(mut self, timer: Timer, after: Duration) -> Self {
        self.timers.push(TimerChange::Set { timer, after });
        self
    }

    /// Clears the owner's timer, if it has one.
    #[must_use]
    pub fn clear_timer(mut self, owner: impl Into<String>) -> Self {
        self.timers.push(TimerChange::Clear { owner: owner.into() });
        self
    }

    /// Ends the input as done.
    pub fn done(self) -> Verdict<D> {
        Verdict::Done(self)
    }

    /// Ends the input as refused by the business.
    pub fn rejected(self) -> Verdict<D> {
        Verdict::Rejected(self)
    }
}

/// A message to publish, serialised.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Its type.
    pub kind: &'static str,
    /// What it is about.
    pub correlation: String,
    /// Its body.
    pub body: Vec<u8>,
}

impl Output {
    /// Serialises `message`.
    pub fn of<M: Message>(message: &M) -> Self {
        Self {
            kind: M::KIND,
            correlation: message.correlation().to_owned(),
            body: serde_json::to_vec(message).expect("contract types always serialise"),
        }
    }
}

/// A timer; an owner has one at most.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timer {
    /// Whom it belongs to, such as an order.
    pub owner: String,
    /// What it is for, such as a step of a saga.
    pub step: String,
    /// Counts the timers of this owner and step, from 0.
    pub round: u32,
}

/// A change to an owner's timer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum TimerChange {
    /// It falls due this long after the transaction, by the database's clock.
    Set {
        /// The timer.
        timer: Timer,
        /// How long until it is due.
        after: Duration,
    },
    /// It doesn't fall due any more.
    Clear {
        /// Whose timer.
        owner: String,
    },
}

impl TimerChange {
    /// Whose timer changes.
    pub fn owner(&self) -> &str {
        match self {
            Self::Set { timer, .. } => &timer.owner,
            Self::Clear { owner } => owner,
        }
    }
}

/// The states in hand during a batch: as loaded, with the effects of every input before.
#[derive(Debug)]
pub struct States<D: Domain> {
    rows: BTreeMap<D::Key, D::State>,
    asked: BTreeSet<D::Key>,
    created: BTreeSet<D::Key>,
    updated: BTreeSet<D::Key>,
}

impl<D: Domain> States<D> {
    /// States in which `asked` were looked for and `rows` were found. A store may find more than
    /// it was asked for, where one state leads to others.
    pub fn new(asked: BTreeSet<D::Key>, rows: BTreeMap<D::Key, D::State>) -> Self {
        Self { rows, asked, created: BTreeSet::new(), updated: BTreeSet::new() }
    }

    /// The state under `key`, if there is one.
    ///
    /// # Panics
    /// If nobody looked for `key`: "not loaded" must never pass for "does not exist".
    pub fn get(&self, key: &D::Key) -> Option<&D::State> {
        let state = self.rows.get(key);
        assert!(state.is_some() || self.asked.contains(key), "{key:?} is missing from `keys`");
        state
    }

    pub(crate) fn apply(&mut self, changes: Vec<(D::Key, D::State)>) {
        for (key, state) in changes {
            let is_new = self.rows.insert(key.clone(), state).is_none();
            if is_new {
                self.created.insert(key);
            } else if !self.created.contains(&key) {
                self.updated.insert(key);
            }
        }
    }

    /// Every changed state once, in the order of keys.
    pub(crate) fn into_changes(self) -> Changes<D> {
        let Self { mut rows, created, updated, .. } = self;
        let mut take = |keys: BTreeSet<D::Key>| {
            keys.iter().filter_map(|key| rows.remove_entry(key)).collect::<Vec<_>>()
        };
        Changes { created: take(created), updated: take(updated) }
    }
}

//! The database, as a seam: one unit of work a batch, and the worker's own bookkeeping.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;
use std::time::Duration;

use uuid::Uuid;

use crate::clock::Micros;
use crate::domain::{Cause, Domain, Timer, TimerChange};
use crate::letter::Letter;
use crate::message::Outgoing;
use crate::metrics::Reading;
use crate::pause::Pause;

/// A failure of the store, by what it means for the batch in hand.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StoreError {
    /// Another transaction was in the way; the same batch may succeed at once.
    #[error("in conflict with another transaction: {0}")]
    Conflict(String),
    /// Some row of the batch is at fault.
    #[error("refused by the database: {0}")]
    Data(String),
    /// The database is away, or too busy; no message is at fault.
    #[error("database unavailable: {0}")]
    Unavailable(String),
    /// The connection broke during the commit: it may have happened or not.
    #[error("outcome of the commit unknown: {0}")]
    Unknown(String),
    /// The schema, the rights or the settings are wrong; somebody must act.
    #[error("database misconfigured: {0}")]
    Misconfigured(String),
}

/// A claim to process a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Which message.
    pub cause: Cause,
    /// Its type.
    pub kind: &'static str,
    /// The SHA-256 of its body.
    pub body_hash: [u8; 32],
}

/// What the inbox knows of a claimed message.
#[derive(Debug, Clone, PartialEq)]
pub enum Standing {
    /// It is new, and now it is ours.
    Fresh,
    /// It was processed before.
    Known {
        /// The SHA-256 of the body that was processed under this id.
        body_hash: [u8; 32],
        /// What it decided to publish, as long as that is not known to be out.
        unsent: Vec<Outgoing>,
    },
}

/// Everything a batch leaves behind, saved at once.
#[derive(Debug)]
pub struct Work<D: Domain> {
    /// Names the batch; its outputs are marked as sent by this name.
    pub batch: Uuid,
    /// Changed states, each key once.
    pub changes: Changes<D>,
    /// Records to append, in order.
    pub entries: Vec<D::Entry>,
    /// Changes of timers, one an owner.
    pub timers: BTreeMap<String, TimerChange>,
    /// Timers that fell due in this batch.
    pub spent: Vec<Timer>,
    /// What each message decided to publish.
    pub outputs: Vec<(Cause, Vec<Outgoing>)>,
    /// Claims to give back, for messages that go to the retry ladder or the dead letters.
    pub disclaimed: Vec<Cause>,
    /// Earlier batches whose outputs are known to be out.
    pub sent: Vec<Uuid>,
}

// By hand, here and below, because a domain itself needn't be `Clone`.
impl<D: Domain> Clone for Work<D> {
    fn clone(&self) -> Self {
        Self {
            batch: self.batch,
            changes: self.changes.clone(),
            entries: self.entries.clone(),
            timers: self.timers.clone(),
            spent: self.spent.clone(),
            outputs: self.outputs.clone(),
            disclaimed: self.disclaimed.clone(),
            sent: self.sent.clone(),
        }
    }
}

/// Changed states, each key once, in the order of keys.
///
/// The two are kept apart because a state that did not exist could not be locked: creating it must
/// fail if somebody else was faster, and never overwrite.
#[derive(Debug, PartialEq)]
pub struct Changes<D: Domain> {
    /// States under keys that had none.
    pub created: Vec<(D::Key, D::State)>,
    /// States under keys that had one, which this transaction holds locked, or looked at.
    pub updated: Vec<(D::Key, D::State)>,
}

impl<D: Domain> Clone for Changes<D> {
    fn clone(&self) -> Self {
        Self { created: self.created.clone(), updated: self.updated.clone() }
    }
}

/// A timer that is due, and since when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DueTimer {
    /// The timer.
    pub timer: Timer,
    /// When it fell due, by the database's clock.
    pub due_at: Micros,
}

/// A worker's database.
pub trait Store<D: Domain>: Send + Sync + 'static {
    /// A transaction.
    type Unit: Unit<D>;

    /// Begins a transaction.
    fn begin(&self) -> impl Future<Output = Result<Self::Unit, StoreError>> + Send;

    /// Whether the database answers.
    fn ping(&self) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Up to `limit` due timers, the longest due first.
    fn due_timers(
        &self,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<DueTimer>, StoreError>> + Send;

    /// Puts off timers that are frozen, without counting a round.
    fn postpone(
        &self,
        timers: &[Timer],
        by: Duration,
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Notes that the outputs of these batches are out.
    fn mark_sent(&self, batches: &[Uuid]) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Leases up to `limit` batches older than `age` whose outputs are not known to be out.
    fn unsent(
        &self,
        age: Duration,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<(Uuid, Vec<Outgoing>)>, StoreError>> + Send;

    /// Notes that `process` is about to run a suspect message alone; how many other processes have
    /// noted that and never came to clear it.
    fn note_suspect(
        &self,
        cause: &Cause,
        process: Uuid,
    ) -> impl Future<Output = Result<u32, StoreError>> + Send;

    /// Forgets a suspect that survived.
    fn clear_suspect(&self, cause: &Cause) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Files dead letters; one that is there already is counted again, and open again.
    fn file_letters(
        &self,
        letters: &[Letter],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Notes which replayed letters have had their effect, and forgets letters that have been over
    /// for longer than `retention`; how many of either, at most `limit`.
    fn tend_letters(
        &self,
        retention: Duration,
        limit: usize,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// Forgets inbox rows older than `retention`, but for those of messages that a dead letter is
    /// about, and the outputs of batches that are as old; how many of either, at most `limit`.
    fn purge(
        &self,
        retention: Duration,
        limit: usize,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;

    /// The pause that an operator gave this worker, if there is one.
    fn pause(&self) -> impl Future<Output = Result<Option<Pause>, StoreError>> + Send;

    /// How much work is in progress and moving, up to `limit`: what the intake of new work heeds.
    fn in_progress(&self, limit: u32) -> impl Future<Output = Result<u32, StoreError>> + Send;

    /// What the gauges of the database show. Those that take long to read are among them only if
    /// `is_full`.
    fn census(
        &self,
        is_full: bool,
    ) -> impl Future<Output = Result<Vec<Reading>, StoreError>> + Send;
}

/// One transaction over one batch. After an error, or when dropped, nothing of it remains.
pub trait Unit<D: Domain>: Send + 'static {
    /// Claims messages, in the given order; the standing of each. No two causes may be the same.
    fn claim(
        &mut self,
        batch: Uuid,
        claims: &[Claim],
    ) -> impl Future<Output = Result<Vec<Standing>, StoreError>> + Send;

    /// Loads and locks the states under `keys`, in their order, and those they lead to.
    fn load(
        &mut self,
        keys: &BTreeSet<D::Key>,
    ) -> impl Future<Output = Result<BTreeMap<D::Key, D::State>, StoreError>> + Send;

    /// Loads what [`Unit::leave_new`] will be about, as [`Unit::load`] does. A store whose saving fails where a state
    /// was changed since it was loaded needs no locks for that.
    fn look(
        &mut self,
        keys: &BTreeSet<D::Key>,
    ) -> impl Future<Output = Result<BTreeMap<D::Key, D::State>, StoreError>> + Send {
        self.load(keys)
    }

    /// Saves what the batch leaves behind.
    fn save(&mut self, work: &Work<D>) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Commits. Never after an error.
    fn commit(self) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Gives up, politely: the connection can be used again.
    fn rollback(self) -> impl Future<Output = ()> + Send;

    /// Loads and claims, as [`Unit::load`] and [`Unit::claim`] do one after the other; a store that is far away
    /// can do it in one round trip. Where some of it is known, states may have been created after they were
    /// looked for.
    fn enter(
        &mut self,
        batch: Uuid,
        claims: &[Claim],
        keys: &BTreeSet<D::Key>,
    ) -> impl Future<Output = Result<Entered<D>, StoreError>> + Send {
        async move {
            let states = self.load(keys).await?;
            Ok(Entered { standings: self.claim(batch, claims).await?, states })
        }
    }

    /// Saves and commits, as [`Unit::save`] and [`Unit::commit`] do one after the other, and gives up
    /// politely where it can't; a store that is far away can do it in one round trip.
    fn leave(mut self, work: &Work<D>) -> impl Future<Output = Result<(), StoreError>> + Send
    where
        Self: Sized,
    {
        async move {
            match self.save(work).await {
                Ok(()) => self.commit().await,
                Err(error) => Err(give_up(self, error).await),
            }
        }
    }

    /// Claims what is presumably all new, and then does as [`Unit::leave`] does; a conflict if some of it is
    /// known, or a state that it changes is not as it was [looked at](Unit::look). No claim of it may be one to give
    /// back. It may be the first that is asked of a transaction; a store that is far away can do all of it in one
    /// round trip.
    fn leave_new(
        mut self,
        claims: &[Claim],
        work: &Work<D>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send
    where
        Self: Sized,
    {
        async move {
            match self.claim(work.batch, claims).await {
                Ok(standings) if all_fresh(&standings) => self.leave(work).await,
                Ok(_) => {
                    self.rollback().await;
                    Err(StoreError::Conflict("some of it is known".to_owned()))
                }
                Err(error) => Err(give_up(self, error).await),
            }
        }
    }
}

/// Whether all of it is new.
pub(crate) fn all_fresh(standings: &[Standing]) -> bool {
    standings.iter().all(|standing| *standing == Standing::Fresh)
}

/// What a transaction begins with.
#[derive(Debug)]
pub struct Entered<D: Domain> {
    /// The standing of each claim.
    pub standings: Vec<Standing>,
    /// The states that were loaded.
    pub states: BTreeMap<D::Key, D::State>,
}

/// Ends `unit` because of `error`, in good order where the connection still is.
pub(crate) async fn give_up<D: Domain, U: Unit<D>>(unit: U, error: StoreError) -> StoreError {
    if matches!(error, StoreError::Conflict(_) | StoreError::Data(_)) {
        unit.rollback().await;
    }
    error
}

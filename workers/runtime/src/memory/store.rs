//! The store seam in memory, for every domain alike: transactions that overlap, and lock what they touch.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use orderly_contracts::Reason;
use uuid::Uuid;

use crate::clock::{Clock, Micros};
use crate::domain::{Cause, Domain, Timer, TimerChange};
use crate::letter::{Explanation, Letter};
use crate::memory::locks::{Locks, Row};
use crate::message::Outgoing;
use crate::metrics::Reading;
use crate::metrics::catalogue::{
    DEAD_LETTERS_OPEN, DEADLINES_OLDEST, DEADLINES_OVERDUE, OUTPUTS_OLDEST, OUTPUTS_WAITING,
};
use crate::pause::Pause;
use crate::store::{Changes, Claim, DueTimer, Standing, Store, StoreError, Unit, Work};

/// A database in memory.
pub struct MemoryStore<D: Domain> {
    content: Arc<Mutex<Content<D>>>,
    locks: Arc<Locks<D::Key>>,
    clock: Arc<dyn Clock>,
}

/// Everything a database holds.
pub struct Content<D: Domain> {
    /// The worker's states.
    pub states: BTreeMap<D::Key, D::State>,
    /// The worker's records, in the order they were appended.
    pub entries: Vec<D::Entry>,
    /// Which messages have had their effect, in which batch.
    pub inbox: BTreeMap<Cause, Processed>,
    /// What each batch decided to publish.
    pub batches: BTreeMap<Uuid, Batch>,
    /// Timers, by owner, and when they are due.
    pub timers: BTreeMap<String, (Timer, Micros)>,
    /// Dead letters, by id, with how often each came.
    pub letters: BTreeMap<Uuid, (Letter, u64)>,
    /// The pause an operator gave the worker.
    pub pause: Option<Pause>,
    suspects: BTreeMap<Cause, (u32, Uuid)>,
}

/// A message that has had its effect.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Processed {
    body_hash: [u8; 32],
    batch: Uuid,
    at: Micros,
}

/// The outputs of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// By what caused them.
    pub outputs: Vec<(Cause, Vec<Outgoing>)>,
    /// Whether they are known to be out.
    pub is_sent: bool,
    at: Micros,
    leased_until: Micros,
}

impl<D: Domain> MemoryStore<D> {
    /// An empty store that goes by `clock`.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        let content = Content {
            states: BTreeMap::new(),
            entries: vec![],
            inbox: BTreeMap::new(),
            batches: BTreeMap::new(),
            timers: BTreeMap::new(),
            letters: BTreeMap::new(),
            pause: None,
            suspects: BTreeMap::new(),
        };
        Self { content: Arc::new(Mutex::new(content)), locks: Arc::default(), clock }
    }

    /// How often transactions would have waited for each other for ever; one of them was refused.
    pub fn deadlocks(&self) -> u64 {
        self.locks.deadlocks()
    }

    /// What it holds, for whoever wants to look or to meddle; no transaction gets on meanwhile.
    pub fn content(&self) -> MutexGuard<'_, Content<D>> {
        lock(&self.content)
    }
}

/// A transaction: nobody sees what it changes until it commits, and nobody else changes what it
/// has locked.
pub struct MemoryUnit<D: Domain> {
    id: u64,
    content: Arc<Mutex<Content<D>>>,
    locks: Arc<Locks<D::Key>>,
    now: Micros,
    claimed: Vec<(Cause, Processed)>,
    work: Option<Work<D>>,
}

impl<D: Domain> Drop for MemoryUnit<D> {
    fn drop(&mut self) {
        self.locks.release(self.id);
    }
}

impl<D: Domain> Unit<D> for MemoryUnit<D> {
    async fn claim(&mut self, batch: Uuid, claims: &[Claim]) -> Result<Vec<Standing>, StoreError> {
        let mut standings = Vec::with_capacity(claims.len());
        for Claim { cause, body_hash, .. } in claims {
            let row = Row::Claim(cause.clone());
            // Whoever claims it at this moment may still give it up.
            self.locks.lock(self.id, &row).await?;
            let content = lock(&self.content);
            let Some(known) = content.inbox.get(cause) else {
                let processed = Processed { body_hash: *body_hash, batch, at: self.now };
                self.claimed.push((cause.clone(), processed));
                standings.push(Standing::Fresh);
                continue;
            };
            standings.push(Standing::Known {
                body_hash: known.body_hash,
                unsent: content.unsent(known.batch, cause),
            });
            self.locks.unlock(&row);
        }
        Ok(standings)
    }

    async fn load(
        &mut self,
        keys: &BTreeSet<D::Key>,
    ) -> Result<BTreeMap<D::Key, D::State>, StoreError> {
        let mut found = BTreeMap::new();
        let mut wanted = keys.clone();
        while let Some(key) = wanted.pop_first() {
            // What isn't there can't be locked.
            if found.contains_key(&key) || !lock(&self.content).states.contains_key(&key) {
                continue;
            }
            self.locks.lock(self.id, &Row::State(key.clone())).await?;
            if let Some(state) = lock(&self.content).states.get(&key) {
                wanted.extend(D::leads_to(state));
                found.insert(key, state.clone());
            }
        }
        Ok(found)
    }

    async fn save(&mut self, work: &Work<D>) -> Result<(), StoreError> {
        let Changes { created, updated } = &work.changes;
        for (key, _) in created {
            // Only who is about to create it is waited for, and not who has it locked.
            let exists = || lock(&self.content).states.contains_key(key);
            if !self.locks.lock_unless(self.id, &Row::State(key.clone()), exists).await? {
                return Err(StoreError::Conflict(format!("{key:?} exists already")));
            }
        }
        let content = lock(&self.content);
        if let Some((key, _)) = updated.iter().find(|(key, _)| !content.states.contains_key(key)) {
            return Err(StoreError::Conflict(format!("{key:?} does not exist")));
        }
        drop(content);
        self.work = Some(work.clone());
        Ok(())
    }

    async fn commit(mut self) -> Result<(), StoreError> {
        let claimed = std::mem::take(&mut self.claimed);
        let work = self.work.take();
        let mut content = lock(&self.content);
        content.inbox.extend(claimed);
        if let Some(work) = work {
            content.absorb(work, self.now);
        }
        drop(content);
        Ok(())
    }

    async fn rollback(self) {}
}

impl<D: Domain> Content<D> {
    fn unsent(&self, batch: Uuid, cause: &Cause) -> Vec<Outgoing> {
        let batch = self.batches.get(&batch).filter(|batch| !batch.is_sent);
        let outputs = batch.into_iter().flat_map(|batch| &batch.outputs);
        outputs.filter(|(of, _)| of == cause).flat_map(|(_, outputs)| outputs.clone()).collect()
    }

    fn absorb(&mut self, work: Work<D>, now: Micros) {
        self.states.extend(work.changes.created);
        self.states.extend(work.changes.updated);
        self.entries.extend(work.entries);
        for timer in work.spent {
            if self.timers.get(&timer.owner).is_some_and(|(found, _)| *found == timer) {
                self.timers.remove(&timer.owner);
            }
        }
        for (owner, change) in work.timers {
            match change {
                TimerChange::Set { timer, after } => {
                    self.timers.insert(owner, (timer, now + after));
                }
                TimerChange::Clear { owner } => {
                    self.timers.remove(&owner);
                }
            }
        }
        if !work.outputs.is_empty() {
            let outputs = work.outputs;
            let batch = Batch { outputs, is_sent: false, at: now, leased_until: Micros(0) };
            self.batches.insert(work.batch, batch);
        }
        for cause in work.disclaimed {
            self.inbox.remove(&cause);
        }
        self.mark_sent(&work.sent);
    }

    fn mark_sent(&mut self, batches: &[Uuid]) {
        for id in batches {
            if let Some(batch) = self.batches.get_mut(id) {
                batch.is_sent = true;
            }
        }
    }
}

impl<D: Domain> Store<D> for MemoryStore<D> {
    type Unit = MemoryUnit<D>;

    async fn begin(&self) -> Result<MemoryUnit<D>, StoreError> {
        Ok(MemoryUnit {
            id: self.locks.unit(),
            content: self.content.clone(),
            locks: self.locks.clone(),
            now: self.clock.now(),
            claimed: vec![],
            work: None,
        })
    }

    async fn ping(&self) -> Result<(), StoreError> {
        Ok(())
    }

    async fn due_timers(&self, limit: usize) -> Result<Vec<DueTimer>, StoreError> {
        let now = self.clock.now();
        let content = self.content();
        let mut due: Vec<DueTimer> = content
            .timers
            .values()
            .filter(|(_, due_at)| *due_at <= now)
            .map(|(timer, due_at)| DueTimer { timer: timer.clone(), due_at: *due_at })
            .collect();
        due.sort_by_key(|due| due.due_at);
        due.truncate(limit);
        Ok(due)
    }

    async fn postpone(&self, timers: &[Timer], by: Duration) -> Result<(), StoreError> {
        let due_at = self.clock.now() + by;
        let mut content = self.content();
        for timer in timers {
            if let Some((found, at)) = content.timers.get_mut(&timer.owner)
                && found == timer
            {
                *at = due_at;
            }
        }
        Ok(())
    }

    async fn mark_sent(&self, batches: &[Uuid]) -> Result<(), StoreError> {
        self.content().mark_sent(batches);
        Ok(())
    }

    async fn unsent(
        &self,
        age: Duration,
        limit: usize,
    ) -> Result<Vec<(Uuid, Vec<Outgoing>)>, StoreError> {
        let now = self.clock.now();
        let mut content = self.content();
        let is_left =
            |batch: &Batch| !batch.is_sent && batch.at + age < now && batch.leased_until < now;
        let left = content.batches.iter_mut().filter(|(_, batch)| is_left(batch));
        Ok(left
            .take(limit)
            .map(|(id, batch)| {
                batch.leased_until = now + age;
                (*id, batch.outputs.iter().flat_map(|(_, outputs)| outputs.clone()).collect())
            })
            .collect())
    }

    async fn note_suspect(&self, cause: &Cause, process: Uuid) -> Result<u32, StoreError> {
        let mut content = self.content();
        let (deaths, noted_by) = content.suspects.entry(cause.clone()).or_insert((0, process));
        *deaths += u32::from(*noted_by != process);
        *noted_by = process;
        Ok(*deaths)
    }

    async fn clear_suspect(&self, cause: &Cause) -> Result<(), StoreError> {
        self.content().suspects.remove(cause);
        Ok(())
    }

    async fn file_letters(&self, letters: &[Letter]) -> Result<(), StoreError> {
        let mut content = self.content();
        for letter in letters {
            let filed = content.letters.entry(letter.explanation.id);
            let is_known = matches!(filed, Entry::Occupied(_));
            let (known, occurrences) = filed.or_insert_with(|| (letter.clone(), 1));
            let Explanation { reason, text, attempts, worker, last_at, .. } = &letter.explanation;
            known.explanation.reason = *reason;
            known.explanation.text.clone_from(text);
            known.explanation.attempts = *attempts;
            known.explanation.worker.clone_from(worker);
            // The same death may be handed over twice by a drain that crashed.
            *occurrences += u64::from(is_known && known.explanation.last_at != *last_at);
            known.explanation.last_at = known.explanation.last_at.max(*last_at);
        }
        Ok(())
    }

    /// Nobody replays or archives letters in memory: all of them stay open, and are kept.
    async fn tend_letters(&self, _: Duration, _: usize) -> Result<u64, StoreError> {
        Ok(0)
    }

    async fn purge(&self, retention: Duration, limit: usize) -> Result<u64, StoreError> {
        let now = self.clock.now();
        let mut content = self.content();
        let letters = content.letters.values();
        let replayable: BTreeSet<String> = letters
            .filter_map(|(letter, _)| letter.explanation.properties.message_id.clone())
            .collect();
        let old: Vec<Cause> = content
            .inbox
            .iter()
            .filter(|(_, processed)| processed.at + retention < now)
            .filter(|(cause, _)| !replayable.contains(&cause.id))
            .map(|(cause, _)| cause.clone())
            .take(limit)
            .collect();
        for cause in &old {
            content.inbox.remove(cause);
        }
        let over = content.batches.iter().filter(|(_, it)| it.is_sent && it.at + retention < now);
        let over: Vec<Uuid> = over.map(|(id, _)| *id).take(limit).collect();
        for id in &over {
            content.batches.remove(id);
        }
        Ok(old.len().max(over.len()) as u64)
    }

    async fn pause(&self) -> Result<Option<Pause>, StoreError> {
        Ok(self.content().pause.clone())
    }

    async fn in_progress(&self, _: u32) -> Result<u32, StoreError> {
        Ok(0)
    }

    async fn census(&self, _: bool) -> Result<Vec<Reading>, StoreError> {
        let now = self.clock.now();
        let content = self.content();
        let waiting = content.batches.values().filter(|batch| !batch.is_sent);
        let waiting: Vec<Micros> = waiting.map(|batch| batch.at).collect();
        let due = content.timers.values().map(|(_, due_at)| *due_at);
        let due: Vec<Micros> = due.filter(|due_at| *due_at < now).collect();
        let age = |moments: &[Micros]| {
            moments.iter().min().map_or(0.0, |oldest| (now - *oldest).as_secs_f64())
        };
        let mut readings = vec![
            Reading::new(&OUTPUTS_WAITING, waiting.len() as f64),
            Reading::new(&OUTPUTS_OLDEST, age(&waiting)),
            Reading::new(&DEADLINES_OVERDUE, due.len() as f64),
            Reading::new(&DEADLINES_OLDEST, age(&due)),
        ];
        readings.extend(Reason::ALL.map(|reason| {
            let letters = content.letters.values().map(|(letter, _)| letter.explanation.reason);
            let open = letters.filter(|one| *one == reason).count();
            Reading::of(&DEAD_LETTERS_OPEN, reason.code(), open as f64)
        }));
        Ok(readings)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

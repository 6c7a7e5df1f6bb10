//! One batch: one transaction if possible, and ever smaller ones where a part of it is at fault.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use orderly_contracts::{Reason, Refusal};
use uuid::Uuid;

use crate::account;
use crate::clock::{Clock, Entropy, Micros};
use crate::domain::Domain;
use crate::letter::Letter;
use crate::message::{Delivery, Outgoing, Tag};
use crate::metrics::{self, Waits};
use crate::reception::{Content, Received};
use crate::retry::{Ladder, Setback};
use crate::store::{Store, StoreError};
use crate::trace;
use crate::transaction::{Committed, Detour};
use crate::unnoted::Unnoted;

/// How often a batch in conflict is tried again at once, before it is split.
const CONFLICT_ROUNDS: u32 = 4;
/// A conflict that took this long is no race that is over in a moment: somebody sits on a lock, and
/// the others of the batch should not wait for it.
const CONFLICT_PATIENCE: Duration = Duration::from_secs(1);
/// A batch that spent this long on conflicts ends with what it has done.
const BATCH_PATIENCE: Duration = Duration::from_secs(30);
/// This many messages of a batch in conflict one after the other, each alone, are no chance: the
/// database is jammed, and the rest would only wait as long as these did.
const JAM: usize = 4;
/// From this many returns on, a message is run alone: it may be what kills the process.
const SUSPECT_RETURNS: u32 = 3;
/// After this many noted deaths a message is given up.
const DEATHS_MAX: u32 = 3;

/// Processes the deliveries of one queue against one store.
pub struct Processor<D, S> {
    /// The worker's decisions.
    pub domain: Arc<D>,
    /// The worker's database.
    pub store: Arc<S>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Gives random numbers.
    pub entropy: Arc<dyn Entropy>,
    /// The retry ladder.
    pub ladder: Ladder,
    /// The queue the deliveries come from.
    pub queue: &'static str,
    /// The worker's name and version, for dead letters.
    pub worker: String,
    /// This process among all that ever ran the worker.
    pub process: Uuid,
}

/// What a batch comes to, once committed. Its deliveries are settled when all of `outgoing` is
/// confirmed, and not before.
#[derive(Debug, Default)]
pub struct Processed {
    /// Outputs, copies for the retry ladder, and dead letters.
    pub outgoing: Vec<Outgoing>,
    /// The deliveries concerned.
    pub tags: Vec<Tag>,
    /// The batches whose outputs are among `outgoing`.
    pub batches: Vec<Uuid>,
    /// How long the deliveries have waited.
    pub waits: Waits,
    /// How many of the deliveries go to the retry ladder.
    pub postponed: usize,
    /// Why the rest of the batch, which is not among `tags`, was left alone.
    pub left: Option<Left>,
}

/// Why a part of a batch was left alone, to come back later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Left {
    /// It took too long already: what is done should go out.
    Late,
    /// Nothing gets through the database, for the stated reason.
    Jammed(String),
}

/// A message that could be read.
pub(crate) struct Candidate<D: Domain> {
    pub(crate) delivery: Delivery,
    pub(crate) content: Content<D::Input>,
}

/// How far a batch has come.
struct Progress<D: Domain> {
    processed: Processed,
    /// Messages that were in conflict even alone, and with what.
    in_the_way: Vec<(Candidate<D>, String)>,
    /// How many of them since the last that got through.
    in_a_row: usize,
    has_got_through: bool,
    began: Micros,
}

impl<D: Domain, S: Store<D>> Processor<D, S> {
    /// Processes `received`; an error means that infrastructure is in trouble and nothing of it
    /// is settled. `out` are earlier batches, which are noted on the way when it is time.
    pub async fn process(
        &self,
        received: Vec<Received<D::Input>>,
        out: &mut Unnoted,
    ) -> Result<Processed, StoreError> {
        let mut processed = Processed::default();
        let mut together = Vec::new();
        let mut suspects = Vec::new();
        for Received { mut delivery, mut content, .. } in received {
            if let Ok(Content { arrival, .. }) = &mut content {
                let about = D::about(&arrival.input);
                let cause = &arrival.cause.id;
                trace::follow(&mut delivery.properties, &mut arrival.context, cause, about);
            }
            match content {
                Err(refusal) => self.bury(&delivery, &refusal, &mut processed),
                Ok(content) if delivery.returns >= SUSPECT_RETURNS => {
                    suspects.push(Candidate { delivery, content });
                }
                Ok(content) => together.push(Candidate { delivery, content }),
            }
        }
        let mut progress = Progress {
            processed,
            in_the_way: vec![],
            in_a_row: 0,
            has_got_through: false,
            began: self.clock.now(),
        };
        match self.presume(&together, out).await? {
            Some(committed) => {
                progress.has_got_through = true;
                self.finish(&together, committed, &mut progress.processed);
            }
            None => self.bisect(together, out, &mut progress).await?,
        }
        for suspect in suspects {
            if progress.processed.left.is_none() {
                self.run_alone(suspect, out, &mut progress).await?;
            }
        }
        let Progress { mut processed, in_the_way, has_got_through, .. } = progress;
        if let Some((_, why)) = in_the_way.last().filter(|_| !has_got_through) {
            processed.left = Some(Left::Jammed(why.clone()));
        }
        // To meet a jam is no fault of theirs: only where others get through it costs an attempt.
        if !matches!(processed.left, Some(Left::Jammed(_))) {
            for (candidate, why) in in_the_way {
                self.postpone(&candidate.delivery, Setback::Conflict, &why, &mut processed);
            }
        }
        Ok(processed)
    }

    /// Processes candidates together if possible, and in ever smaller parts where one is at fault.
    /// If the database is jammed, those that met it and those behind are left to come back.
    async fn bisect(
        &self,
        candidates: Vec<Candidate<D>>,
        out: &mut Unnoted,
        progress: &mut Progress<D>,
    ) -> Result<(), StoreError> {
        let mut parts = vec![candidates];
        while let Some(mut part) = parts.pop() {
            if part.is_empty() {
                continue;
            }
            let took = self.clock.now() - progress.began;
            if !progress.in_the_way.is_empty() && took > BATCH_PATIENCE {
                progress.processed.left = Some(Left::Late);
                return Ok(());
            }
            match self.transact_patiently(&part, out).await {
                Ok(committed) => {
                    // What was known proves little, but it must not come back for ever with what is in the
                    // way: nothing behind them would ever have its turn.
                    progress.has_got_through = true;
                    if committed.has_saved {
                        progress.in_a_row = 0;
                    }
                    self.finish(&part, committed, &mut progress.processed);
                }
                Err(StoreError::Data(_) | StoreError::Conflict(_)) if part.len() > 1 => {
                    metrics::batch_split(self.queue);
                    let second = part.split_off(part.len() / 2);
                    parts.push(second);
                    parts.push(part);
                }
                Err(StoreError::Data(why)) => {
                    let refusal = Refusal::new(Reason::Poison, why);
                    self.bury(&part[0].delivery, &refusal, &mut progress.processed);
                }
                Err(StoreError::Conflict(why)) => {
                    progress.in_a_row += 1;
                    progress.in_the_way.push((part.remove(0), why.clone()));
                    if progress.in_a_row >= JAM {
                        progress.processed.left = Some(Left::Jammed(why));
                        return Ok(());
                    }
                }
                Err(trouble) => return Err(trouble),
            }
        }
        Ok(())
    }

    /// Runs a message that came back too often alone, having noted that it may kill us.
    async fn run_alone(
        &self,
        suspect: Candidate<D>,
        out: &mut Unnoted,
        progress: &mut Progress<D>,
    ) -> Result<(), StoreError> {
        let cause = suspect.content.arrival.cause.clone();
        let deaths = self.store.note_suspect(&cause, self.process).await?;
        if deaths >= DEATHS_MAX {
            let text = format!("the worker died {deaths} times with this message in hand");
            let refusal = Refusal::new(Reason::CrashLoop, text);
            self.bury(&suspect.delivery, &refusal, &mut progress.processed);
            return self.store.clear_suspect(&cause).await;
        }
        let outcome = self.bisect(vec![suspect], out, progress).await;
        // However it ended, we are alive.
        let cleared = self.store.clear_suspect(&cause).await;
        outcome.and(cleared)
    }

    /// Tries a few times at once if other transactions are in the way.
    async fn transact_patiently(
        &self,
        candidates: &[Candidate<D>],
        out: &mut Unnoted,
    ) -> Result<Committed, StoreError> {
        let started = self.clock.now();
        let mut round = 0;
        loop {
            let outcome = self.transact(candidates, out).await;
            let is_patient = self.clock.now() - started < CONFLICT_PATIENCE;
            match outcome {
                Err(StoreError::Conflict(why)) if round < CONFLICT_ROUNDS && is_patient => {
                    round += 1;
                    metrics::transaction_conflict(self.queue);
                    tracing::debug!(queue = self.queue, round, why, "batch in conflict");
                    self.give_way(round).await;
                }
                outcome => return outcome,
            }
        }
    }

    /// Lets whoever is in the way go first.
    pub(crate) async fn give_way(&self, round: u32) {
        let jitter = Duration::from_millis(self.entropy.next() % (5 << round));
        self.clock.sleep(jitter).await;
    }

    fn finish(&self, candidates: &[Candidate<D>], committed: Committed, processed: &mut Processed) {
        processed.outgoing.extend(committed.outgoing);
        processed.batches.extend(committed.batch);
        let mut detours: BTreeMap<usize, Detour> = committed.detours.into_iter().collect();
        for (index, Candidate { delivery, .. }) in candidates.iter().enumerate() {
            match detours.remove(&index) {
                None => processed.tags.push(delivery.tag),
                Some(Detour::Retry(why)) => {
                    self.postpone(delivery, Setback::Asked, &why, processed);
                }
                Some(Detour::Dead(refusal)) => self.bury(delivery, &refusal, processed),
            }
        }
    }

    /// Sends a message to the retry ladder, or to the dead letters if it has climbed all of it.
    fn postpone(
        &self,
        delivery: &Delivery,
        setback: Setback,
        why: &str,
        processed: &mut Processed,
    ) {
        let now = self.clock.now();
        let copy = self.ladder.next_attempt(delivery, self.queue, setback, now, &*self.entropy);
        let Some(copy) = copy else {
            let text = format!("every attempt failed, the last one so: {why}");
            return self.bury(delivery, &Refusal::new(Reason::Exhausted, text), processed);
        };
        metrics::retry(self.queue, &copy);
        account::postponed(delivery, self.queue, (now, now), why);
        processed.outgoing.push(copy);
        processed.tags.push(delivery.tag);
        processed.postponed += 1;
    }

    fn bury(&self, delivery: &Delivery, refusal: &Refusal, processed: &mut Processed) {
        metrics::dead_letter(self.queue, refusal.reason);
        let now = self.clock.now();
        let letter = Letter::about(delivery, self.queue, &self.worker, refusal, now);
        account::given_up(delivery, self.queue, &letter, (now, now));
        processed.outgoing.push(letter.outgoing());
        processed.tags.push(delivery.tag);
    }
}

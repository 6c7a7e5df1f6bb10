//! One batch, one transaction: claim, load, decide, save, commit; and bisect a batch that fails.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use orderly_contracts::{Reason, Refusal};
use uuid::Uuid;

use crate::clock::{Clock, Entropy};
use crate::domain::{Arrival, Cause, Domain, States};
use crate::fold::{Fate, Folded, fold};
use crate::letter::Letter;
use crate::message::{Delivery, Outgoing, Tag};
use crate::metrics;
use crate::reception::{Content, Received};
use crate::retry::Ladder;
use crate::store::{Claim, Standing, Store, StoreError, Unit, Work};

/// How often a batch in conflict is tried again at once, before it is split.
const CONFLICT_ROUNDS: u32 = 4;
/// A conflict that took this long is no race that is over in a moment: somebody sits on a lock, and
/// the others of the batch should not wait for it.
const CONFLICT_PATIENCE: Duration = Duration::from_secs(1);
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
}

/// A message that could be read.
struct Candidate<D: Domain> {
    delivery: Delivery,
    content: Content<D::Input>,
}

/// What came of a candidate beyond the work that was saved.
enum Detour {
    Retry(String),
    Dead(Refusal),
}

/// A committed transaction.
struct Committed {
    batch: Option<Uuid>,
    outgoing: Vec<Outgoing>,
    /// By the index of the candidate.
    detours: Vec<(usize, Detour)>,
}

impl<D: Domain, S: Store<D>> Processor<D, S> {
    /// Processes `received`; an error means that infrastructure is in trouble and nothing of it
    /// is settled. `sent` names earlier batches to be noted as out; it is emptied once they are.
    pub async fn process(
        &self,
        received: Vec<Received<D::Input>>,
        sent: &mut Vec<Uuid>,
    ) -> Result<Processed, StoreError> {
        let mut processed = Processed {
            tags: received.iter().map(|received| received.delivery.tag).collect(),
            ..Processed::default()
        };
        let mut together = Vec::new();
        let mut suspects = Vec::new();
        for Received { delivery, content, .. } in received {
            match content {
                Err(refusal) => self.bury(&delivery, &refusal, &mut processed),
                Ok(content) if delivery.returns >= SUSPECT_RETURNS => {
                    suspects.push(Candidate { delivery, content });
                }
                Ok(content) => together.push(Candidate { delivery, content }),
            }
        }
        self.bisect(together, sent, &mut processed).await?;
        for suspect in suspects {
            self.run_alone(suspect, sent, &mut processed).await?;
        }
        Ok(processed)
    }

    /// Processes candidates together if possible, and in ever smaller parts where one is at fault.
    async fn bisect(
        &self,
        candidates: Vec<Candidate<D>>,
        sent: &mut Vec<Uuid>,
        processed: &mut Processed,
    ) -> Result<(), StoreError> {
        let mut parts = vec![candidates];
        while let Some(mut part) = parts.pop() {
            if part.is_empty() {
                continue;
            }
            match self.transact_patiently(&part, sent).await {
                Ok(committed) => self.finish(&part, committed, processed),
                Err(StoreError::Data(_) | StoreError::Conflict(_)) if part.len() > 1 => {
                    metrics::batch_split(self.queue);
                    let second = part.split_off(part.len() / 2);
                    parts.push(second);
                    parts.push(part);
                }
                Err(StoreError::Data(why)) => {
                    let refusal = Refusal::new(Reason::Poison, why);
                    self.bury(&part[0].delivery, &refusal, processed);
                }
                Err(StoreError::Conflict(why)) => {
                    self.postpone(&part[0].delivery, &why, processed);
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
        sent: &mut Vec<Uuid>,
        processed: &mut Processed,
    ) -> Result<(), StoreError> {
        let cause = suspect.content.arrival.cause.clone();
        let deaths = self.store.note_suspect(&cause).await?.saturating_sub(1);
        if deaths >= DEATHS_MAX {
            let text = format!("the worker died {deaths} times with this message in hand");
            self.bury(&suspect.delivery, &Refusal::new(Reason::CrashLoop, text), processed);
        } else {
            self.bisect(vec![suspect], sent, processed).await?;
        }
        self.store.clear_suspect(&cause).await
    }

    /// Tries a few times at once if other transactions are in the way.
    async fn transact_patiently(
        &self,
        candidates: &[Candidate<D>],
        sent: &mut Vec<Uuid>,
    ) -> Result<Committed, StoreError> {
        let started = self.clock.now();
        let mut round = 0;
        loop {
            let outcome = self.transact(candidates, sent).await;
            let is_patient = self.clock.now() - started < CONFLICT_PATIENCE;
            match outcome {
                Err(StoreError::Conflict(why)) if round < CONFLICT_ROUNDS && is_patient => {
                    round += 1;
                    metrics::transaction_conflict(self.queue);
                    tracing::debug!(queue = self.queue, round, why, "batch in conflict");
                    let jitter = Duration::from_millis(self.entropy.next() % (5 << round));
                    self.clock.sleep(jitter).await;
                }
                outcome => return outcome,
            }
        }
    }

    async fn transact(
        &self,
        candidates: &[Candidate<D>],
        sent: &mut Vec<Uuid>,
    ) -> Result<Committed, StoreError> {
        let batch = self.entropy.uuid();
        let mut unit = self.store.begin().await?;
        let claimed = match claim(&mut unit, batch, candidates).await {
            Ok(claimed) => claimed,
            Err(error) => return Err(give_up(unit, error).await),
        };
        let Claimed { fresh, unsent, mut detours } = claimed;
        if fresh.is_empty() {
            unit.rollback().await;
            return Ok(Committed { batch: None, outgoing: unsent, detours });
        }
        let arrivals: Vec<_> =
            fresh.iter().map(|index| &candidates[*index].content.arrival).collect();
        let (work, fates) =
            match decide_and_save(&*self.domain, &mut unit, batch, &arrivals, |work| {
                work.sent.clone_from(sent)
            })
            .await
            {
                Ok(folded) => folded,
                Err(error) => return Err(give_up(unit, error).await),
            };
        unit.commit().await?;
        sent.clear();
        let mut outgoing = unsent;
        let has_outputs = !work.outputs.is_empty();
        outgoing.extend(work.outputs.into_iter().flat_map(|(_, outputs)| outputs));
        for (index, fate) in fresh.into_iter().zip(fates) {
            metrics::message(self.queue, candidates[index].content.arrival.kind, &fate);
            match fate {
                Fate::Done | Fate::Rejected => {}
                Fate::Retry(why) => detours.push((index, Detour::Retry(why))),
                Fate::Dead(refusal) => detours.push((index, Detour::Dead(refusal))),
            }
        }
        Ok(Committed { batch: has_outputs.then_some(batch), outgoing, detours })
    }

    fn finish(&self, candidates: &[Candidate<D>], committed: Committed, processed: &mut Processed) {
        processed.outgoing.extend(committed.outgoing);
        processed.batches.extend(committed.batch);
        for (index, detour) in committed.detours {
            let delivery = &candidates[index].delivery;
            match detour {
                Detour::Retry(why) => self.postpone(delivery, &why, processed),
                Detour::Dead(refusal) => self.bury(delivery, &refusal, processed),
            }
        }
    }

    /// Sends a message to the retry ladder, or to the dead letters if it has climbed all of it.
    fn postpone(&self, delivery: &Delivery, why: &str, processed: &mut Processed) {
        let now = self.clock.now();
        match self.ladder.next_attempt(delivery, self.queue, now, &*self.entropy) {
            Some(copy) => {
                metrics::retry(self.queue);
                tracing::warn!(
                    queue = self.queue,
                    message.id = copy.id(),
                    why,
                    "tried again later"
                );
                processed.outgoing.push(copy);
            }
            None => {
                let text = format!("every attempt failed, the last one so: {why}");
                self.bury(delivery, &Refusal::new(Reason::Exhausted, text), processed);
            }
        }
    }

    fn bury(&self, delivery: &Delivery, refusal: &Refusal, processed: &mut Processed) {
        metrics::dead_letter(self.queue, refusal.reason);
        let now = self.clock.now();
        let letter = Letter::about(delivery, self.queue, &self.worker, refusal, now);
        tracing::warn!(
            queue = self.queue,
            letter.id = %letter.explanation.id,
            reason = refusal.reason.code(),
            "message given up: {}", refusal.text
        );
        processed.outgoing.push(letter.outgoing());
    }
}

/// Loads, decides and saves inside `unit`; the outputs and the fate of each arrival.
pub(crate) async fn decide_and_save<D: Domain, U: Unit<D>>(
    domain: &D,
    unit: &mut U,
    batch: Uuid,
    arrivals: &[&Arrival<D::Input>],
    complete: impl FnOnce(&mut Work<D>),
) -> Result<(Work<D>, Vec<Fate>), StoreError> {
    let keys: BTreeSet<D::Key> =
        arrivals.iter().flat_map(|arrival| D::keys(&arrival.input)).collect();
    let rows = unit.load(&keys).await?;
    let Folded { mut work, fates } = fold(domain, batch, arrivals, States::new(keys, rows));
    complete(&mut work);
    unit.save(&work).await?;
    Ok((work, fates))
}

/// Which candidates are new, and what is to be done about the others.
struct Claimed {
    fresh: Vec<usize>,
    unsent: Vec<Outgoing>,
    detours: Vec<(usize, Detour)>,
}

/// Claims every candidate's id, in one order for all workers. The body that was processed under an
/// id is the right one; where none was, that of the first copy.
async fn claim<D: Domain, U: Unit<D>>(
    unit: &mut U,
    batch: Uuid,
    candidates: &[Candidate<D>],
) -> Result<Claimed, StoreError> {
    let mut copies: BTreeMap<&Cause, Vec<usize>> = BTreeMap::new();
    for (index, candidate) in candidates.iter().enumerate() {
        copies.entry(&candidate.content.arrival.cause).or_default().push(index);
    }
    let first = |indices: &[usize]| &candidates[indices[0]].content;
    let claims: Vec<Claim> = copies
        .iter()
        .map(|(cause, indices)| Claim {
            cause: (*cause).clone(),
            kind: first(indices).arrival.kind,
            body_hash: first(indices).body_hash,
        })
        .collect();
    let standings = unit.claim(batch, &claims).await?;
    let mut claimed = Claimed { fresh: vec![], unsent: vec![], detours: vec![] };
    for (standing, indices) in standings.into_iter().zip(copies.into_values()) {
        let mut is_fresh = standing == Standing::Fresh;
        let (right, mut unsent) = match standing {
            Standing::Fresh => (first(&indices).body_hash, vec![]),
            Standing::Known { body_hash, unsent } => (body_hash, unsent),
        };
        for index in indices {
            let Content { arrival, body_hash } = &candidates[index].content;
            if *body_hash != right {
                claimed.detours.push((index, Detour::Dead(id_conflict())));
            } else if std::mem::take(&mut is_fresh) {
                claimed.fresh.push(index);
            } else {
                metrics::duplicate(arrival.kind);
                claimed.unsent.append(&mut unsent);
            }
        }
    }
    // Claiming went by id; deciding goes by arrival.
    claimed.fresh.sort_unstable();
    Ok(claimed)
}

fn id_conflict() -> Refusal {
    let text = "a message with the same id and another body was processed before; \
                a new message needs an id of its own";
    Refusal::new(Reason::IdConflict, text)
}

async fn give_up<D: Domain, U: Unit<D>>(unit: U, error: StoreError) -> StoreError {
    if matches!(error, StoreError::Conflict(_) | StoreError::Data(_)) {
        unit.rollback().await;
    }
    error
}

//! One transaction over a batch: with care, asking what is known, or presuming that nothing is.

use std::collections::{BTreeMap, BTreeSet};
use std::iter::zip;

use orderly_contracts::Refusal;
use uuid::Uuid;

use crate::account::Account;
use crate::batch::{Candidate, Processor};
use crate::claims::{Claimed, claim, claims, keys};
use crate::clock::Micros;
use crate::convoy;
use crate::domain::{Domain, States};
use crate::fold::{Fate, Folded, fold};
use crate::message::Outgoing;
use crate::metrics;
use crate::presumption;
use crate::store::{Entered, Store, StoreError, Unit, Work, all_fresh, give_up};
use crate::unnoted::Unnoted;

/// A committed transaction.
pub(crate) struct Committed {
    /// Whether anything was new, and saved.
    pub(crate) has_saved: bool,
    /// Its batch, if that has outputs.
    pub(crate) batch: Option<Uuid>,
    /// What is to be published.
    pub(crate) outgoing: Vec<Outgoing>,
    /// Candidates that go another way, by index.
    pub(crate) detours: Vec<(usize, Detour)>,
}

/// What came of a candidate beyond the work that was saved.
pub(crate) enum Detour {
    Retry(String),
    Dead(Refusal),
}

impl<D: Domain, S: Store<D>> Processor<D, S> {
    /// Asks what is known of `candidates`, decides on those that are new, and saves that.
    pub(crate) async fn transact(
        &self,
        candidates: &[Candidate<D>],
        out: &mut Unnoted,
    ) -> Result<Committed, StoreError> {
        let batch = self.entropy.uuid();
        let began = self.clock.now();
        let mut unit = self.store.begin().await?;
        let (claimed, mut states) = match claim(&mut unit, batch, candidates).await {
            Ok(entered) => entered,
            Err(error) => return Err(give_up(unit, error).await),
        };
        if claimed.fresh.is_empty() {
            unit.rollback().await;
            let nothing = Folded { work: Work::empty(batch), fates: vec![] };
            return Ok(self.committed(candidates, began, claimed, nothing));
        }
        if claimed.has_known {
            // Whoever processed what is known may have created states since they were looked for. To look
            // again with locks in hand could end in a deadlock.
            unit.rollback().await;
            (unit, states) = self.begin_with(batch, candidates, &claimed.fresh).await?;
        }
        let arrivals: Vec<_> =
            claimed.fresh.iter().map(|index| &candidates[*index].content.arrival).collect();
        let mut folded = fold(&*self.domain, batch, &arrivals, states);
        complete(&mut folded.work, out, began);
        unit.leave(&folded.work).await?;
        forget_noted(&folded.work, out);
        Ok(self.committed(candidates, began, claimed, folded))
    }

    /// A transaction that has claimed those of `candidates`, all of them new by what was heard last.
    async fn begin_with(
        &self,
        batch: Uuid,
        candidates: &[Candidate<D>],
        fresh: &[usize],
    ) -> Result<(S::Unit, States<D>), StoreError> {
        let contents = fresh.iter().map(|index| &candidates[*index].content);
        let keys = keys::<D>(contents.clone());
        let mut unit = self.store.begin().await?;
        match unit.enter(batch, &claims(contents), &keys).await {
            Ok(Entered { standings, states }) if all_fresh(&standings) => {
                Ok((unit, States::new(keys, states)))
            }
            Ok(_) => {
                unit.rollback().await;
                Err(StoreError::Conflict("somebody else has just processed a part".to_owned()))
            }
            Err(error) => Err(give_up(unit, error).await),
        }
    }

    /// Decides on `candidates` as if they were all new, and saves that together with their claims. Nothing is
    /// returned where that is not tried, or fails: then they have to be processed with care.
    pub(crate) async fn presume(
        &self,
        candidates: &[Candidate<D>],
        out: &mut Unnoted,
    ) -> Result<Option<Committed>, StoreError> {
        if !presumption::are_new(candidates) {
            return Ok(None);
        }
        let began = self.clock.now();
        match self.transact_as_new(candidates, out, began).await {
            Ok(Some(folded)) => {
                let claimed = Claimed::all_of(candidates);
                Ok(Some(self.committed(candidates, began, claimed, folded)))
            }
            Ok(None) => Ok(None),
            Err(StoreError::Conflict(why)) => {
                metrics::transaction_conflict(self.queue);
                tracing::debug!(queue = self.queue, why, "a batch was not as presumed");
                self.give_way(1).await;
                Ok(None)
            }
            // Whose fault it is, or whether it has happened after all, is found out by whoever asks.
            Err(StoreError::Data(_) | StoreError::Unknown(_)) => Ok(None),
            Err(trouble) => Err(trouble),
        }
    }

    /// What was decided and saved; nothing where saving would not tell that it was presumed wrongly.
    async fn transact_as_new(
        &self,
        candidates: &[Candidate<D>],
        out: &mut Unnoted,
        began: Micros,
    ) -> Result<Option<Folded<D>>, StoreError> {
        let batch = self.entropy.uuid();
        let contents = candidates.iter().map(|candidate| &candidate.content);
        let mut unit = self.store.begin().await?;
        let keys = keys::<D>(contents.clone());
        let openings = presumption::openings(candidates);
        let sought: BTreeSet<_> = keys.difference(&openings).cloned().collect();
        let states = match sought.is_empty() {
            true => BTreeMap::new(),
            false => match unit.look(&sought).await {
                Ok(states) => states,
                Err(error) => return Err(give_up(unit, error).await),
            },
        };
        let arrivals: Vec<_> = contents.clone().map(|content| &content.arrival).collect();
        let mut folded = fold(&*self.domain, batch, &arrivals, States::new(keys, states));
        if !presumption::is_put_to_the_test(&folded.work, &openings) {
            unit.rollback().await;
            return Ok(None);
        }
        complete(&mut folded.work, out, began);
        unit.leave_new(&claims(contents), &folded.work).await?;
        forget_noted(&folded.work, out);
        Ok(Some(folded))
    }

    /// What a transaction comes to that began at that moment, told to the meters and to the log.
    fn committed(
        &self,
        candidates: &[Candidate<D>],
        began: Micros,
        claimed: Claimed,
        folded: Folded<D>,
    ) -> Committed {
        let Claimed { fresh, unsent: mut outgoing, duplicates, conflicting, .. } = claimed;
        let Folded { work, fates } = folded;
        metrics::duplicates(self.queue, &duplicates);
        work.entries.iter().for_each(D::meter);
        let has_outputs = !work.outputs.is_empty();
        outgoing.extend(work.outputs.into_iter().flat_map(|(_, outputs)| outputs));
        Account {
            queue: self.queue,
            batch: work.batch,
            candidates,
            fresh: &fresh,
            fates: &fates,
            outputs: outgoing.len(),
            period: (began, self.clock.now()),
        }
        .give();
        let has_saved = !fresh.is_empty();
        let conflicting = conflicting.into_iter();
        let mut detours: Vec<_> =
            conflicting.map(|(index, refusal)| (index, Detour::Dead(refusal))).collect();
        for (index, fate) in zip(fresh, fates) {
            metrics::message(self.queue, candidates[index].content.arrival.kind, &fate);
            match fate {
                Fate::Done | Fate::Rejected => {}
                Fate::Retry(why) => detours.push((index, Detour::Retry(why))),
                Fate::Dead(refusal) => detours.push((index, Detour::Dead(refusal))),
            }
        }
        Committed { has_saved, batch: has_outputs.then_some(work.batch), outgoing, detours }
    }
}

/// Adds to the work of a batch that began at that moment what is no decision: the announcement of its
/// outputs, and which earlier batches are out.
fn complete<D: Domain>(work: &mut Work<D>, out: &Unnoted, began: Micros) {
    convoy::announce(work.outputs.iter_mut().flat_map(|(_, outputs)| outputs));
    work.sent = out.due(began).to_vec();
}

/// Forgets which batches are out, once `work` has noted it.
fn forget_noted<D: Domain>(work: &Work<D>, out: &mut Unnoted) {
    if !work.sent.is_empty() {
        out.clear();
    }
}

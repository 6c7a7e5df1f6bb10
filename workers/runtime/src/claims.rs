//! Claiming a batch's messages in the inbox: which are new, which are duplicates, which contradict.

use std::collections::{BTreeMap, BTreeSet};

use orderly_contracts::{Reason, Refusal};
use uuid::Uuid;

use crate::batch::Candidate;
use crate::domain::{Arrival, Cause, Domain, States};
use crate::message::Outgoing;
use crate::reception::Content;
use crate::store::{Claim, Entered, Standing, StoreError, Unit, all_fresh};

/// Which candidates are new, and what is to be done about the others.
#[derive(Default)]
pub(crate) struct Claimed {
    /// New ones, by index, in the order they arrived.
    pub(crate) fresh: Vec<usize>,
    /// What duplicates once decided and is not known to be out.
    pub(crate) unsent: Vec<Outgoing>,
    /// The types of the duplicates.
    pub(crate) duplicates: Vec<&'static str>,
    /// Copies that contradict the body that was processed, by index.
    pub(crate) conflicting: Vec<(usize, Refusal)>,
    /// Whether any was processed before, and is no mere copy within the batch.
    pub(crate) has_known: bool,
}

impl Claimed {
    /// All of `candidates` are new.
    pub(crate) fn all_of<D: Domain>(candidates: &[Candidate<D>]) -> Self {
        let fresh = (0..candidates.len()).collect();
        Self { fresh, ..Self::default() }
    }
}

/// The copies of each message among `candidates`, by index.
pub(crate) fn copies<D: Domain>(candidates: &[Candidate<D>]) -> BTreeMap<&Cause, Vec<usize>> {
    let mut copies: BTreeMap<&Cause, Vec<usize>> = BTreeMap::new();
    for (index, candidate) in candidates.iter().enumerate() {
        copies.entry(&candidate.content.arrival.cause).or_default().push(index);
    }
    copies
}

/// A claim for each message, in one order for all workers, by its first copy.
pub(crate) fn claims<D: Domain>(
    candidates: &[Candidate<D>],
    copies: &BTreeMap<&Cause, Vec<usize>>,
) -> Vec<Claim> {
    copies.values().map(|indices| claim_of(&candidates[indices[0]].content)).collect()
}

/// A claim for a message that says this.
pub(crate) fn claim_of<I>(content: &Content<I>) -> Claim {
    let Content { arrival, body_hash } = content;
    Claim { cause: arrival.cause.clone(), kind: arrival.kind, body_hash: *body_hash }
}

/// The keys of everything that `candidates` may concern.
pub(crate) fn keys<D: Domain>(candidates: &[Candidate<D>]) -> BTreeSet<D::Key> {
    candidates.iter().flat_map(|candidate| D::keys(&candidate.content.arrival.input)).collect()
}

/// What arrived with `candidates`.
pub(crate) fn arrivals<D: Domain>(candidates: &[Candidate<D>]) -> Vec<&Arrival<D::Input>> {
    candidates.iter().map(|candidate| &candidate.content.arrival).collect()
}

/// Claims every candidate's id, in one order for all workers, and loads the states concerned. The body
/// that was processed under an id is the right one; where none was, that of the first copy.
pub(crate) async fn claim<D: Domain, U: Unit<D>>(
    unit: &mut U,
    batch: Uuid,
    candidates: &[Candidate<D>],
) -> Result<(Claimed, States<D>), StoreError> {
    let copies = copies(candidates);
    let claims = claims(candidates, &copies);
    // Those of copies as well: which of them are new is only known when all is here.
    let keys = keys(candidates);
    let Entered { standings, states } = unit.enter(batch, &claims, &keys).await?;
    let mut claimed = Claimed { has_known: !all_fresh(&standings), ..Claimed::default() };
    for (standing, indices) in standings.into_iter().zip(copies.into_values()) {
        let mut is_fresh = standing == Standing::Fresh;
        let (right, mut unsent) = match standing {
            Standing::Fresh => (candidates[indices[0]].content.body_hash, vec![]),
            Standing::Known { body_hash, unsent } => (body_hash, unsent),
        };
        for index in indices {
            let Content { arrival, body_hash } = &candidates[index].content;
            if *body_hash != right {
                claimed.conflicting.push((index, id_conflict()));
            } else if std::mem::take(&mut is_fresh) {
                claimed.fresh.push(index);
            } else {
                claimed.duplicates.push(arrival.kind);
                claimed.unsent.append(&mut unsent);
            }
        }
    }
    // Claiming went by id; deciding goes by arrival.
    claimed.fresh.sort_unstable();
    Ok((claimed, States::new(keys, states)))
}

fn id_conflict() -> Refusal {
    let text = "a message with the same id and another body was processed before; \
                a new message needs an id of its own";
    Refusal::new(Reason::IdConflict, text)
}

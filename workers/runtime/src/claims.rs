//! Claiming a batch's messages in the inbox: which are new, which are duplicates, which contradict.

use std::collections::{BTreeMap, BTreeSet};

use orderly_contracts::{Reason, Refusal};
use uuid::Uuid;

use crate::batch::Candidate;
use crate::domain::{Cause, Domain, States};
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

/// A claim for each of these messages, no two of which are the same, in one order for all workers.
pub(crate) fn claims<'a, I: 'a>(contents: impl Iterator<Item = &'a Content<I>>) -> Vec<Claim> {
    let claim = |Content { arrival, body_hash }: &Content<I>| Claim {
        cause: arrival.cause.clone(),
        kind: arrival.kind,
        body_hash: *body_hash,
    };
    let mut claims: Vec<Claim> = contents.map(claim).collect();
    claims.sort_unstable_by(|one, other| one.cause.cmp(&other.cause));
    claims
}

/// The keys of everything that these messages may concern.
pub(crate) fn keys<'a, D: Domain>(
    contents: impl Iterator<Item = &'a Content<D::Input>>,
) -> BTreeSet<D::Key> {
    contents.flat_map(|content| D::keys(&content.arrival.input)).collect()
}

/// Claims every candidate's id, in one order for all workers, and loads the states concerned. The body
/// that was processed under an id is the right one; where none was, that of the first copy.
pub(crate) async fn claim<D: Domain, U: Unit<D>>(
    unit: &mut U,
    batch: Uuid,
    candidates: &[Candidate<D>],
) -> Result<(Claimed, States<D>), StoreError> {
    let mut copies: BTreeMap<&Cause, Vec<usize>> = BTreeMap::new();
    for (index, candidate) in candidates.iter().enumerate() {
        copies.entry(&candidate.content.arrival.cause).or_default().push(index);
    }
    let first = |indices: &[usize]| &candidates[indices[0]].content;
    let claims = claims(copies.values().map(|indices| first(indices)));
    // Those of copies as well: which of them are new is only known when all is here.
    let keys = keys::<D>(candidates.iter().map(|candidate| &candidate.content));
    let Entered { standings, states } = unit.enter(batch, &claims, &keys).await?;
    let mut claimed = Claimed { has_known: !all_fresh(&standings), ..Claimed::default() };
    for (standing, indices) in standings.into_iter().zip(copies.into_values()) {
        let mut is_fresh = standing == Standing::Fresh;
        let (right, mut unsent) = match standing {
            Standing::Fresh => (first(&indices).body_hash, vec![]),
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

//! Claiming a batch's messages in the inbox: which are new, which are duplicates, which contradict.

use std::collections::{BTreeMap, BTreeSet};

use orderly_contracts::{Reason, Refusal};
use uuid::Uuid;

use crate::batch::Candidate;
use crate::domain::{Cause, Domain, States};
use crate::message::Outgoing;
use crate::reception::Content;
use crate::store::{Claim, Entered, Standing, StoreError, Unit};

/// Which candidates are new, and what is to be done about the others.
pub(crate) struct Claimed<D: Domain> {
    /// New ones, by index, in the order they arrived.
    pub(crate) fresh: Vec<usize>,
    /// What duplicates once decided and is not known to be out.
    pub(crate) unsent: Vec<Outgoing>,
    /// The types of the duplicates.
    pub(crate) duplicates: Vec<&'static str>,
    /// Copies that contradict the body that was processed, by index.
    pub(crate) conflicting: Vec<(usize, Refusal)>,
    /// The states that the candidates concern.
    pub(crate) states: States<D>,
}

/// Claims every candidate's id, in one order for all workers, and loads the states concerned. The body
/// that was processed under an id is the right one; where none was, that of the first copy.
pub(crate) async fn claim<D: Domain, U: Unit<D>>(
    unit: &mut U,
    batch: Uuid,
    candidates: &[Candidate<D>],
) -> Result<Claimed<D>, StoreError> {
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
    // Those of copies as well: which of them are new is only known when all is here.
    let inputs = candidates.iter().map(|candidate| &candidate.content.arrival.input);
    let keys: BTreeSet<D::Key> = inputs.flat_map(D::keys).collect();
    let Entered { standings, states } = unit.enter(batch, &claims, &keys).await?;
    let states = States::new(keys, states);
    let mut claimed =
        Claimed { fresh: vec![], unsent: vec![], duplicates: vec![], conflicting: vec![], states };
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
    Ok(claimed)
}

fn id_conflict() -> Refusal {
    let text = "a message with the same id and another body was processed before; \
                a new message needs an id of its own";
    Refusal::new(Reason::IdConflict, text)
}

//! What is presumed of a batch before anybody asks: that nothing in it was heard of before.
//!
//! Nearly always that is so. Then a batch needs no answer to its claims before it is decided, and one that
//! opens everything it concerns needs no states either: both are told by saving, which fails if it was wrong.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::batch::Candidate;
use crate::claims::keys;
use crate::domain::{Cause, Domain, States};
use crate::fold::{Folded, fold};

/// Whether `candidates` are presumably all new: none came back, and no two are copies of one message.
pub(crate) fn are_new<D: Domain>(candidates: &[Candidate<D>]) -> bool {
    !candidates.is_empty()
        && candidates.iter().all(|candidate| candidate.delivery.returns == 0)
        && causes(candidates).len() == candidates.len()
}

fn causes<D: Domain>(candidates: &[Candidate<D>]) -> BTreeSet<&Cause> {
    candidates.iter().map(|candidate| &candidate.content.arrival.cause).collect()
}

/// What new `candidates` come to if all of them are openings, and there is nothing yet that they open.
/// None where saving would not notice that something is there after all, unless claims are given back.
pub(crate) fn of_openings<D: Domain>(
    domain: &D,
    batch: Uuid,
    candidates: &[Candidate<D>],
) -> Option<Folded<D>> {
    if !candidates.iter().all(|candidate| D::opens(&candidate.content.arrival.input)) {
        return None;
    }
    let contents = candidates.iter().map(|candidate| &candidate.content);
    let keys = keys::<D>(contents.clone());
    let nothing = States::new(keys.clone(), BTreeMap::new());
    let arrivals: Vec<_> = contents.map(|content| &content.arrival).collect();
    let folded = fold(domain, batch, &arrivals, nothing);
    let created = folded.work.changes.created.iter().map(|(key, _)| key);
    // One that leaves no effect is no opening after all: what that means is the caller's.
    let is_noticed = created.eq(&keys) || !folded.work.disclaimed.is_empty();
    is_noticed.then_some(folded)
}

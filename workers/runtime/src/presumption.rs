//! What is presumed of a batch before anybody asks: that nothing in it was heard of before.
//!
//! Nearly always that is so. Then a batch needs no answer to its claims before it is decided, nor what is under the
//! keys that it opens: both are told by saving, which fails if it was wrong.

use std::collections::BTreeSet;

use crate::batch::Candidate;
use crate::domain::{Cause, Domain};
use crate::store::Work;

/// Whether `candidates` are presumably all new: none came back, and no two are copies of one message.
pub(crate) fn are_new<D: Domain>(candidates: &[Candidate<D>]) -> bool {
    !candidates.is_empty()
        && candidates.iter().all(|candidate| candidate.delivery.returns == 0)
        && causes(candidates).len() == candidates.len()
}

fn causes<D: Domain>(candidates: &[Candidate<D>]) -> BTreeSet<&Cause> {
    candidates.iter().map(|candidate| &candidate.content.arrival.cause).collect()
}

/// The keys under which `candidates` presumably put something first.
pub(crate) fn openings<D: Domain>(candidates: &[Candidate<D>]) -> BTreeSet<D::Key> {
    candidates.iter().flat_map(|candidate| D::opens(&candidate.content.arrival.input)).collect()
}

/// Whether saving `work` fails if something is there already under one of these keys, and as a whole: what is
/// not created would be missed, and a claim that is given back tells nothing of what was known.
pub(crate) fn is_put_to_the_test<D: Domain>(work: &Work<D>, openings: &BTreeSet<D::Key>) -> bool {
    let created: BTreeSet<_> = work.changes.created.iter().map(|(key, _)| key).collect();
    work.disclaimed.is_empty() && openings.iter().all(|key| created.contains(key))
}

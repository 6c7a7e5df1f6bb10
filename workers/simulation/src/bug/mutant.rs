//! A domain that decides as the one that ships, but for one bug.

use std::collections::{BTreeMap, BTreeSet};

use orderly_contracts::Refusal;
use orderly_contracts::routes::Party;
use orderly_runtime::domain::{Arrival, Decision, Domain, States, Timer, Verdict};

use crate::bug::Bug;

/// A domain whose decisions can go wrong.
pub trait Buggy: Domain {
    /// What `bug` makes of `verdict`, the right one.
    fn spoil(
        bug: Bug,
        arrival: &Arrival<Self::Input>,
        states: &States<Self>,
        verdict: Verdict<Self>,
    ) -> Verdict<Self>;
}

/// A domain with a bug.
pub struct Mutant<D> {
    /// The one that ships.
    pub domain: D,
    /// What is wrong.
    pub bug: Bug,
}

impl<D: Buggy> Domain for Mutant<D> {
    const PARTY: Party = D::PARTY;
    const ANSWERS: Option<&'static str> = D::ANSWERS;
    const NEW_WORK: Option<&'static str> = D::NEW_WORK;
    const UNHURRIED: Option<&'static str> = D::UNHURRIED;

    type Input = D::Input;
    type Key = D::Key;
    type State = D::State;
    type Entry = D::Entry;

    fn decode(kind: &str, body: &[u8]) -> Result<D::Input, Refusal> {
        D::decode(kind, body)
    }

    fn due(timer: &Timer) -> Option<D::Input> {
        D::due(timer)
    }

    fn about(input: &D::Input) -> &str {
        D::about(input)
    }

    fn keys(input: &D::Input) -> Vec<D::Key> {
        D::keys(input)
    }

    fn opens(input: &D::Input) -> Vec<D::Key> {
        D::opens(input)
    }

    fn participant(step: &str) -> Option<&'static str> {
        D::participant(step)
    }

    fn leads_to(state: &D::State) -> Vec<D::Key> {
        D::leads_to(state)
    }

    fn decide(&self, arrival: &Arrival<D::Input>, states: &States<Self>) -> Verdict<Self> {
        let states = shipped::<D>(arrival, states);
        let right = self.domain.decide(arrival, &states);
        match D::spoil(self.bug, arrival, &states, right) {
            Verdict::Done(decision) => Verdict::Done(own(decision)),
            Verdict::Rejected(decision) => Verdict::Rejected(own(decision)),
            Verdict::Retry(why) => Verdict::Retry(why),
            Verdict::Dead(refusal) => Verdict::Dead(refusal),
        }
    }
}

/// The states that a decision about `arrival` may look at.
fn shipped<D: Buggy>(arrival: &Arrival<D::Input>, states: &States<Mutant<D>>) -> States<D> {
    let asked: BTreeSet<D::Key> = D::keys(&arrival.input).into_iter().collect();
    let mut rows = BTreeMap::new();
    let mut wanted: Vec<D::Key> = asked.iter().cloned().collect();
    while let Some(key) = wanted.pop() {
        if let Some(state) = states.get(&key)
            && !rows.contains_key(&key)
        {
            wanted.extend(D::leads_to(state));
            rows.insert(key, state.clone());
        }
    }
    States::new(asked, rows)
}

fn own<D: Buggy>(decision: Decision<D>) -> Decision<Mutant<D>> {
    let Decision { changes, entries, outputs, timers } = decision;
    Decision { changes, entries, outputs, timers }
}

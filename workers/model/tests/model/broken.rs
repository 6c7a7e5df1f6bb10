//! A worker with a bug: the shipped one, made to mishear, to overlook or to spoil something.

use std::collections::{BTreeMap, BTreeSet};

use orderly_contracts::Refusal;
use orderly_contracts::routes::Party;
use orderly_model::books::Booking;
use orderly_model::rules::Rule;
use orderly_model::service::{Modelled, Service, Worker};
use orderly_model::tables::Row;
use orderly_runtime::domain::{Arrival, Decision, Domain, States, Timer, Verdict};

/// The states that a decision looks at.
pub(crate) type Rows<D> = BTreeMap<<D as Domain>::Key, <D as Domain>::State>;

/// A worker with a bug. Each of the three does nothing unless it is the bug.
pub(crate) struct Broken<D: Domain> {
    shipped: D,
    mishears: fn(&mut D::Input),
    overlooks: fn(&D::Input, &mut Rows<D>),
    spoils: fn(&D::Input, &Rows<D>, &mut Decision<D>),
}

impl<D: Modelled> Broken<D> {
    fn like(shipped: D) -> Self {
        Self { shipped, mishears: |_| (), overlooks: |_, _| (), spoils: |_, _, _| () }
    }

    /// Takes an input for another.
    pub(crate) fn mishears(shipped: D, mishears: fn(&mut D::Input)) -> Box<dyn Worker> {
        Box::new(Service::new(Self { mishears, ..Self::like(shipped) }))
    }

    /// Takes a state for another.
    pub(crate) fn overlooks(shipped: D, overlooks: fn(&D::Input, &mut Rows<D>)) -> Box<dyn Worker> {
        Box::new(Service::new(Self { overlooks, ..Self::like(shipped) }))
    }

    /// Decides well, and does something else.
    pub(crate) fn spoils(
        shipped: D,
        spoils: fn(&D::Input, &Rows<D>, &mut Decision<D>),
    ) -> Box<dyn Worker> {
        Box::new(Service::new(Self { spoils, ..Self::like(shipped) }))
    }

    /// Takes a state for another, and then does something else.
    pub(crate) fn overlooks_and_spoils(
        shipped: D,
        overlooks: fn(&D::Input, &mut Rows<D>),
        spoils: fn(&D::Input, &Rows<D>, &mut Decision<D>),
    ) -> Box<dyn Worker> {
        Box::new(Service::new(Self { overlooks, spoils, ..Self::like(shipped) }))
    }

    /// The states under the keys of `input`, and those they lead to.
    fn rows(input: &D::Input, states: &States<Self>) -> Rows<D> {
        let mut rows = Rows::<D>::new();
        let mut wanted = D::keys(input);
        while let Some(key) = wanted.pop() {
            if let Some(state) = states.get(&key)
                && !rows.contains_key(&key)
            {
                wanted.extend(D::leads_to(state));
                rows.insert(key, state.clone());
            }
        }
        rows
    }
}

impl<D: Modelled> Domain for Broken<D> {
    const PARTY: Party = D::PARTY;

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

    fn leads_to(state: &D::State) -> Vec<D::Key> {
        D::leads_to(state)
    }

    fn decide(&self, arrival: &Arrival<D::Input>, states: &States<Self>) -> Verdict<Self> {
        let Self { shipped, mishears, overlooks, spoils } = self;
        let rows = Self::rows(&arrival.input, states);
        let mut arrival = arrival.clone();
        mishears(&mut arrival.input);
        let mut seen = rows.clone();
        overlooks(&arrival.input, &mut seen);
        let asked: BTreeSet<_> = D::keys(&arrival.input).into_iter().collect();
        let spoilt = |mut decision: Decision<D>| {
            spoils(&arrival.input, &rows, &mut decision);
            let Decision { changes, entries, outputs, timers } = decision;
            Decision { changes, entries, outputs, timers }
        };
        match shipped.decide(&arrival, &States::new(asked, seen)) {
            Verdict::Done(decision) => Verdict::Done(spoilt(decision)),
            Verdict::Rejected(decision) => Verdict::Rejected(spoilt(decision)),
            Verdict::Retry(why) => Verdict::Retry(why),
            Verdict::Dead(refusal) => Verdict::Dead(refusal),
        }
    }
}

impl<D: Modelled> Modelled for Broken<D> {
    fn place(key: &D::Key) -> usize {
        D::place(key)
    }

    fn place_of_order(order: usize) -> usize {
        D::place_of_order(order)
    }

    fn timer(owner: &str) -> usize {
        D::timer(owner)
    }

    fn row(state: &D::State) -> Row {
        D::row(state)
    }

    fn booking(entry: &D::Entry) -> Option<Booking> {
        D::booking(entry)
    }

    fn broken(before: Option<&D::State>, after: &D::State) -> Vec<Rule> {
        D::broken(before, after)
    }
}

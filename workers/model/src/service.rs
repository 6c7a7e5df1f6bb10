//! A service of the model: the shipped decisions of a worker, reached by the shipped reception and
//! fold, with numbers for states and messages.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use orderly_contracts::routes::Party;
use orderly_runtime::clock::Micros;
use orderly_runtime::domain::{Arrival, Context, Domain, States, TIMER, TimerChange};
use orderly_runtime::fold::{Fate, Folded, fold, timer_cause};
use orderly_runtime::message::{Delivery, Outgoing};
use orderly_runtime::reception::Reception;
use uuid::Uuid;

use crate::books::Booking;
use crate::moment::Number;
use crate::place::ROWS;
use crate::rules::Rule;
use crate::scene::Event;
use crate::tables::{Content, Row, Sent, Tables, To};

/// When everything happens: time has no say in any decision, only in records.
pub const NOW: Micros = Micros(1_767_225_600_000_000);

/// What the model has to know of a worker's decisions, besides how to ask for them.
pub trait Modelled: Domain {
    /// Where a state is kept.
    fn place(key: &Self::Key) -> usize;
    /// Where the state of an order is kept.
    fn place_of_order(order: usize) -> usize;
    /// Where an owner's timer is kept.
    fn timer(owner: &str) -> usize;
    /// What the rules need to know of a state, and what it is called.
    fn row(state: &Self::State) -> Row;
    /// What a record means for the books.
    fn booking(entry: &Self::Entry) -> Option<Booking>;
    /// The rules that a change of a state breaks.
    fn broken(before: Option<&Self::State>, after: &Self::State) -> Vec<Rule> {
        let _ = (before, after);
        vec![]
    }
}

/// What follows from a decision.
#[derive(Debug, Default)]
pub struct Effect {
    /// New states, by place.
    pub rows: Vec<(usize, Number)>,
    /// Timers set, or cleared by a 0, by place.
    pub timers: Vec<(usize, Number)>,
    /// Lines of ledgers.
    pub bookings: Vec<Booking>,
    /// What is sent to anybody here.
    pub outputs: Number,
    /// It became a dead letter.
    pub is_dead: bool,
    /// The rules that it broke.
    pub broken: Vec<Rule>,
    /// The scenes of the configuration that it was.
    pub event: Event,
}

/// A worker, whatever its domain.
pub trait Worker: Send + Sync {
    /// Decides on a message, as the shipped worker does.
    fn decide(&mut self, tables: &mut Tables, message: Number, rows: &[Number; ROWS]) -> Effect;
}

/// A worker's decisions, and all states that have come of them.
pub struct Service<D: Modelled> {
    domain: D,
    states: HashMap<Number, D::State>,
    /// Numbers of states, by their words in full; two of the same words may still differ.
    known: HashMap<String, Vec<Number>>,
}

impl<D: Modelled> Service<D> {
    /// A worker that decides like `domain`.
    pub fn new(domain: D) -> Self {
        Self { domain, states: HashMap::new(), known: HashMap::new() }
    }

    /// The number of a state.
    fn number(&mut self, tables: &mut Tables, state: D::State) -> Number {
        let same = self.known.entry(format!("{state:?}")).or_default();
        if let Some(number) = same.iter().find(|number| self.states[number] == state) {
            return *number;
        }
        let number = tables.add_row(D::row(&state));
        same.push(number);
        self.states.insert(number, state);
        number
    }

    /// The states under `keys`, and those they lead to.
    fn load(
        &self,
        keys: &BTreeSet<D::Key>,
        scope: &[usize],
        rows: &[Number; ROWS],
    ) -> BTreeMap<D::Key, D::State> {
        let mut found = BTreeMap::new();
        let mut wanted: Vec<D::Key> = keys.iter().cloned().collect();
        while let Some(key) = wanted.pop() {
            let place = D::place(&key);
            assert!(scope.contains(&place), "{key:?} is out of scope");
            if let Some(state) = self.states.get(&rows[place])
                && !found.contains_key(&key)
            {
                wanted.extend(D::leads_to(state));
                found.insert(key, state.clone());
            }
        }
        found
    }
}

/// A message as its worker takes it, or nothing if that refuses it.
fn receive<D: Domain>(sent: &Sent) -> Option<Arrival<D::Input>> {
    match &sent.content {
        Content::Timer(timer) => {
            let (cause, context) = (timer_cause(timer), Context::default());
            let input = D::due(timer)?;
            Some(Arrival { cause, kind: TIMER, at: NOW, context, input })
        }
        Content::Message(outgoing, queue) => {
            let reception = Reception { queue, body_bytes_max: usize::MAX, decode: D::decode };
            let received = reception.receive(delivery((**outgoing).clone()), NOW);
            Some(received.content.ok()?.arrival)
        }
    }
}

/// A message as the broker hands it over.
pub fn delivery(outgoing: Outgoing) -> Delivery {
    let Outgoing { exchange, routing_key, properties, body, .. } = outgoing;
    Delivery { tag: 0, returns: 0, exchange, routing_key, properties, body }
}

impl<D: Modelled> Worker for Service<D> {
    fn decide(&mut self, tables: &mut Tables, message: Number, rows: &[Number; ROWS]) -> Effect {
        let sent = tables.sent(message).clone();
        let dead = || Effect { is_dead: true, ..Effect::default() };
        let Some(arrival) = receive::<D>(&sent) else { return dead() };
        let asked: BTreeSet<_> = D::keys(&arrival.input).into_iter().collect();
        let found = self.load(&asked, &sent.scope, rows);
        let states = States::new(asked, found);
        let Folded { work, fates } = fold(&self.domain, Uuid::nil(), &[&arrival], states);
        if !matches!(fates[..], [Fate::Done | Fate::Rejected]) {
            return dead();
        }
        let mut effect = Effect {
            bookings: work.entries.iter().filter_map(D::booking).collect(),
            ..Effect::default()
        };
        for (key, state) in work.changes.created.into_iter().chain(work.changes.updated) {
            let place = D::place(&key);
            effect.broken.extend(D::broken(self.states.get(&rows[place]), &state));
            effect.rows.push((place, self.number(tables, state)));
        }
        for change in work.timers.into_values() {
            let place = D::timer(change.owner());
            let timer = match change {
                TimerChange::Set { timer, .. } => tables.number_timer(timer, D::PARTY),
                TimerChange::Clear { .. } => 0,
            };
            effect.timers.push((place, timer));
        }
        let outgoing = work.outputs.into_iter().flat_map(|(_, outgoing)| outgoing);
        let sends: Vec<_> = outgoing.map(|one| tables.number_message(one, sent.kind)).collect();
        let here = |one: &Number| tables.sent(*one).to != To::World;
        let kinds = sends.iter().map(|one| tables.sent(*one).kind);
        effect.bookings.extend(kinds.clone().filter_map(|kind| told(kind, sent.order)));
        effect.event = event::<D>(tables, &sent, rows, &effect.rows, kinds.collect());
        effect.outputs = tables.number_list(sends.iter().copied().filter(here).collect());
        effect
    }
}

/// What is told to the world, for the books.
fn told(kind: &str, order: Option<usize>) -> Option<Booking> {
    match kind {
        "order.confirmed.v1" | "order.rejected.v1" | "order.cancelled.v1" => {
            order.map(Booking::Announced)
        }
        "stock.shortfall.v1" => order.map(Booking::Short),
        _ => None,
    }
}

/// What has happened, in words.
fn event<D: Modelled>(
    tables: &Tables,
    sent: &Sent,
    rows: &[Number; ROWS],
    changed: &[(usize, Number)],
    sends: Vec<&'static str>,
) -> Event {
    let kind = sent.kind;
    let Some(place) = sent.order.map(D::place_of_order) else {
        return Event { kind, sends, ..Event::default() };
    };
    let before = rows[place];
    let after = changed.iter().find(|(at, _)| *at == place).map_or(before, |(_, row)| *row);
    let (from, to) = (tables.words(before).to_owned(), tables.words(after).to_owned());
    Event { kind, from, to, sends }
}

/// The workers.
pub struct Workers {
    /// The order worker.
    pub order: Box<dyn Worker>,
    /// The stock worker.
    pub stock: Box<dyn Worker>,
    /// The payment worker.
    pub payment: Box<dyn Worker>,
}

impl Workers {
    /// The worker of `party`.
    ///
    /// # Panics
    /// If that is somebody outside.
    pub fn of(&mut self, party: Party) -> &mut dyn Worker {
        match party {
            Party::Order => &mut *self.order,
            Party::Stock => &mut *self.stock,
            Party::Payment => &mut *self.payment,
            Party::Client => unreachable!("nothing is sent to clients here"),
        }
    }
}

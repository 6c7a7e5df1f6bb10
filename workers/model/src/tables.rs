//! Every message, state and list of outputs under a number, so that a moment is made of numbers.
//!
//! Two things have one number exactly if they are the same: a message by its kind, id and body, a
//! state by all it consists of. So moments are equal exactly if their numbers are.

use std::collections::HashMap;
use std::hash::Hash;

use orderly_contracts::payment::Operation;
use orderly_contracts::routes::{PAYMENT_EFFECTS, Party, route};
use orderly_runtime::domain::{TIMER, Timer};
use orderly_runtime::fold::timer_cause;
use orderly_runtime::message::Outgoing;

use crate::fact::Fact;
use crate::moment::Number;
use crate::place;
use crate::provider;

/// Things under numbers, from 1.
#[derive(Debug)]
pub struct Numbered<T> {
    numbers: HashMap<T, Number>,
}

impl<T: Eq + Hash> Numbered<T> {
    /// The number of `thing`, and whether it is new.
    fn number(&mut self, thing: T) -> (Number, bool) {
        let next = Number::try_from(self.numbers.len() + 1).expect("fewer than 65,536 things");
        let number = *self.numbers.entry(thing).or_insert(next);
        (number, number == next)
    }
}

impl<T> Default for Numbered<T> {
    fn default() -> Self {
        Self { numbers: HashMap::new() }
    }
}

/// Who takes a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum To {
    /// A worker, which has an inbox.
    Worker(Party),
    /// The effect runner of the payment worker, which has none.
    Provider,
    /// Nobody here.
    World,
}

/// A message, or a due timer.
#[derive(Debug, Clone)]
pub struct Sent {
    /// Its type.
    pub kind: &'static str,
    /// Who takes it.
    pub to: To,
    /// Which order it is about; a correction of stock is about none.
    pub order: Option<usize>,
    /// What it is claimed by in the inbox of whoever takes it.
    pub claim: Number,
    /// The places of all states that a decision on it may look at.
    pub scope: Vec<usize>,
    /// What it asks the provider for.
    pub asks: Option<Operation>,
    /// Somebody outside has sent it.
    pub is_clients: bool,
    /// What is delivered.
    pub content: Content,
    /// What it is and where it came from, for people.
    pub words: String,
}

/// What is delivered.
#[derive(Debug, Clone)]
pub enum Content {
    /// A message, and the queue it lies in.
    Message(Box<Outgoing>, &'static str),
    /// A timer.
    Timer(Timer),
}

/// A state that a service keeps.
#[derive(Debug, Clone)]
pub struct Row {
    /// What the rules need to know of it.
    pub fact: Fact,
    /// What it is called.
    pub words: String,
}

/// Everything under its number.
#[derive(Debug, Default)]
pub struct Tables {
    sent: Vec<Sent>,
    known: Numbered<(&'static str, String, Vec<u8>)>,
    claims: Numbered<(To, &'static str, String)>,
    rows: Vec<Row>,
    lists: Vec<Vec<Number>>,
    known_lists: Numbered<Vec<Number>>,
}

impl Tables {
    /// The message with this number.
    pub fn sent(&self, message: Number) -> &Sent {
        &self.sent[usize::from(message) - 1]
    }

    /// The state with this number, if it is one.
    pub fn row(&self, row: Number) -> Option<&Row> {
        self.rows.get(usize::from(row).checked_sub(1)?)
    }

    /// What the state with this number is called.
    pub fn words(&self, row: Number) -> &str {
        self.row(row).map_or("none", |row| &row.words)
    }

    /// The list with this number.
    pub fn list(&self, list: Number) -> &[Number] {
        match list {
            0 => &[],
            list => &self.lists[usize::from(list) - 1],
        }
    }

    /// Gives a new state a number.
    pub fn add_row(&mut self, row: Row) -> Number {
        self.rows.push(row);
        Number::try_from(self.rows.len()).expect("fewer than 65,536 states")
    }

    /// The number of a list.
    pub fn number_list(&mut self, list: Vec<Number>) -> Number {
        if list.is_empty() {
            return 0;
        }
        let (number, is_new) = self.known_lists.number(list.clone());
        if is_new {
            self.lists.push(list);
        }
        number
    }

    /// The number of a message that follows from `cause`.
    pub fn number_message(&mut self, outgoing: Outgoing, cause: &str) -> Number {
        let route = route(&outgoing.routing_key).expect("every message has a route");
        let id = outgoing.id().to_owned();
        let (number, is_new) = self.known.number((route.kind, id.clone(), outgoing.body.clone()));
        if !is_new {
            return number;
        }
        let (to, queue) = match route.consumer {
            Some((_, PAYMENT_EFFECTS)) => (To::Provider, PAYMENT_EFFECTS),
            Some((party, queue)) => (To::Worker(party), queue),
            None => (To::World, ""),
        };
        let about = outgoing.properties.correlation_id.clone().unwrap_or_default();
        self.sent.push(Sent {
            kind: route.kind,
            to,
            order: place::order(&about),
            claim: self.claims.number((to, route.sender.name(), id)).0,
            scope: scope(to, place::order(&about)),
            asks: (to == To::Provider).then(|| provider::operation(&outgoing)),
            is_clients: route.sender == Party::Client,
            words: format!("{} of {about:?} (from {cause})", route.kind),
            content: Content::Message(Box::new(outgoing), queue),
        });
        number
    }

    /// The number of a timer of `party`.
    pub fn number_timer(&mut self, timer: Timer, party: Party) -> Number {
        let id = timer_cause(&timer).id;
        let (number, is_new) = self.known.number((TIMER, id.clone(), party.name().into()));
        if is_new {
            let to = To::Worker(party);
            let Timer { owner, step, round } = &timer;
            self.sent.push(Sent {
                kind: TIMER,
                to,
                order: place::order(owner),
                claim: self.claims.number((to, TIMER, id)).0,
                scope: scope(to, place::order(owner)),
                asks: None,
                is_clients: false,
                words: format!("the timer {step:?} of {owner:?}, round {round}"),
                content: Content::Timer(timer),
            });
        }
        number
    }
}

/// The most places that a decision may look at.
pub const SCOPE: usize = place::ITEMS + place::ADJUSTMENTS.len();

/// The places of all states that a decision may look at.
fn scope(to: To, order: Option<usize>) -> Vec<usize> {
    let articles = (0..place::ITEMS).map(place::article);
    match (to, order) {
        (To::Worker(Party::Order), Some(order)) => vec![place::saga(order)],
        (To::Worker(Party::Payment), Some(order)) => vec![place::payment(order)],
        (To::Worker(Party::Stock), Some(order)) => {
            articles.chain([place::reservation(order)]).collect()
        }
        (To::Worker(Party::Stock), None) => {
            articles.chain(place::ADJUSTMENTS.map(place::adjustment)).collect()
        }
        _ => vec![],
    }
}

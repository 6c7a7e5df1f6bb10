//! A moment of the whole system, as small as it can be said: everything that has a say in what
//! comes next, and nothing else.

use crate::books::Books;
use crate::place::{ORDERS, ROWS, TIMERS};

/// Names a message, a state, a claim or a list of outputs in the [tables](crate::tables); 0 is none.
pub type Number = u16;

/// A moment of the whole system.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Moment {
    /// What the services keep, by [place](crate::place).
    pub rows: [Number; ROWS],
    /// The timers that are set, by [place](crate::place).
    pub armed: [Number; TIMERS],
    /// Messages on their way, in order, each once: a second copy of a message is one that stays
    /// when it is delivered.
    pub flight: Vec<Number>,
    /// What the inboxes know, as far as it can still matter, in order.
    pub claims: Vec<Claim>,
    /// The sums of all ledgers.
    pub books: Books,
    /// What the payment provider has really done, by order.
    pub provider: [Provider; ORDERS],
    /// What may still go wrong.
    pub left: Left,
    /// The rules that have been broken, a bit for each.
    pub broken: u32,
}

/// A row of an inbox. One of a message that can't come again has no say, and is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Claim {
    /// Whose inbox, and what is claimed there: source and id.
    pub key: Number,
    /// The message that was processed under this key.
    pub message: Number,
    /// What was stored to be sent because of it.
    pub outputs: Number,
    /// The row has been purged: the message would be decided on again.
    pub is_forgotten: bool,
}

/// What may still go wrong. Each of these would be endless, so a configuration limits them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Left {
    /// How often a message may still be delivered and stay, or a timer be seen twice.
    pub copies: u8,
    /// How often all calls of the provider may still fail.
    pub failures: u8,
    /// How often an inbox may still be purged.
    pub purges: u8,
}

/// What the provider has done for an order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Provider {
    /// What it said to the charge: under one key it always says the same.
    pub charge: Charge,
    /// Whether it has given the money back.
    pub is_refunded: bool,
}

/// What the provider said to a charge.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Charge {
    /// It was not asked, or has not heard it.
    #[default]
    Unheard,
    /// It took the money.
    Approved,
    /// It refused.
    Declined,
}

impl Moment {
    /// A moment before anything has happened.
    pub fn before_everything(left: Left) -> Self {
        Self {
            rows: [0; ROWS],
            armed: [0; TIMERS],
            flight: vec![],
            claims: vec![],
            books: Books::default(),
            provider: [Provider::default(); ORDERS],
            left,
            broken: 0,
        }
    }

    /// Puts a message on its way.
    pub fn fly(&mut self, message: Number) {
        if let Err(at) = self.flight.binary_search(&message) {
            self.flight.insert(at, message);
        }
    }

    /// Takes a message from its way.
    pub fn land(&mut self, message: Number) {
        if let Ok(at) = self.flight.binary_search(&message) {
            self.flight.remove(at);
        }
    }

    /// The inbox row under `key`.
    pub fn claim(&self, key: Number) -> Option<Claim> {
        let at = self.claims.binary_search_by_key(&key, |claim| claim.key).ok()?;
        Some(self.claims[at])
    }

    /// Writes an inbox row, over the purged one that it may have had.
    pub fn put_claim(&mut self, claim: Claim) {
        match self.claims.binary_search_by_key(&claim.key, |claim| claim.key) {
            Ok(at) => self.claims[at] = claim,
            Err(at) => self.claims.insert(at, claim),
        }
    }
}

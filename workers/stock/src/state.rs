//! What stock remembers: reservations, articles and adjustments, and the ledger of every change.

use std::collections::BTreeMap;

use orderly_contracts::number::Delta;
use orderly_contracts::stock::{AdjustRefusal, Shortage};
use orderly_contracts::text::{AdjustmentId, Note, OrderId, Sku};
use orderly_runtime::clock::Micros;

/// What a state is found by. The order is the order of locking.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Key {
    /// The reservation of an order.
    Reservation(OrderId),
    /// An article.
    Item(Sku),
    /// A correction of an article.
    Adjustment(AdjustmentId),
}

/// What is kept under a key of the same name.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    /// The reservation of an order.
    Reservation(Reservation),
    /// An article.
    Item(Item),
    /// A correction of an article.
    Adjustment(Adjustment),
}

/// Pieces by article.
pub type Goods = BTreeMap<Sku, i64>;

/// What an order has asked for, and what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Reservation {
    /// Where it stands.
    pub status: Status,
    /// What was asked for; nothing if the order was released before it asked.
    pub goods: Goods,
}

impl Reservation {
    /// The articles that have to be at hand with it: those it holds, for it may give them back.
    pub fn articles(&self) -> impl Iterator<Item = &Sku> {
        let holds = self.status == Status::Reserved;
        self.goods.keys().filter(move |_| holds)
    }
}

impl State {
    /// The keys of the states that must be loaded with this one.
    pub fn leads_to(&self) -> impl Iterator<Item = Key> {
        let reservation = match self {
            Self::Reservation(reservation) => Some(reservation),
            Self::Item(_) | Self::Adjustment(_) => None,
        };
        reservation.into_iter().flat_map(Reservation::articles).cloned().map(Key::Item)
    }
}

/// Where a reservation stands. Only `Reserved` holds goods.
#[derive(Debug, Clone, PartialEq)]
pub enum Status {
    /// The goods are set aside.
    Reserved,
    /// Goods were short; they stay on record, so that asking again gives the same answer.
    Rejected(Vec<Shortage>),
    /// The order was called off, possibly before it asked.
    Released,
    /// Nobody settled it in time.
    Expired,
    /// The order was paid, and the goods are its own.
    Committed,
    /// The order was paid, and these goods were gone: people must act.
    Short(Vec<Shortage>),
}

impl Status {
    /// The word in the database.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Reserved => "reserved",
            Self::Rejected(_) => "rejected",
            Self::Released => "released",
            Self::Expired => "expired",
            Self::Committed => "committed",
            Self::Short(_) => "short",
        }
    }

    /// What was short, where something was.
    pub fn shortages(&self) -> &[Shortage] {
        match self {
            Self::Rejected(shortages) | Self::Short(shortages) => shortages,
            Self::Reserved | Self::Released | Self::Expired | Self::Committed => &[],
        }
    }
}

/// An article. At all times `0 <= reserved <= on_hand`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Item {
    /// How many pieces are there, reserved ones included.
    pub on_hand: i64,
    /// How many of them are set aside for orders.
    pub reserved: i64,
}

impl Item {
    /// How many pieces an order may still have.
    pub const fn available(self) -> i64 {
        self.on_hand - self.reserved
    }

    /// The article once the ledger says so.
    #[must_use]
    pub const fn after(self, operation: Operation, pieces: i64) -> Self {
        let Self { on_hand, reserved } = self;
        match operation {
            Operation::Adjust => Self { on_hand: on_hand + pieces, reserved },
            Operation::Reserve => Self { on_hand, reserved: reserved + pieces },
            Operation::Release | Operation::Expire => Self { on_hand, reserved: reserved - pieces },
            Operation::Commit => Self { on_hand: on_hand - pieces, reserved: reserved - pieces },
        }
    }
}

/// A correction of an article, and what came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Adjustment {
    /// The article.
    pub sku: Sku,
    /// By how much.
    pub delta: Delta,
    /// Why, for people.
    pub note: Option<Note>,
    /// What came of it.
    pub outcome: Outcome,
}

/// What came of a correction, on record so that asking again gives the same answer.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Outcome {
    /// It was made, and this is how the article stood after it.
    Adjusted(Item),
    /// It was refused.
    Refused(AdjustRefusal),
}

/// One line of the ledger: the only way in which an article changes.
#[derive(Debug, Clone, PartialEq)]
pub struct Posting {
    /// The article.
    pub sku: Sku,
    /// On whose behalf.
    pub origin: Origin,
    /// What was done.
    pub operation: Operation,
    /// To how many pieces; an adjustment may take some away, everything else counts above zero.
    pub pieces: i64,
    /// When.
    pub at: Micros,
}

/// On whose behalf an article changes.
#[derive(Debug, Clone, PartialEq)]
pub enum Origin {
    /// An order's.
    Order(OrderId),
    /// A correction's.
    Adjustment(AdjustmentId),
}

impl Origin {
    /// The order's id, if it is an order.
    pub fn order(&self) -> Option<&str> {
        match self {
            Self::Order(order) => Some(order.as_str()),
            Self::Adjustment(_) => None,
        }
    }

    /// The correction's id, if it is a correction.
    pub fn adjustment(&self) -> Option<&str> {
        match self {
            Self::Order(_) => None,
            Self::Adjustment(id) => Some(id.as_str()),
        }
    }
}

/// What can be done to an article.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Operation {
    /// Correct the count.
    Adjust,
    /// Set pieces aside.
    Reserve,
    /// Give them back, as the order was called off.
    Release,
    /// Give them back, as nobody settled the reservation.
    Expire,
    /// Hand them over.
    Commit,
}

impl Operation {
    /// The word in the database.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Adjust => "adjust",
            Self::Reserve => "reserve",
            Self::Release => "release",
            Self::Expire => "expire",
            Self::Commit => "commit",
        }
    }
}

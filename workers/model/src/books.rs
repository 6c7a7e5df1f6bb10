//! The sums of all ledgers: what the states of the services have to agree with.

use orderly_payment::state::{Account, Movement};
use orderly_stock::state::Operation;

use crate::place::{ITEMS, ORDERS};

/// The sums of all ledgers.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Books {
    /// By article.
    pub articles: [Article; ITEMS],
    /// By order.
    pub orders: [Order; ORDERS],
}

/// What the ledger of the stock says of an article.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Article {
    /// Pieces that are there.
    pub on_hand: i16,
    /// Pieces set aside.
    pub reserved: i16,
}

/// What the ledgers, the history and the announcements say of an order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Order {
    /// Pieces set aside for it.
    pub held: [i16; ITEMS],
    /// Pieces handed over to it.
    pub taken: [i16; ITEMS],
    /// How often it was charged.
    pub captures: u8,
    /// How often it was given its money back.
    pub refunds: u8,
    /// The side of the provider, in minor units.
    pub provider: i32,
    /// The other side.
    pub sales: i32,
    /// How often its history says that it ended.
    pub endings: u8,
    /// How often it was decided to announce that it ended.
    pub announced: u8,
    /// Whether people were told that goods are missing.
    pub is_short: bool,
}

/// One line of a ledger.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Booking {
    /// Pieces of an article.
    Pieces {
        /// For which order; corrections have none.
        order: Option<usize>,
        /// Of which article.
        item: usize,
        /// What was done to them.
        operation: Operation,
        /// How many.
        pieces: i16,
    },
    /// One side of a movement of money.
    Money {
        /// For which order.
        order: usize,
        /// What moved it.
        movement: Movement,
        /// Whose side.
        account: Account,
        /// How much.
        amount: i32,
    },
    /// The history says that this order has ended.
    Ended(usize),
    /// The world is told that this order has ended.
    Announced(usize),
    /// People are told that goods of this order are missing.
    Short(usize),
}

impl Books {
    /// Enters a line.
    pub fn enter(&mut self, booking: Booking) {
        match booking {
            Booking::Pieces { order, item, operation, pieces } => {
                let (on_hand, held, taken) = match operation {
                    Operation::Adjust => (pieces, 0, 0),
                    Operation::Reserve => (0, pieces, 0),
                    Operation::Release | Operation::Expire => (0, -pieces, 0),
                    Operation::Commit => (-pieces, -pieces, pieces),
                };
                self.articles[item].on_hand += on_hand;
                self.articles[item].reserved += held;
                if let Some(order) = order {
                    self.orders[order].held[item] += held;
                    self.orders[order].taken[item] += taken;
                }
            }
            Booking::Money { order, movement, account, amount } => {
                let order = &mut self.orders[order];
                match (account, movement) {
                    (Account::Provider, Movement::Capture) => order.captures += 1,
                    (Account::Provider, Movement::Refund) => order.refunds += 1,
                    (Account::Sales, _) => {}
                }
                match account {
                    Account::Provider => order.provider += amount,
                    Account::Sales => order.sales += amount,
                }
            }
            Booking::Ended(order) => self.orders[order].endings += 1,
            Booking::Announced(order) => self.orders[order].announced += 1,
            Booking::Short(order) => self.orders[order].is_short = true,
        }
    }
}

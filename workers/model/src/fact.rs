//! What the rules need to know of a state that a service keeps, in numbers.

use orderly_contracts::order::OrderStatus;
use orderly_order::deadline::Deadline;

use crate::place::ITEMS;

/// What the rules need to know of a state.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fact {
    /// An order.
    Order(Order),
    /// The reservation of an order.
    Reservation(Reservation),
    /// The payment of an order.
    Payment(Payment),
    /// An article.
    Article {
        /// Pieces that are there.
        on_hand: i16,
        /// Pieces set aside.
        reserved: i16,
    },
    /// A correction of an article.
    Adjustment,
}

/// An order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Order {
    /// Where it stands.
    pub status: OrderStatus,
    /// What it waits for.
    pub deadline: Option<Deadline>,
    /// What it costs.
    pub total: i32,
    /// The goods in it.
    pub goods: [i16; ITEMS],
}

/// The reservation of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reservation {
    /// Where it stands.
    pub standing: Standing,
    /// What it is for.
    pub goods: [i16; ITEMS],
}

/// Where a reservation stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It holds goods.
    Reserved,
    /// The goods were handed over.
    Committed,
    /// The goods should have been handed over, and were gone.
    Short,
    /// It holds nothing.
    Nothing,
}

/// The payment of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Payment {
    /// Money that is ours, or on its way back.
    pub kept: i32,
    /// Money that is ours for good, as far as anybody knows.
    pub captured: i32,
}

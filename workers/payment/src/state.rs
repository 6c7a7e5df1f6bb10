//! What payment remembers: where the payment of each order stands, and the ledger of all money.

use orderly_contracts::number::Amount;
use orderly_contracts::text::{Currency, Note, OrderId, PaymentToken};
use orderly_runtime::clock::Micros;

/// What an order is charged.
#[derive(Debug, Clone, PartialEq)]
pub struct Charge {
    /// How much, in minor units.
    pub amount: Amount,
    /// In which currency.
    pub currency: Currency,
    /// What the provider knows the means of payment by.
    pub payment_token: PaymentToken,
}

/// Where the payment of an order stands.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    /// The provider has been asked to charge, and whether it did is open.
    Open(Open),
    /// The money is ours.
    Captured(Charge),
    /// The provider refused, in its own words if it has any.
    Declined(Charge, Option<Note>),
    /// The money was ours, and the provider has been asked to give it back.
    Refunding(Charge),
    /// The money was ours and has been given back.
    Refunded(Charge),
    /// The order was called off before anything was charged, possibly before it asked.
    Voided(Option<Charge>),
}

/// A charge whose outcome is open.
#[derive(Debug, Clone, PartialEq)]
pub struct Open {
    /// What is charged.
    pub charge: Charge,
    /// Whether all calls so far have come to an end without an answer.
    pub is_unknown: bool,
    /// Whether the order was called off meanwhile: what turns out to be charged is given back.
    pub refund_wanted: bool,
}

impl State {
    /// The word in the database.
    pub const fn word(&self) -> &'static str {
        match self {
            Self::Open(Open { is_unknown: false, .. }) => "requested",
            Self::Open(Open { is_unknown: true, .. }) => "unknown",
            Self::Captured(_) => "captured",
            Self::Declined(..) => "declined",
            Self::Refunding(_) => "refunding",
            Self::Refunded(_) => "refunded",
            Self::Voided(_) => "voided",
        }
    }

    /// What the order was to be charged, if it ever asked.
    pub const fn charge(&self) -> Option<&Charge> {
        match self {
            Self::Open(Open { charge, .. })
            | Self::Captured(charge)
            | Self::Declined(charge, _)
            | Self::Refunding(charge)
            | Self::Refunded(charge) => Some(charge),
            Self::Voided(charge) => charge.as_ref(),
        }
    }
}

/// One side of a movement of money. The sides of a movement add up to zero.
#[derive(Debug, Clone, PartialEq)]
pub struct Posting {
    /// On behalf of this order.
    pub order: OrderId,
    /// What moved the money.
    pub movement: Movement,
    /// Whose side this is.
    pub account: Account,
    /// How much came to it (above zero) or left it (below), in minor units.
    pub amount: i64,
    /// In which currency.
    pub currency: Currency,
    /// When.
    pub at: Micros,
}

impl Posting {
    /// Both sides of a movement.
    pub fn both(order: &OrderId, movement: Movement, charge: &Charge, at: Micros) -> [Self; 2] {
        let amount = match movement {
            Movement::Capture => charge.amount.get(),
            Movement::Refund => -charge.amount.get(),
        };
        [(Account::Provider, amount), (Account::Sales, -amount)].map(|(account, amount)| Self {
            order: order.clone(),
            movement,
            account,
            amount,
            currency: charge.currency,
            at,
        })
    }
}

/// What moves money.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Movement {
    /// A charge that the provider approved.
    Capture,
    /// A charge given back.
    Refund,
}

impl Movement {
    /// The word in the database.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Capture => "capture",
            Self::Refund => "refund",
        }
    }
}

/// Where money comes from and goes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Account {
    /// What the provider holds for us.
    Provider,
    /// What we have earned.
    Sales,
}

impl Account {
    /// The word in the database.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Provider => "provider",
            Self::Sales => "sales",
        }
    }
}

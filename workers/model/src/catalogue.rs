//! The configurations: what is explored on every change, and what is explored on demand.

use crate::client::{Line, SERVICE, adjust, cancel, place};
use crate::configuration::Configuration;
use crate::moment::Left;
use crate::scene::{self, Scene};

/// A card that is charged at once.
const GOOD: &str = "tok_visa";
/// A card that is declined at once.
const BAD: &str = "tok_decline";
/// A card for which the provider has to be called.
const CALLED: &str = "tok_flaky";

/// Two cups at 5 each.
const TWO_CUPS: &[Line] = &[(2, "cup", 5)];

const fn left(copies: u8, failures: u8, purges: u8) -> Left {
    Left { copies, failures, purges }
}

/// What is explored: few things go wrong at once, or many.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Size {
    /// For every change.
    Small,
    /// On demand.
    Big,
}

/// All configurations of a size.
pub fn all(size: Size) -> Vec<Configuration> {
    let is_big = size == Size::Big;
    vec![cancelled(is_big)]
}

fn cancelled(is_big: bool) -> Configuration {
    let cards = [GOOD, BAD];
    let start = |card| vec![place("place-a", "a", TWO_CUPS, card), cancel("a")];
    const SCENES: &[Scene] = &[
        scene::CONFIRMED,
        scene::CANCELLED,
        scene::DECLINED,
        scene::CANCELLED_PENDING,
        scene::CANCELLED_RESERVED,
        scene::CANCELLED_UNSEEN,
        scene::CANCEL_REFUSED,
        scene::STOCK_GIVEN_UP,
        scene::PAYMENT_GIVEN_UP,
        scene::UNDONE_AGAIN,
        scene::STALE_TIMER,
        scene::LATE_CHARGE,
        scene::RESERVE_REFUSED,
        scene::CHARGE_REFUSED,
        scene::REFUNDED,
        scene::KNOWN_AGAIN,
    ];
    Configuration {
        starts: cards.into_iter().map(start).collect(),
        stock: [2, 0],
        asks: if is_big { 3 } else { 2 },
        compensations: 1,
        left: if is_big { left(2, 0, 0) } else { left(1, 0, 0) },
        scenes: SCENES.to_vec(),
        ..Configuration::new("cancelled", "an order that somebody cancels at any moment")
    }
}

//! The configurations: what is explored on every change, and what is explored on demand.

use crate::client::{Line, SERVICE, adjust, cancel, place};
use crate::configuration::Configuration;
use crate::moment::Left;
use crate::scene;

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
    vec![
        cancelled(is_big),
        scarce(is_big),
        free(is_big),
        flaky(is_big),
        placed_twice(is_big),
        expiring(is_big),
        purged(is_big),
        contrary(is_big),
    ]
}

fn cancelled(is_big: bool) -> Configuration {
    let start = |card| vec![place("place-a", "a", TWO_CUPS, card), cancel("a")];
    Configuration {
        starts: [GOOD, BAD].map(start).into(),
        stock: [2, 0],
        asks: 2,
        compensations: u32::from(is_big),
        left: left(1, 0, 0),
        scenes: vec![
            scene::CONFIRMED,
            scene::CANCELLED,
            scene::DECLINED,
            scene::CANCELLED_PENDING,
            scene::CANCELLED_RESERVED,
            scene::CANCELLED_UNSEEN,
            scene::CANCEL_REFUSED,
            scene::STOCK_GIVEN_UP,
            scene::PAYMENT_GIVEN_UP,
            scene::STALE_TIMER,
            scene::LATE_CHARGE,
            scene::RESERVE_REFUSED,
            scene::CHARGE_REFUSED,
            scene::REFUNDED,
            scene::KNOWN_AGAIN,
        ],
        ..Configuration::new("cancelled", "an order that somebody cancels at any moment")
    }
}

fn scarce(is_big: bool) -> Configuration {
    let orders = vec![
        place("place-a", "a", TWO_CUPS, GOOD),
        place("place-b", "b", &[(1, "jug", 3), (2, "cup", 5)], BAD),
        adjust("correction", "cup", -1),
    ];
    Configuration {
        starts: vec![orders],
        stock: [3, 1],
        asks: 1,
        left: left(if is_big { 2 } else { 1 }, 0, 0),
        scenes: vec![
            scene::CONFIRMED,
            scene::REJECTED,
            scene::CANCELLED,
            scene::DECLINED,
            scene::SHORT_OF_GOODS,
            scene::STOCK_GIVEN_UP,
            scene::PAYMENT_GIVEN_UP,
            scene::ADJUSTED,
        ],
        ..Configuration::new("scarce", "two orders that want the same articles, and not enough")
    }
}

fn free(is_big: bool) -> Configuration {
    let gift: &[Line] = &[(1, "cup", 0)];
    let post: &[Line] = &[(1, SERVICE, 4)];
    let nothing: &[Line] = &[(1, SERVICE, 0)];
    let start = |(lines, card)| vec![place("place-a", "a", lines, card), cancel("a")];
    let mut starts: Vec<_> =
        [(gift, GOOD), (post, GOOD), (post, BAD), (nothing, GOOD)].map(start).into();
    starts.push(vec![
        place("place-a", "a", gift, GOOD),
        place("place-b", "b", post, GOOD),
        cancel("b"),
    ]);
    Configuration {
        starts,
        stock: [1, 0],
        asks: 1,
        compensations: 1,
        left: left(if is_big { 2 } else { 1 }, 0, 0),
        scenes: vec![
            scene::CONFIRMED,
            scene::CANCELLED,
            scene::CANCELLED_PENDING,
            scene::CANCELLED_RESERVED,
            scene::CANCEL_REFUSED,
            scene::STOCK_GIVEN_UP,
            scene::PAYMENT_GIVEN_UP,
            scene::LATE_CHARGE,
            scene::KNOWN_AGAIN,
        ],
        ..Configuration::new("free", "orders without a price, without goods, without either")
    }
}

fn flaky(is_big: bool) -> Configuration {
    Configuration {
        starts: vec![vec![place("place-a", "a", TWO_CUPS, CALLED), cancel("a")]],
        stock: [2, 0],
        asks: if is_big { 2 } else { 1 },
        left: left(if is_big { 1 } else { 2 }, 1, 0),
        calls: true,
        scenes: vec![
            scene::CONFIRMED,
            scene::CANCELLED,
            scene::DECLINED,
            scene::PAYMENT_GIVEN_UP,
            scene::UNKNOWN,
            scene::REFUND_WANTED,
            scene::WANTED_APPROVED,
            scene::WANTED_DECLINED,
        ],
        ..Configuration::new("flaky", "calls to a provider that fail, with a refund wanted")
    }
}

fn placed_twice(is_big: bool) -> Configuration {
    let start = |other| {
        let once = place("place-a", "a", TWO_CUPS, GOOD);
        vec![once, other, cancel("a")]
    };
    let same = place("place-again", "a", TWO_CUPS, GOOD);
    let other = place("place-other", "a", &[(1, "cup", 7)], GOOD);
    Configuration {
        starts: [same, other].map(start).into(),
        stock: [3, 0],
        asks: 1,
        left: left(if is_big { 2 } else { 1 }, 0, 0),
        compensations: 1,
        scenes: vec![
            scene::CONFIRMED,
            scene::CANCELLED,
            scene::CONFLICTED,
            scene::UNCHANGED,
            scene::CANCELLED_UNSEEN,
            scene::KNOWN_AGAIN,
        ],
        ..Configuration::new("twice", "an order placed twice, with the same or other content")
    }
}

fn expiring(is_big: bool) -> Configuration {
    Configuration {
        starts: vec![vec![
            place("place-a", "a", TWO_CUPS, GOOD),
            cancel("a"),
            adjust("correction", "cup", -1),
        ]],
        stock: [2, 0],
        asks: if is_big { 2 } else { 1 },
        left: left(2, 0, 0),
        expires: true,
        scenes: vec![
            scene::CONFIRMED,
            scene::CANCELLED,
            scene::EXPIRED,
            scene::EXPIRED_RESERVED,
            scene::TAKEN_UNRESERVED,
            scene::SHORTFALL,
        ],
        ..Configuration::new("expiring", "a reservation that expires while its order is paid")
    }
}

fn purged(is_big: bool) -> Configuration {
    Configuration {
        starts: vec![vec![place("place-a", "a", TWO_CUPS, GOOD), cancel("a")]],
        stock: [2, 0],
        asks: 1,
        compensations: u32::from(is_big),
        left: left(2, 0, 2),
        scenes: vec![
            scene::CONFIRMED,
            scene::CANCELLED,
            scene::KNOWN_AGAIN,
            scene::NEW_AGAIN,
            scene::ID_TAKEN,
        ],
        ..Configuration::new("purged", "duplicates that no inbox remembers")
    }
}

fn contrary(is_big: bool) -> Configuration {
    let mut scenes =
        vec![scene::CONFIRMED, scene::CANCELLED, scene::DECLINED, scene::CONTRADICTED_VOID];
    if is_big {
        scenes.push(scene::CONTRADICTED);
    }
    Configuration {
        starts: vec![vec![place("place-a", "a", TWO_CUPS, CALLED), cancel("a")]],
        stock: [2, 0],
        asks: if is_big { 2 } else { 1 },
        left: left(if is_big { 1 } else { 2 }, 0, 0),
        calls: true,
        contrary: true,
        scenes,
        ..Configuration::new("contrary", "a provider that contradicts itself")
    }
}

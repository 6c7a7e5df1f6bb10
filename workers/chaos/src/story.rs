//! What the load is made of: orders with a story each, what they send, and how they may end.

use std::time::Duration;

use fastrand::Rng;
use orderly_contracts::Reason;
use orderly_contracts::routes::Party;
use orderly_e2e::Message;
use orderly_runtime::topology::WORKERS;
use serde_json::{Value, json};

/// Articles with plenty of stock.
pub const PLENTY: [&str; 5] = ["anvil", "bottle", "candle", "drum", "easel"];
/// An article that is sold out before the load ends.
pub const SCARCE: &str = "scarce";
/// An article that somebody may hold a lock on for a while.
pub const HELD: &str = "held";
/// An article that was never there.
pub const ABSENT: &str = "absent";
/// Pieces of each article in plenty.
pub const MANY: i64 = 1_000_000;
/// Pieces of the scarce article.
pub const FEW: i64 = 60;

/// Every article that is on the shelves at first, with its pieces.
pub fn articles() -> Vec<(&'static str, i64)> {
    let plenty = PLENTY.into_iter().map(|sku| (sku, MANY));
    plenty.chain([(HELD, MANY), (SCARCE, FEW)]).collect()
}

/// What happens to an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Story {
    /// One line, paid at once.
    Plain,
    /// Several lines, postage among them.
    Lines,
    /// The payment is declined, so everything is undone.
    Declined,
    /// There is nothing to reserve.
    OutOfStock,
    /// It may be the one that gets the last piece.
    Scarce,
    /// The client cancels it before he places it.
    CancelledFirst,
    /// The client cancels it soon after he placed it.
    CancelledAfter,
    /// The same message comes three times.
    Duplicated,
    /// The same order comes again in another message.
    Repeated,
    /// The provider fails this many times.
    Flaky(u32),
    /// The provider fails every time, so the order stays open.
    Unanswered,
    /// Its article may be locked by somebody else.
    Held,
    /// Two messages have the same id and different bodies.
    Conflicting,
    /// Not an order at all: a message that this worker can't read.
    Poison(Party),
}

/// How an order may end: the words of its status.
pub type Ends = &'static [&'static str];

const CONFIRMED: Ends = &["confirmed"];
const CANCELLED: Ends = &["cancelled"];
const REJECTED: Ends = &["rejected"];
const EITHER: Ends = &["confirmed", "cancelled"];
/// Where a payment that nobody answers leaves an order; cancelled, if its reservation has expired
/// before the payment was asked for at all.
const OPEN: Ends = &["reserved", "cancelling", "cancelled"];

impl Story {
    /// The story of the next order.
    pub fn draw(rng: &mut Rng) -> Self {
        match rng.u32(..100) {
            0..36 => Self::Plain,
            36..48 => Self::Lines,
            48..58 => Self::Declined,
            58..63 => Self::OutOfStock,
            63..68 => Self::Scarce,
            68..73 => Self::CancelledFirst,
            73..80 => Self::CancelledAfter,
            80..84 => Self::Duplicated,
            84..87 => Self::Repeated,
            87..92 => Self::Flaky(rng.u32(1..=2)),
            92..94 => Self::Held,
            94..96 => Self::Conflicting,
            96..99 => Self::Poison(WORKERS[rng.usize(..WORKERS.len())]),
            _ => Self::Unanswered,
        }
    }

    /// How its order may end; nothing, if there is none.
    pub const fn ends(self) -> Option<Ends> {
        Some(match self {
            Self::Plain | Self::Lines | Self::Duplicated | Self::Repeated => CONFIRMED,
            Self::Flaky(_) | Self::Held | Self::Conflicting => CONFIRMED,
            Self::Declined => CANCELLED,
            Self::OutOfStock => REJECTED,
            Self::Scarce => &["confirmed", "rejected"],
            Self::CancelledFirst | Self::CancelledAfter => EITHER,
            Self::Unanswered => OPEN,
            Self::Poison(_) => return None,
        })
    }

    /// The reasons of the dead letter that it leads to, if it does.
    pub const fn letter(self) -> Option<&'static [Reason]> {
        match self {
            Self::Conflicting => Some(&[Reason::IdConflict]),
            Self::Poison(_) => Some(&[Reason::InvalidJson, Reason::EmptyBody]),
            _ => None,
        }
    }

    /// The messages of the order `id`, each with how long after the first it is sent.
    pub fn messages(self, id: &str, rng: &mut Rng) -> Vec<(Duration, Message)> {
        let at_once = Duration::ZERO;
        let soon = Duration::from_millis(rng.u64(0..150));
        let place = |token: &str, lines: Value| placed(id, &format!("place-{id}"), token, lines);
        let cancel = || {
            let body = json!({ "order_id": id });
            Message::new("order.cancel.v1", &format!("cancel-{id}"), &body)
        };
        let plain = line(PLENTY[rng.usize(..PLENTY.len())], rng.i64(1..=3));
        let visa = "tok_visa";
        match self {
            Self::Plain => vec![(at_once, place(visa, json!([plain])))],
            Self::Lines => vec![(at_once, place(visa, many_lines(rng)))],
            Self::Declined => vec![(at_once, place("tok_decline", json!([plain])))],
            Self::OutOfStock => {
                vec![(at_once, place(visa, json!([plain, line(ABSENT, 1)])))]
            }
            Self::Scarce => vec![(at_once, place(visa, json!([line(SCARCE, 1)])))],
            Self::CancelledFirst => {
                vec![(at_once, cancel()), (soon, place(visa, json!([plain])))]
            }
            Self::CancelledAfter => {
                vec![(at_once, place(visa, json!([plain]))), (soon, cancel())]
            }
            Self::Duplicated => {
                let one = place(visa, json!([plain]));
                vec![(at_once, one.clone()), (at_once, one.clone()), (soon, one)]
            }
            Self::Repeated => {
                let again = placed(id, &format!("again-{id}"), visa, json!([plain]));
                vec![(at_once, place(visa, json!([plain]))), (soon, again)]
            }
            Self::Flaky(times) => {
                vec![(at_once, place(&format!("tok_flaky_{times}"), json!([plain])))]
            }
            Self::Unanswered => vec![(at_once, place("tok_error", json!([plain])))],
            Self::Held => vec![(at_once, place(visa, json!([line(HELD, 1)])))],
            Self::Conflicting => {
                let other = json!([plain, line(PLENTY[0], 1)]);
                vec![(at_once, place(visa, json!([plain]))), (soon, place(visa, other))]
            }
            Self::Poison(party) => {
                let kind = match party {
                    Party::Client | Party::Order => "order.place.v1",
                    Party::Stock => "stock.adjust.v1",
                    Party::Payment => "payment.charge.v1",
                };
                let body: &[u8] = if rng.bool() { b"{\"order_id\":" } else { b"" };
                vec![(at_once, Message::raw(kind, &format!("poison-{id}"), body))]
            }
        }
    }
}

fn placed(order: &str, message: &str, token: &str, lines: Value) -> Message {
    let body = json!({
        "order_id": order, "lines": lines, "currency": "GBP", "payment_token": token,
    });
    Message::new("order.place.v1", message, &body)
}

fn line(sku: &str, quantity: i64) -> Value {
    json!({ "sku": sku, "quantity": quantity, "unit_price": 250 })
}

fn many_lines(rng: &mut Rng) -> Value {
    let mut lines: Vec<Value> = Vec::new();
    for sku in PLENTY {
        if rng.bool() || lines.is_empty() {
            lines.push(line(sku, rng.i64(1..=5)));
        }
    }
    lines.push(json!({ "sku": "POST", "quantity": 1, "unit_price": 1800, "service": true }));
    Value::Array(lines)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_tells_the_same_stories_again_and_all_of_them() {
        let tell = |seed| -> Vec<Story> {
            let mut rng = Rng::with_seed(seed);
            (0..1_000).map(|_| Story::draw(&mut rng)).collect()
        };
        let told = tell(7);
        assert_eq!(told, tell(7));
        assert_ne!(told, tell(8));
        let kinds: std::collections::BTreeSet<Story> = told.into_iter().collect();
        // Two flaky ones, three kinds of poison, and one of each other.
        assert_eq!(kinds.len(), 12 + 2 + 3);
    }

    #[test]
    fn every_message_has_an_id_and_says_whose_order_it_is() {
        let mut rng = Rng::with_seed(1);
        let stories = (0..500).map(|_| Story::draw(&mut rng)).collect::<Vec<_>>();
        for story in stories {
            for (_, message) in story.messages("c7-o1", &mut rng) {
                let id = message.properties.message_id.unwrap_or_default();
                assert!(id.ends_with("c7-o1"), "{story:?}: {id}");
            }
        }
    }
}

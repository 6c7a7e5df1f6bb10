//! What the model has to know of the three workers: where they keep their states, and what these
//! states and records mean in numbers.

use orderly_order::Order;
use orderly_order::domain::{Entry, Saga};
use orderly_payment::Payment;
use orderly_payment::state::{Open, Posting, State as PaymentState};
use orderly_stock::Stock;
use orderly_stock::domain::goods_ordered;
use orderly_stock::state::{Goods, Key, Posting as StockPosting, Reservation, State, Status};

use crate::books::Booking;
use crate::fact::{self, Fact, Standing};
use crate::place::{self, ITEMS};
use crate::rules::Rule;
use crate::service::Modelled;
use crate::tables::Row;

/// An amount or a count; those of the configurations are small.
fn small<T: TryFrom<i64>>(number: i64) -> T {
    T::try_from(number).ok().expect("a small number")
}

fn known(order: &str) -> usize {
    place::order(order).expect("an order of the configuration")
}

fn counts(goods: &Goods) -> [i16; ITEMS] {
    let mut counts = [0; ITEMS];
    for (sku, pieces) in goods {
        counts[place::item(sku.as_str())] = small(*pieces);
    }
    counts
}

impl Modelled for Order {
    fn place(key: &Self::Key) -> usize {
        place::saga(known(key.as_str()))
    }

    fn place_of_order(order: usize) -> usize {
        place::saga(order)
    }

    fn timer(owner: &str) -> usize {
        place::order_timer(known(owner))
    }

    fn row(saga: &Saga) -> Row {
        let Saga { placement, stage, version, .. } = saga;
        let status = stage.status();
        let reason = stage.reason().map_or("", |reason| reason.as_str());
        let unplaced = if placement.is_none() { " unplaced" } else { "" };
        let placed = placement.as_deref();
        Row {
            fact: Fact::Order(fact::Order {
                status,
                deadline: stage.deadline(),
                total: placed.map_or(0, |placed| small(placed.total.get())),
                goods: placed.map_or([0; ITEMS], |placed| counts(&goods_ordered(&placed.lines))),
            }),
            words: format!("{} {reason}{unplaced} v{version}", status.as_str()),
        }
    }

    fn booking(entry: &Entry) -> Option<Booking> {
        entry.to.is_final().then(|| Booking::Ended(known(entry.order_id.as_str())))
    }

    fn broken(before: Option<&Saga>, after: &Saga) -> Vec<Rule> {
        let mut broken = vec![];
        if after.version != before.map_or(1, |before| before.version + 1) {
            broken.push(Rule::VersionsRise);
        }
        if before.is_some_and(|before| before.stage.status().is_final()) {
            broken.push(Rule::EndedStays);
        }
        broken
    }
}

impl Modelled for Stock {
    fn place(key: &Key) -> usize {
        match key {
            Key::Reservation(order) => place::reservation(known(order.as_str())),
            Key::Item(sku) => place::article(place::item(sku.as_str())),
            Key::Adjustment(id) => place::adjustment(id.as_str()),
        }
    }

    fn place_of_order(order: usize) -> usize {
        place::reservation(order)
    }

    fn timer(owner: &str) -> usize {
        place::stock_timer(known(owner))
    }

    fn row(state: &State) -> Row {
        match state {
            State::Reservation(Reservation { status, goods }) => Row {
                fact: Fact::Reservation(fact::Reservation {
                    standing: match status {
                        Status::Reserved => Standing::Reserved,
                        Status::Committed => Standing::Committed,
                        Status::Short(_) => Standing::Short,
                        Status::Rejected(_) | Status::Released | Status::Expired => {
                            Standing::Nothing
                        }
                    },
                    goods: counts(goods),
                }),
                words: status.word().to_owned(),
            },
            State::Item(item) => Row {
                fact: Fact::Article {
                    on_hand: small(item.on_hand),
                    reserved: small(item.reserved),
                },
                words: format!("{} of {} reserved", item.reserved, item.on_hand),
            },
            State::Adjustment(_) => Row { fact: Fact::Adjustment, words: "known".to_owned() },
        }
    }

    fn booking(posting: &StockPosting) -> Option<Booking> {
        Some(Booking::Pieces {
            order: posting.origin.order().map(known),
            item: place::item(posting.sku.as_str()),
            operation: posting.operation,
            pieces: small(posting.pieces),
        })
    }
}

impl Modelled for Payment {
    fn place(key: &Self::Key) -> usize {
        place::payment(known(key.as_str()))
    }

    fn place_of_order(order: usize) -> usize {
        place::payment(order)
    }

    fn timer(_: &str) -> usize {
        unreachable!("payment sets no timers")
    }

    fn row(state: &PaymentState) -> Row {
        let amount = state.charge().map_or(0, |charge| small(charge.amount.get()));
        let (kept, captured) = match state {
            PaymentState::Captured(_) => (amount, amount),
            PaymentState::Refunding(_) => (amount, 0),
            _ => (0, 0),
        };
        let is_wanted = matches!(state, PaymentState::Open(Open { refund_wanted: true, .. }));
        let wanted = if is_wanted { " refund wanted" } else { "" };
        Row {
            fact: Fact::Payment(fact::Payment { kept, captured }),
            words: format!("{}{wanted}", state.word()),
        }
    }

    fn booking(posting: &Posting) -> Option<Booking> {
        Some(Booking::Money {
            order: known(posting.order.as_str()),
            movement: posting.movement,
            account: posting.account,
            amount: small(posting.amount),
        })
    }
}

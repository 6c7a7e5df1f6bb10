//! A stock service without a database, for tests: it folds batches as the runtime does.

use std::collections::{BTreeMap, BTreeSet};

use orderly_contracts::Reason;
use orderly_contracts::number::Delta;
use orderly_contracts::stock::AdjustStock;
use orderly_contracts::text::{AdjustmentId, OrderId, Sku};
use orderly_runtime::clock::Micros;
use orderly_runtime::domain::{Arrival, Cause, Context, Domain, States, TimerChange};
use orderly_runtime::fold::{Fate, fold};
use orderly_runtime::message::Outgoing;
use uuid::Uuid;

use crate::Stock;
use crate::domain::Input;
use crate::state::{
    Adjustment, Goods, Item, Key, Operation, Origin, Posting, Reservation, State, Status,
};

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct World {
    pub(super) rows: BTreeMap<Key, State>,
    pub(super) ledger: Vec<Posting>,
    pub(super) sent: Vec<Outgoing>,
    pub(super) timers: BTreeMap<String, TimerChange>,
    pub(super) fates: Vec<Fate>,
}

impl World {
    /// A world with these articles, all available.
    pub(super) fn with(articles: &[(&str, i64)]) -> Self {
        let mut world = Self::default();
        for (article, pieces) in articles {
            let item = Item { on_hand: *pieces, reserved: 0 };
            world.rows.insert(Key::Item(sku(article)), State::Item(item));
            let origin = Origin::Adjustment(AdjustmentId::new("opening").unwrap());
            let operation = Operation::Adjust;
            let at = Micros(0);
            world.ledger.push(Posting {
                sku: sku(article),
                origin,
                operation,
                pieces: *pieces,
                at,
            });
        }
        world
    }

    /// A world where these inputs have come, one after the other.
    pub(super) fn after(mut self, inputs: &[Input]) -> Self {
        for arrival in arrivals(inputs) {
            self.batch(&[arrival]);
        }
        self
    }

    /// Takes one more input; what it sends, by kind.
    pub(super) fn take(&mut self, input: Input) -> Vec<&str> {
        let before = self.sent.len();
        let cause = format!("one-more-{before}-{}", self.fates.len());
        self.batch(&[arrival(cause, self.fates.len(), input)]);
        self.sent[before..].iter().map(|message| message.routing_key.as_str()).collect()
    }

    /// Takes a batch: loads what it names and what that leads to, folds it, saves it.
    pub(super) fn batch(&mut self, arrivals: &[Arrival<Input>]) {
        let asked: BTreeSet<Key> =
            arrivals.iter().flat_map(|arrival| Stock::keys(&arrival.input)).collect();
        let named: BTreeSet<Key> = asked
            .iter()
            .filter_map(|key| self.rows.get(key))
            .flat_map(State::leads_to)
            .chain(asked.iter().cloned())
            .collect();
        let rows = self.rows.iter().filter(|(key, _)| named.contains(key));
        let states = States::new(asked, rows.map(|(k, s)| (k.clone(), s.clone())).collect());
        let batch: Vec<_> = arrivals.iter().collect();
        let folded = fold(&Stock::default(), Uuid::nil(), &batch, states);
        for (key, state) in folded.work.changes.created {
            assert!(self.rows.insert(key.clone(), state).is_none(), "{key:?} is created twice");
        }
        for (key, state) in folded.work.changes.updated {
            assert!(self.rows.insert(key.clone(), state).is_some(), "{key:?} is not there");
        }
        self.ledger.extend(folded.work.entries);
        self.sent.extend(folded.work.outputs.into_iter().flat_map(|(_, outgoing)| outgoing));
        self.timers.extend(folded.work.timers);
        let panicked =
            |fate: &Fate| matches!(fate, Fate::Dead(dead) if dead.reason == Reason::Poison);
        assert!(!folded.fates.iter().any(panicked), "a decision panicked");
        self.fates.extend(folded.fates);
    }

    pub(super) fn item(&self, article: &str) -> Item {
        match self.rows.get(&Key::Item(sku(article))) {
            Some(State::Item(item)) => *item,
            _ => Item::default(),
        }
    }

    pub(super) fn reservation(&self, id: &str) -> Option<&Reservation> {
        match self.rows.get(&Key::Reservation(order(id)))? {
            State::Reservation(reservation) => Some(reservation),
            _ => None,
        }
    }

    pub(super) fn adjustment(&self, id: &str) -> Option<&Adjustment> {
        match self.rows.get(&Key::Adjustment(AdjustmentId::new(id).unwrap()))? {
            State::Adjustment(adjustment) => Some(adjustment),
            _ => None,
        }
    }

    /// The word of an order's status, or `none`.
    pub(super) fn status(&self, id: &str) -> &'static str {
        self.reservation(id).map_or("none", |reservation| reservation.status.word())
    }

    /// What the ledger says was done for an order, in order.
    pub(super) fn done_for(&self, id: &str) -> Vec<&'static str> {
        let of_order = |posting: &&Posting| posting.origin.order() == Some(id);
        self.ledger.iter().filter(of_order).map(|posting| posting.operation.word()).collect()
    }

    /// The body of the message sent last.
    pub(super) fn last_body(&self) -> serde_json::Value {
        serde_json::from_slice(&self.sent.last().expect("something was sent").body).unwrap()
    }

    pub(super) fn last_fate(&self) -> &Fate {
        self.fates.last().expect("something was decided")
    }

    /// What must hold at all times.
    pub(super) fn assert_sound(&self) {
        let mut held = Goods::new();
        for state in self.rows.values() {
            if let State::Reservation(Reservation { status: Status::Reserved, goods }) = state {
                for (sku, pieces) in goods {
                    *held.entry(sku.clone()).or_default() += pieces;
                }
            }
        }
        for (key, state) in &self.rows {
            let (Key::Item(sku), State::Item(item)) = (key, state) else {
                continue;
            };
            assert!(0 <= item.reserved && item.reserved <= item.on_hand, "{sku}: {item:?}");
            assert_eq!(item.reserved, held.get(sku).copied().unwrap_or(0), "{sku} is held");
            let postings = self.ledger.iter().filter(|posting| posting.sku == *sku);
            let sum = |operation| {
                let of = postings.clone().filter(move |posting| posting.operation == operation);
                of.map(|posting| posting.pieces).sum::<i64>()
            };
            let (adjusted, reserved) = (sum(Operation::Adjust), sum(Operation::Reserve));
            let (released, expired) = (sum(Operation::Release), sum(Operation::Expire));
            let committed = sum(Operation::Commit);
            assert_eq!(item.on_hand, adjusted - committed, "{sku} on hand");
            assert_eq!(item.reserved, reserved - released - expired - committed, "{sku} reserved");
        }
    }
}

pub(super) fn sku(article: &str) -> Sku {
    Sku::new(article).unwrap()
}

pub(super) fn order(id: &str) -> OrderId {
    OrderId::new(id).unwrap()
}

pub(super) fn goods(lines: &[(&str, i64)]) -> Goods {
    lines.iter().map(|(article, pieces)| (sku(article), *pieces)).collect()
}

pub(super) fn adjust(id: &str, article: &str, delta: i64) -> Input {
    Input::Adjust(AdjustStock {
        adjustment_id: AdjustmentId::new(id).unwrap(),
        sku: sku(article),
        delta: Delta::new(delta).unwrap(),
        note: None,
    })
}

/// Inputs as they arrive: a message each, a second apart.
pub(super) fn arrivals(inputs: &[Input]) -> Vec<Arrival<Input>> {
    let numbered = inputs.iter().cloned().enumerate();
    numbered.map(|(n, input)| arrival(format!("message-{n}"), n, input)).collect()
}

fn arrival(id: String, second: usize, input: Input) -> Arrival<Input> {
    Arrival {
        cause: Cause { source: "order", id },
        kind: "test",
        at: Micros(1_000_000 * i64::try_from(second).unwrap()),
        context: Context::default(),
        input,
    }
}

//! What is known when an input arrives, and the one way to book goods against it.

use orderly_contracts::number::Pieces;
use orderly_contracts::stock::Shortage;
use orderly_contracts::text::{AdjustmentId, OrderId, Sku};
use orderly_runtime::clock::Micros;
use orderly_runtime::domain::{Decision, States};

use crate::domain::Stock;
use crate::state::{Adjustment, Goods, Item, Key, Operation, Origin, Posting, Reservation, State};

/// What is known when an input arrives: the states by their types, and the time.
#[derive(Clone, Copy)]
pub(crate) struct Known<'a> {
    states: &'a States<Stock>,
    pub(crate) at: Micros,
}

impl<'a> Known<'a> {
    pub(crate) fn new(states: &'a States<Stock>, at: Micros) -> Self {
        Self { states, at }
    }

    pub(crate) fn reservation(self, order: &OrderId) -> Option<&'a Reservation> {
        match self.states.get(&Key::Reservation(order.clone()))? {
            State::Reservation(reservation) => Some(reservation),
            other => unreachable!("{other:?} is no reservation"),
        }
    }

    pub(crate) fn adjustment(self, id: &AdjustmentId) -> Option<&'a Adjustment> {
        match self.states.get(&Key::Adjustment(id.clone()))? {
            State::Adjustment(adjustment) => Some(adjustment),
            other => unreachable!("{other:?} is no adjustment"),
        }
    }

    /// The article; of one that nobody has heard of there is nothing.
    pub(crate) fn item(self, sku: &Sku) -> Item {
        match self.states.get(&Key::Item(sku.clone())) {
            Some(State::Item(item)) => *item,
            None => Item::default(),
            Some(other) => unreachable!("{other:?} is no article"),
        }
    }

    /// What of `goods` is not available in full.
    pub(crate) fn shortages(self, goods: &Goods) -> Vec<Shortage> {
        let short = |(sku, requested): (&Sku, &i64)| {
            let available = self.item(sku).available();
            (available < *requested).then(|| Shortage {
                sku: sku.clone(),
                requested: pieces(*requested),
                available: pieces(available),
            })
        };
        goods.iter().filter_map(short).collect()
    }

    /// Does `operations` to all `goods` of an order, one after the other, as the ledger says too.
    pub(crate) fn book(
        self,
        order: &OrderId,
        goods: &Goods,
        operations: &[Operation],
    ) -> Decision<Stock> {
        let mut decision = Decision::nothing();
        for (sku, pieces) in goods {
            let mut item = self.item(sku);
            for operation in operations {
                item = item.after(*operation, *pieces);
                decision = decision.entry(Posting {
                    sku: sku.clone(),
                    origin: Origin::Order(order.clone()),
                    operation: *operation,
                    pieces: *pieces,
                    at: self.at,
                });
            }
            decision = decision.change(Key::Item(sku.clone()), State::Item(item));
        }
        decision
    }
}

/// A count as it goes over the wire. Counts that we keep lie within the bounds; a demand may not.
pub(crate) fn pieces(count: i64) -> Pieces {
    Pieces::new(count.clamp(Pieces::MIN, Pieces::MAX)).expect("the count was clamped")
}

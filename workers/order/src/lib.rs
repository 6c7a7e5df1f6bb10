//! The order worker: it keeps every order's saga, from placed to confirmed, rejected or cancelled.
//!
//! Read in this order: [`saga`] is the table of what follows from what, [`deadline`] says how long
//! a step is waited for, [`domain`] turns a row of the table into states, records and messages,
//! and [`store`] keeps them.

pub mod deadline;
pub mod domain;
pub mod saga;
pub mod schema;
pub mod store;

#[cfg(test)]
mod tests;

use orderly_contracts::order::{CancelOrder, EndReason, PlaceOrder};
use orderly_contracts::payment::{PaymentCharged, PaymentDeclined, PaymentRefunded};
use orderly_contracts::routes::{ORDER_ANSWERS, ORDER_NEW, Party};
use orderly_contracts::stock::{StockExpired, StockRejected, StockReleased, StockReserved};
use orderly_contracts::text::OrderId;
use orderly_contracts::{Message, Reason, Refusal};
use orderly_runtime::domain::{Arrival, Domain, States, Timer, Verdict};
use orderly_runtime::metrics::catalogue::{ORDER_SECONDS, ORDERS_ENDED, ORDERS_PLACED};
use orderly_runtime::worker::Worker;

pub use crate::deadline::{Deadlines, awaited_queue};
pub use crate::schema::migrations;
pub use crate::store::OrderTables;

use crate::deadline::{Deadline, Step};
use crate::domain::{Entry, Saga};

/// The order worker's decisions.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Order {
    /// When a step is asked for again, and when it is given up.
    pub policy: Deadlines,
}

/// What arrives at an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Input {
    /// Somebody places it.
    Place(PlaceOrder),
    /// Somebody calls it off.
    Cancel(CancelOrder),
    /// Its goods are reserved.
    StockReserved(StockReserved),
    /// Its goods are not reserved.
    StockRejected(StockRejected),
    /// Nothing is reserved for it any more.
    StockReleased(StockReleased),
    /// Its reservation has expired.
    StockExpired(StockExpired),
    /// It is paid.
    PaymentCharged(PaymentCharged),
    /// It is not paid.
    PaymentDeclined(PaymentDeclined),
    /// Nothing is charged for it any more.
    PaymentRefunded(PaymentRefunded),
    /// It has waited long enough for an answer.
    Due {
        /// Which order has waited.
        order_id: OrderId,
        /// For which answer, and for how many times by now.
        deadline: Deadline,
    },
}

impl Input {
    /// The order concerned.
    pub fn order_id(&self) -> &OrderId {
        match self {
            Self::Place(PlaceOrder { order_id, .. })
            | Self::Cancel(CancelOrder { order_id, .. })
            | Self::StockReserved(StockReserved { order_id })
            | Self::StockRejected(StockRejected { order_id, .. })
            | Self::StockReleased(StockReleased { order_id })
            | Self::StockExpired(StockExpired { order_id })
            | Self::PaymentCharged(PaymentCharged { order_id, .. })
            | Self::PaymentDeclined(PaymentDeclined { order_id, .. })
            | Self::PaymentRefunded(PaymentRefunded { order_id, .. })
            | Self::Due { order_id, .. } => order_id,
        }
    }
}

/// The worker.
pub fn worker() -> Worker<Order, OrderTables> {
    Worker::new(Order::default(), migrations, env!("CARGO_PKG_VERSION"))
}

impl Domain for Order {
    const PARTY: Party = Party::Order;
    const ANSWERS: Option<&'static str> = Some(ORDER_ANSWERS);
    const NEW_WORK: Option<&'static str> = Some(ORDER_NEW);

    type Input = Input;
    type Key = OrderId;
    type State = Saga;
    type Entry = Entry;

    fn decode(kind: &str, body: &[u8]) -> Result<Input, Refusal> {
        use orderly_contracts::decode;
        match kind {
            PlaceOrder::KIND => decode(body).map(Input::Place),
            CancelOrder::KIND => decode(body).map(Input::Cancel),
            StockReserved::KIND => decode(body).map(Input::StockReserved),
            StockRejected::KIND => decode(body).map(Input::StockRejected),
            StockReleased::KIND => decode(body).map(Input::StockReleased),
            StockExpired::KIND => decode(body).map(Input::StockExpired),
            PaymentCharged::KIND => decode(body).map(Input::PaymentCharged),
            PaymentDeclined::KIND => decode(body).map(Input::PaymentDeclined),
            PaymentRefunded::KIND => decode(body).map(Input::PaymentRefunded),
            _ => Err(Refusal::new(
                Reason::UnknownType,
                format!("the order worker takes no {kind:?}"),
            )),
        }
    }

    fn due(timer: &Timer) -> Option<Input> {
        let order_id = OrderId::new(timer.owner.as_str()).ok()?;
        let step = Step::from_word(&timer.step)?;
        Some(Input::Due { order_id, deadline: Deadline { step, round: timer.round } })
    }

    fn participant(step: &str) -> Option<&'static str> {
        awaited_queue(step)
    }

    fn about(input: &Input) -> &str {
        input.order_id().as_str()
    }

    fn keys(input: &Input) -> Vec<OrderId> {
        vec![input.order_id().clone()]
    }

    fn opens(input: &Input) -> Vec<OrderId> {
        match input {
            Input::Place(place) => vec![place.order_id.clone()],
            _ => vec![],
        }
    }

    fn meter(entry: &Entry) {
        let Entry { at, placed_at, from, to, reason, .. } = entry;
        if from.is_none() && placed_at.is_some() {
            ORDERS_PLACED.add(&[], 1);
        }
        if to.is_final() {
            let outcome = to.as_str();
            ORDERS_ENDED.add(&[outcome, reason.map_or("", EndReason::as_str)], 1);
            if let Some(placed_at) = placed_at {
                ORDER_SECONDS.observe(&[outcome], (*at - *placed_at).as_secs_f64());
            }
        }
    }

    fn decide(&self, arrival: &Arrival<Input>, states: &States<Self>) -> Verdict<Self> {
        domain::decide(&self.policy, arrival, states.get(arrival.input.order_id()))
    }
}

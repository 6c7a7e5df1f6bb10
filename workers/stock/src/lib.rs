//! The stock worker: reserves the goods of orders, all or none, and keeps count of every article.
//!
//! [`state`] is what it remembers; [`domain`] decides, knowing no database and no broker; [`store`]
//! is its SQL. What is below is the table of contents: what arrives, which states it concerns, and
//! who decides.

pub mod domain;
mod known;
pub mod schema;
pub mod state;
pub mod store;

use orderly_contracts::order::OrderConfirmed;
use orderly_contracts::routes::{Party, STOCK_SETTLE};
use orderly_contracts::stock::{AdjustStock, ReleaseStock, ReserveStock};
use orderly_contracts::text::OrderId;
use orderly_contracts::{Message, Reason, Refusal, decode};
use orderly_runtime::domain::{Arrival, Domain, States, Timer, Verdict};
use orderly_runtime::worker::Worker;

pub use domain::{Policy, Stock};
pub use schema::migrations;
pub use store::StockTables;

use domain::{EXPIRE, Input, goods_ordered, goods_to_reserve};
use known::Known;
use state::{Key, Posting, State};

/// The worker.
pub fn worker() -> Worker<Stock, StockTables> {
    Worker::new(Stock::default(), migrations, env!("CARGO_PKG_VERSION"))
}

impl Domain for Stock {
    const PARTY: Party = Party::Stock;

    type Input = Input;
    type Key = Key;
    type State = State;
    type Entry = Posting;

    fn decode(kind: &str, body: &[u8]) -> Result<Input, Refusal> {
        match kind {
            ReserveStock::KIND => decode(body).map(|ReserveStock { order_id, lines }| {
                let goods = goods_to_reserve(&lines);
                Input::Reserve(order_id, goods)
            }),
            ReleaseStock::KIND => {
                decode(body).map(|ReleaseStock { order_id }| Input::Release(order_id))
            }
            OrderConfirmed::KIND => decode(body).map(|OrderConfirmed(order)| {
                let goods = goods_ordered(&order.lines);
                Input::OrderConfirmed(order.order_id, goods)
            }),
            AdjustStock::KIND => decode(body).map(Input::Adjust),
            other => Err(Refusal::new(Reason::UnknownType, format!("stock takes no {other}"))),
        }
    }

    fn due(timer: &Timer) -> Option<Input> {
        let order = OrderId::new(timer.owner.as_str()).ok()?;
        (timer.step == EXPIRE).then_some(Input::ExpiryDue(order))
    }

    fn about(input: &Input) -> &str {
        match input {
            Input::Reserve(order, _)
            | Input::OrderConfirmed(order, _)
            | Input::Release(order)
            | Input::ExpiryDue(order) => order.as_str(),
            Input::Adjust(command) => command.adjustment_id.as_str(),
        }
    }

    fn keys(input: &Input) -> Vec<Key> {
        let reservation = |order: &OrderId| Key::Reservation(order.clone());
        match input {
            Input::Reserve(order, goods) | Input::OrderConfirmed(order, goods) => {
                let articles = goods.keys().cloned().map(Key::Item);
                [reservation(order)].into_iter().chain(articles).collect()
            }
            // The articles follow from the reservation: see `State::leads_to`.
            Input::Release(order) | Input::ExpiryDue(order) => vec![reservation(order)],
            Input::Adjust(command) => {
                vec![Key::Item(command.sku.clone()), Key::Adjustment(command.adjustment_id.clone())]
            }
        }
    }

    fn opens(input: &Input) -> Vec<Key> {
        match input {
            Input::Reserve(order, _) => vec![Key::Reservation(order.clone())],
            _ => vec![],
        }
    }

    /// Confirmed goods stay reserved until they are booked out, and an order that is called off can
    /// wait a moment.
    const UNHURRIED: Option<&'static str> = Some(STOCK_SETTLE);

    fn leads_to(state: &State) -> Vec<Key> {
        state.leads_to().collect()
    }

    fn decide(&self, arrival: &Arrival<Input>, states: &States<Self>) -> Verdict<Self> {
        let known = Known::new(states, arrival.at);
        match &arrival.input {
            Input::Reserve(order, goods) => self.reserve(order, goods, known),
            Input::Release(order) => domain::release(order, known),
            Input::OrderConfirmed(order, goods) => domain::commit(order, goods, known),
            Input::ExpiryDue(order) => domain::expire(order, known),
            Input::Adjust(command) => domain::adjust(command, known),
        }
    }
}

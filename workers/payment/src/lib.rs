//! The payment worker: charges an order at most once, and gives back whatever was charged.
//!
//! [`state`] is what it remembers; [`domain`] decides, knowing no database and no broker; [`store`]
//! is its SQL. [`provider`] is the seam to whoever moves the money, and [`sandbox`] the provider
//! that comes with it. What is below is the table of contents: what arrives, which state it
//! concerns, and who decides.

pub mod domain;
pub mod effect;
pub mod provider;
pub mod sandbox;
pub mod schema;
pub mod state;
pub mod store;

use orderly_contracts::payment::{ChargePayment, PaymentExecuted, RefundPayment};
use orderly_contracts::routes::{PAYMENT_EFFECTS, Party};
use orderly_contracts::text::OrderId;
use orderly_contracts::{Message, Reason, Refusal, decode};
use orderly_runtime::domain::{Arrival, Domain, States, Timer, Verdict};
use orderly_runtime::metrics::catalogue::{MONEY_CHARGED, MONEY_REFUNDED};
use orderly_runtime::worker::Worker;

pub use domain::{Immediate, Payment};
pub use provider::Provider;
pub use sandbox::Sandbox;
pub use schema::migrations;
pub use store::PaymentTables;

use domain::{Case, Input};
use effect::{ProviderCalls, decode_request};
use state::{Movement, Posting, State};

/// The worker, with the sandbox as its provider.
pub fn worker() -> Worker<Payment, PaymentTables, ProviderCalls<Sandbox>> {
    Worker::new(Payment::default(), migrations, env!("CARGO_PKG_VERSION")).with_effect(
        ProviderCalls(Sandbox),
        PAYMENT_EFFECTS,
        decode_request,
    )
}

impl Domain for Payment {
    const PARTY: Party = Party::Payment;

    type Input = Input;
    type Key = OrderId;
    type State = State;
    type Entry = Posting;

    fn decode(kind: &str, body: &[u8]) -> Result<Input, Refusal> {
        match kind {
            ChargePayment::KIND => decode(body).map(Input::Charge),
            RefundPayment::KIND => decode(body).map(Input::Refund),
            PaymentExecuted::KIND => decode(body).map(Input::Executed),
            other => Err(Refusal::new(Reason::UnknownType, format!("payment takes no {other}"))),
        }
    }

    /// Payment sets no timers: whoever waits for an answer asks again.
    fn due(_: &Timer) -> Option<Input> {
        None
    }

    fn about(input: &Input) -> &str {
        input.order().as_str()
    }

    fn keys(input: &Input) -> Vec<OrderId> {
        vec![input.order().clone()]
    }

    fn opens(input: &Input) -> Vec<OrderId> {
        match input {
            Input::Charge(command) => vec![command.order_id.clone()],
            _ => vec![],
        }
    }

    /// The side to which money came tells of the movement.
    fn meter(posting: &Posting) {
        let counter = match posting.movement {
            Movement::Capture => &MONEY_CHARGED,
            Movement::Refund => &MONEY_REFUNDED,
        };
        if let Ok(amount) = u64::try_from(posting.amount) {
            counter.add(&[posting.currency.as_str()], amount);
        }
    }

    fn decide(&self, arrival: &Arrival<Input>, states: &States<Self>) -> Verdict<Self> {
        let order = arrival.input.order();
        let case = Case { order, at: arrival.at, state: states.get(order) };
        match &arrival.input {
            Input::Charge(command) => self.charge(command, case),
            Input::Refund(_) => self.refund(case),
            Input::Executed(answer) => domain::executed(answer, case),
        }
    }
}

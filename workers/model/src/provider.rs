//! The payment provider and the calls to it: worded by the shipped effect, answered in any way a
//! provider may answer.

use orderly_contracts::payment::{ExecutePayment, Operation};
use orderly_contracts::routes::Party;
use orderly_payment::Sandbox;
use orderly_payment::effect::{ProviderCalls, decode_request};
use orderly_payment::provider::executed;
use orderly_payment::sandbox::Answer;
use orderly_runtime::domain::Output;
use orderly_runtime::effect::Effect;
use orderly_runtime::fold::compose_answer;
use orderly_runtime::message::Outgoing;
use orderly_runtime::reception::Reception;

use crate::moment::{Charge, Moment};
use crate::service::{NOW, delivery};

/// How all calls for a request end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Outcome {
    /// The provider does it, or has done it, and says so.
    Approved,
    /// It refuses.
    Declined,
    /// It does it, but nobody hears so: every call has failed.
    Lost,
    /// It never hears of it: every call has failed.
    Failed,
}

impl Outcome {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Approved, Self::Declined, Self::Lost, Self::Failed];

    /// Whether it comes of a failure, of which a configuration allows a few.
    const fn is_failure(self, operation: Operation) -> bool {
        match (self, operation) {
            (Self::Lost | Self::Failed, _) | (Self::Declined, Operation::Refund) => true,
            (Self::Approved | Self::Declined, _) => false,
        }
    }

    /// Whether the calls may end so. Under one key a provider always says the same, unless it is
    /// `contrary`.
    pub fn is_possible(
        self,
        operation: Operation,
        moment: &Moment,
        order: usize,
        contrary: bool,
    ) -> bool {
        if self.is_failure(operation) && moment.left.failures == 0 {
            return false;
        }
        let said = moment.provider[order].charge;
        match (operation, self) {
            (Operation::Charge, Self::Approved) => said != Charge::Declined || contrary,
            (Operation::Charge, Self::Declined) => said != Charge::Approved || contrary,
            (Operation::Charge, Self::Lost) => said == Charge::Unheard,
            (Operation::Refund, Self::Lost) => !moment.provider[order].is_refunded,
            (Operation::Refund, Self::Declined) => !moment.provider[order].is_refunded,
            (Operation::Refund, Self::Approved) | (_, Self::Failed) => true,
        }
    }

    /// Does at the provider what was asked for. `false` if it makes no sense to it.
    pub fn happen(self, operation: Operation, moment: &mut Moment, order: usize) -> bool {
        moment.left.failures -= u8::from(self.is_failure(operation));
        let provider = &mut moment.provider[order];
        match (operation, self) {
            (Operation::Charge, Self::Approved | Self::Lost) => provider.charge = Charge::Approved,
            (Operation::Charge, Self::Declined) if provider.charge == Charge::Unheard => {
                provider.charge = Charge::Declined;
            }
            (Operation::Refund, Self::Approved | Self::Lost) => {
                provider.is_refunded = true;
                return provider.charge == Charge::Approved;
            }
            _ => {}
        }
        true
    }

    /// The message that brings the answer back, as the shipped runner words and composes it.
    pub fn answer(self, request: &Outgoing, queue: &'static str) -> Outgoing {
        let reception = Reception { queue, body_bytes_max: usize::MAX, decode: decode_request };
        let received = reception.receive(delivery(request.clone()), NOW);
        let arrival = received.content.expect("our own request").arrival;
        let told = |answer| Output::of(&executed(&arrival.input, Ok(answer)));
        let answer = match self {
            Self::Approved => told(Answer::Approved),
            Self::Declined => told(Answer::Declined(None)),
            Self::Lost | Self::Failed => ProviderCalls(Sandbox).exhausted(&arrival.input),
        };
        compose_answer(Party::Payment, &arrival, answer)
    }
}

/// What a request asks for.
pub fn operation(request: &Outgoing) -> Operation {
    let request: ExecutePayment =
        orderly_contracts::decode(&request.body).expect("our own request");
    request.operation
}

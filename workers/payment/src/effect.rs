//! Calls to the provider, as an effect: requested in a queue, answered by a message.

use orderly_contracts::payment::ExecutePayment;
use orderly_contracts::routes::Party;
use orderly_contracts::{Message, Reason, Refusal, decode};
use orderly_runtime::domain::Output;
use orderly_runtime::effect::Effect;

use crate::provider::{Provider, ProviderError, executed};

/// Calls the provider for every request.
#[derive(Debug)]
pub struct ProviderCalls<P>(pub P);

impl<P: Provider> Effect for ProviderCalls<P> {
    const PARTY: Party = Party::Payment;
    type Request = ExecutePayment;

    async fn call(&self, request: &ExecutePayment, attempt: u32) -> Result<Output, String> {
        match self.0.execute(request, attempt + 1).await {
            Ok(answer) => Ok(Output::of(&executed(request, Ok(answer)))),
            Err(error) => Err(error.to_string()),
        }
    }

    fn exhausted(&self, request: &ExecutePayment) -> Output {
        let error = ProviderError("every attempt failed".to_owned());
        Output::of(&executed(request, Err(error)))
    }
}

/// Reads a request.
pub fn decode_request(kind: &str, body: &[u8]) -> Result<ExecutePayment, Refusal> {
    match kind {
        ExecutePayment::KIND => decode(body),
        other => Err(Refusal::new(Reason::UnknownType, format!("no call is named {other}"))),
    }
}

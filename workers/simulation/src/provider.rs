//! A payment provider under a sky: it does once what it is asked, and does not always say so.

use std::collections::BTreeMap;
use std::future::pending;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use orderly_contracts::payment::{ExecutePayment, Operation};
use orderly_payment::Provider;
use orderly_payment::provider::ProviderError;
use orderly_payment::sandbox::Answer;

use crate::sky::{Sky, Strike};

/// A provider with a ledger of its own.
pub struct WeatherProvider {
    sky: Arc<Sky>,
    ledger: Mutex<BTreeMap<String, Execution>>,
}

/// What was done under an idempotency key.
#[derive(Debug, Clone, PartialEq)]
pub struct Execution {
    /// What was asked for.
    pub request: ExecutePayment,
    /// What came of it.
    pub answer: Answer,
    /// Whether somebody asked for something else under the same key.
    pub is_contradicted: bool,
}

impl WeatherProvider {
    /// A provider under `sky`.
    pub fn new(sky: Arc<Sky>) -> Self {
        Self { sky, ledger: Mutex::default() }
    }

    /// Everything that was done, by idempotency key.
    pub fn ledger(&self) -> MutexGuard<'_, BTreeMap<String, Execution>> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn execute_once(&self, request: &ExecutePayment) -> Answer {
        let is_declined = request.payment_token.as_str().starts_with("tok_decline")
            && request.operation == Operation::Charge;
        let answer = if is_declined { Answer::Declined(None) } else { Answer::Approved };
        let fresh = || Execution { request: request.clone(), answer, is_contradicted: false };
        let mut ledger = self.ledger();
        let execution = ledger.entry(request.idempotency_key.to_string()).or_insert_with(fresh);
        execution.is_contradicted |= execution.request != *request;
        execution.answer.clone()
    }
}

impl Provider for WeatherProvider {
    async fn execute(&self, request: &ExecutePayment, _: u32) -> Result<Answer, ProviderError> {
        self.sky.delay().await;
        if self.sky.strikes(Strike::ProviderFails) {
            return Err(ProviderError("it is away".to_owned()));
        }
        let answer = self.execute_once(request);
        if self.sky.strikes(Strike::ProviderHangs) {
            return pending().await;
        }
        self.sky.delay().await;
        Ok(answer)
    }
}

//! The payment provider, as a seam: what the effect runner calls, and how an answer is worded.

use std::future::{Future, pending};

use orderly_contracts::payment::{ExecutePayment, ExecutionOutcome, PaymentExecuted};
use orderly_contracts::text::Note;

use crate::sandbox::{Answer, Attempt, Sandbox};

/// A payment provider.
pub trait Provider: Send + Sync + 'static {
    /// Makes one call; `attempt` counts the calls for this request, from 1.
    ///
    /// The provider does it once for an idempotency key, however often it is called. Whoever calls
    /// sets the time limit: the future may be dropped at any moment, and may never end by itself.
    fn execute(
        &self,
        request: &ExecutePayment,
        attempt: u32,
    ) -> impl Future<Output = Result<Answer, ProviderError>> + Send;
}

/// A call failed, and nobody knows whether it had its effect. It may be made again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the provider failed: {0}")]
pub struct ProviderError(pub String);

/// What the payment worker is told once the calls for `request` have come to an end.
pub fn executed(
    request: &ExecutePayment,
    result: Result<Answer, ProviderError>,
) -> PaymentExecuted {
    let (outcome, detail) = match result {
        Ok(Answer::Approved) => (ExecutionOutcome::Approved, None),
        Ok(Answer::Declined(words)) => (ExecutionOutcome::Declined, words),
        Err(error) => (ExecutionOutcome::Unknown, note(&error.to_string())),
    };
    let ExecutePayment { order_id, operation, .. } = request.clone();
    PaymentExecuted { order_id, operation, outcome, detail }
}

/// As much of `text` as a note may hold.
fn note(text: &str) -> Option<Note> {
    let mut words = String::new();
    for c in text.chars().map(|c| if c.is_control() { ' ' } else { c }) {
        if words.len() + c.len_utf8() > Note::BYTES_MAX {
            break;
        }
        words.push(c);
    }
    Note::new(words.trim()).ok()
}

impl Provider for Sandbox {
    async fn execute(
        &self,
        request: &ExecutePayment,
        attempt: u32,
    ) -> Result<Answer, ProviderError> {
        match Self::attempt(&request.payment_token, attempt) {
            Attempt::Answered(answer) => Ok(answer),
            Attempt::Failed => Err(ProviderError(format!("attempt {attempt} failed"))),
            Attempt::Hanging => pending().await,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::task::{Context, Poll, Waker};

    use orderly_contracts::number::Amount;
    use orderly_contracts::payment::Operation;
    use orderly_contracts::text::{Currency, OrderId, PaymentToken};

    use super::*;

    fn request(token: &str) -> ExecutePayment {
        ExecutePayment {
            order_id: OrderId::new("o-1").unwrap(),
            operation: Operation::Charge,
            idempotency_key: Note::new("o-1/charge").unwrap(),
            amount: Amount::new(100).unwrap(),
            currency: Currency::new("GBP").unwrap(),
            payment_token: PaymentToken::new(token).unwrap(),
        }
    }

    fn call(token: &str, attempt: u32) -> Poll<Result<Answer, ProviderError>> {
        let request = request(token);
        let call = std::pin::pin!(Sandbox.execute(&request, attempt));
        call.poll(&mut Context::from_waker(Waker::noop()))
    }

    #[test]
    fn the_sandbox_fails_hangs_and_approves_as_its_tokens_say() {
        let failed = ProviderError("attempt 1 failed".to_owned());
        assert_eq!(call("tok_flaky_1", 1), Poll::Ready(Err(failed)));
        assert_eq!(call("tok_flaky_1", 2), Poll::Ready(Ok(Answer::Approved)));
        assert_eq!(call("tok_hang_1", 1), Poll::Pending);
        assert_eq!(call("tok_hang_1", 2), Poll::Ready(Ok(Answer::Approved)));
        assert_eq!(call("tok_visa", 1), Poll::Ready(Ok(Answer::Approved)));
    }

    #[test]
    fn an_answer_is_told_with_the_words_of_the_provider() {
        let words = Note::new("card expired").unwrap();
        let told = executed(&request("t"), Ok(Answer::Declined(Some(words.clone()))));
        assert_eq!(told.outcome, ExecutionOutcome::Declined);
        assert_eq!(told.detail, Some(words));
        let told = executed(&request("t"), Ok(Answer::Approved));
        assert_eq!((told.outcome, told.detail), (ExecutionOutcome::Approved, None));
    }

    #[test]
    fn a_failure_leaves_the_outcome_unknown_and_its_words_become_a_valid_note() {
        let error = ProviderError(format!("line one\nline two {}", "é".repeat(600)));
        let told = executed(&request("t"), Err(error));
        assert_eq!(told.outcome, ExecutionOutcome::Unknown);
        let detail = told.detail.unwrap();
        assert!(detail.as_str().starts_with("the provider failed: line one line two éé"));
        assert!(detail.as_str().len() <= Note::BYTES_MAX);
    }
}

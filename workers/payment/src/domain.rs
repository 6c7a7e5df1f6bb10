//! How payment decides: one charge an order, given back if the order is called off at any moment.
//!
//! The charge and the refund of an order are each known to the provider by a key of their own, so
//! asking it again is always safe, and it is how an unknown outcome becomes known.

use orderly_contracts::number::Amount;
use orderly_contracts::payment::{
    ChargePayment, DeclineReason, ExecutePayment, ExecutionOutcome, Operation, PaymentCharged,
    PaymentDeclined, PaymentExecuted, PaymentRefunded, RefundPayment,
};
use orderly_contracts::text::{Note, OrderId, PaymentToken};
use orderly_contracts::{Reason, Refusal};
use orderly_runtime::clock::Micros;
use orderly_runtime::domain::{Decision, Verdict};

use crate::sandbox::{Answer, Sandbox};
use crate::state::{Charge, Movement, Open, Posting, State};

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
#[cfg(test)]
mod world;

/// The payment worker's decisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Payment {
    /// Which answers of the provider need no call.
    pub immediate: Immediate,
}

/// Which answers of the provider are known before it is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Immediate {
    /// The sandbox's, as far as they don't depend on the attempt.
    #[default]
    Sandbox,
    /// None: a provider out in the world has to be called.
    None,
}

impl Immediate {
    fn answer(self, token: &PaymentToken) -> Option<Answer> {
        match self {
            Self::Sandbox => Sandbox::immediate(token),
            Self::None => None,
        }
    }
}

/// What arrives.
#[derive(Debug, Clone, PartialEq)]
pub enum Input {
    /// An order is to be charged.
    Charge(ChargePayment),
    /// An order was called off.
    Refund(RefundPayment),
    /// The provider has answered, or all calls have failed.
    Executed(PaymentExecuted),
}

impl Input {
    /// The order that it is about.
    pub fn order(&self) -> &OrderId {
        match self {
            Self::Charge(command) => &command.order_id,
            Self::Refund(command) => &command.order_id,
            Self::Executed(answer) => &answer.order_id,
        }
    }
}

impl Payment {
    /// Charges an order; one that asked before hears how its payment stands.
    pub(crate) fn charge(&self, command: &ChargePayment, case: Case<'_>) -> Verdict<Self> {
        let nothing = Decision::nothing();
        match case.state {
            None => self.charge_anew(command, case),
            Some(State::Captured(charge)) => nothing.send(&case.charged(charge)).done(),
            Some(State::Declined(_, words)) => {
                nothing.send(&case.declined(words.clone())).rejected()
            }
            Some(State::Open(Open { charge, .. })) => {
                nothing.send(&case.execute(Operation::Charge, charge)).done()
            }
            Some(State::Refunding(_) | State::Refunded(_) | State::Voided(_)) => {
                nothing.send(&case.called_off()).rejected()
            }
        }
    }

    fn charge_anew(&self, command: &ChargePayment, case: Case<'_>) -> Verdict<Self> {
        let ChargePayment { amount, currency, payment_token, .. } = command.clone();
        let charge = Charge { amount, currency, payment_token };
        match self.immediate.answer(&charge.payment_token) {
            Some(Answer::Approved) => case.captured(charge),
            Some(Answer::Declined(words)) => case.refused(charge, words),
            None => {
                let execute = case.execute(Operation::Charge, &charge);
                let open = Open { charge, is_unknown: false, refund_wanted: false };
                case.becomes(State::Open(open)).send(&execute).done()
            }
        }
    }

    /// Gives back what was charged, or sees to it that nothing will be.
    pub(crate) fn refund(&self, case: Case<'_>) -> Verdict<Self> {
        let nothing = Decision::nothing();
        match case.state {
            // The refund has overtaken the charge, which will find it and be refused.
            None => case.becomes(State::Voided(None)).send(&case.refunded(Amount::ZERO)).done(),
            Some(State::Declined(..) | State::Voided(_)) => {
                nothing.send(&case.refunded(Amount::ZERO)).done()
            }
            Some(State::Captured(charge)) => {
                match self.immediate.answer(&charge.payment_token) {
                    // Who answers a charge at once gives it back at once.
                    Some(_) => case.given_back(charge.clone()),
                    None => case.gives_back(charge.clone(), nothing),
                }
            }
            // Whether there is anything to give back is open: ask, and remember what for.
            Some(State::Open(open)) => {
                let execute = case.execute(Operation::Charge, &open.charge);
                let wanted = Open { refund_wanted: true, ..open.clone() };
                case.becomes(State::Open(wanted)).send(&execute).done()
            }
            Some(State::Refunding(charge)) => {
                nothing.send(&case.execute(Operation::Refund, charge)).done()
            }
            Some(State::Refunded(charge)) => nothing.send(&case.refunded(charge.amount)).done(),
        }
    }
}

/// Takes note of what the provider has answered.
pub(crate) fn executed(answer: &PaymentExecuted, case: Case<'_>) -> Verdict<Payment> {
    match (answer.operation, answer.outcome) {
        (Operation::Charge, ExecutionOutcome::Approved) => charge_approved(case),
        (Operation::Charge, ExecutionOutcome::Declined) => {
            charge_declined(answer.detail.clone(), case)
        }
        (Operation::Charge, ExecutionOutcome::Unknown) => charge_unknown(case),
        (Operation::Refund, ExecutionOutcome::Approved) => match case.state {
            Some(State::Refunding(charge)) => case.given_back(charge.clone()),
            _ => Decision::nothing().done(),
        },
        // The money is still to be given back; the order asks until it is.
        (Operation::Refund, ExecutionOutcome::Declined) => Decision::nothing().rejected(),
        (Operation::Refund, ExecutionOutcome::Unknown) => Decision::nothing().done(),
    }
}

fn charge_approved(case: Case<'_>) -> Verdict<Payment> {
    match case.state {
        Some(State::Open(Open { charge, refund_wanted: false, .. })) => {
            case.captured(charge.clone())
        }
        // The last two contradict what the provider said before. Money is never kept for it.
        Some(
            State::Open(Open { charge, refund_wanted: true, .. })
            | State::Declined(charge, _)
            | State::Voided(Some(charge)),
        ) => {
            let capture = case.moved(Movement::Capture, charge, Decision::nothing());
            case.gives_back(charge.clone(), capture)
        }
        Some(State::Captured(_) | State::Refunding(_) | State::Refunded(_)) => {
            Decision::nothing().done()
        }
        // We never asked for this. People have to find out how much was taken, and from whom.
        None | Some(State::Voided(None)) => Verdict::Dead(Refusal::new(
            Reason::UnknownOrder,
            format!("order {} was charged by the provider, but never by us", case.order),
        )),
    }
}

fn charge_declined(words: Option<Note>, case: Case<'_>) -> Verdict<Payment> {
    match case.state {
        Some(State::Open(Open { charge, refund_wanted: false, .. })) => {
            case.refused(charge.clone(), words)
        }
        Some(State::Open(Open { charge, refund_wanted: true, .. })) => case
            .becomes(State::Voided(Some(charge.clone())))
            .send(&case.refunded(Amount::ZERO))
            .done(),
        _ => Decision::nothing().done(),
    }
}

/// Nothing is answered: the order will ask again, and then the provider will be asked again.
fn charge_unknown(case: Case<'_>) -> Verdict<Payment> {
    match case.state {
        Some(State::Open(open)) => {
            case.becomes(State::Open(Open { is_unknown: true, ..open.clone() })).done()
        }
        _ => Decision::nothing().done(),
    }
}

/// The payment of an order when an input arrives: how it stands, and the time.
#[derive(Clone, Copy)]
pub(crate) struct Case<'a> {
    pub(crate) order: &'a OrderId,
    pub(crate) at: Micros,
    pub(crate) state: Option<&'a State>,
}

impl Case<'_> {
    fn becomes(self, state: State) -> Decision<Payment> {
        Decision::nothing().change(self.order.clone(), state)
    }

    /// Both sides of a movement go into the ledger.
    fn moved(
        self,
        movement: Movement,
        charge: &Charge,
        decision: Decision<Payment>,
    ) -> Decision<Payment> {
        Posting::both(self.order, movement, charge, self.at)
            .into_iter()
            .fold(decision, Decision::entry)
    }

    fn captured(self, charge: Charge) -> Verdict<Payment> {
        let decision = self.becomes(State::Captured(charge.clone()));
        self.moved(Movement::Capture, &charge, decision).send(&self.charged(&charge)).done()
    }

    fn refused(self, charge: Charge, words: Option<Note>) -> Verdict<Payment> {
        let declined = self.declined(words.clone());
        self.becomes(State::Declined(charge, words)).send(&declined).rejected()
    }

    /// The provider is asked to give the money back.
    fn gives_back(self, charge: Charge, decision: Decision<Payment>) -> Verdict<Payment> {
        let execute = self.execute(Operation::Refund, &charge);
        decision.change(self.order.clone(), State::Refunding(charge)).send(&execute).done()
    }

    /// The money has been given back.
    fn given_back(self, charge: Charge) -> Verdict<Payment> {
        let refunded = self.refunded(charge.amount);
        let decision = self.becomes(State::Refunded(charge.clone()));
        self.moved(Movement::Refund, &charge, decision).send(&refunded).done()
    }

    fn execute(self, operation: Operation, charge: &Charge) -> ExecutePayment {
        let key = format!("{}/{}", self.order, operation.as_str());
        let Charge { amount, currency, payment_token } = charge.clone();
        ExecutePayment {
            order_id: self.order.clone(),
            operation,
            idempotency_key: Note::new(key).expect("an order id and a word are a valid note"),
            amount,
            currency,
            payment_token,
        }
    }

    fn charged(self, charge: &Charge) -> PaymentCharged {
        let Charge { amount, currency, .. } = *charge;
        PaymentCharged { order_id: self.order.clone(), amount, currency }
    }

    fn declined(self, detail: Option<Note>) -> PaymentDeclined {
        let order_id = self.order.clone();
        PaymentDeclined { order_id, reason: DeclineReason::Provider, detail }
    }

    fn called_off(self) -> PaymentDeclined {
        let order_id = self.order.clone();
        PaymentDeclined { order_id, reason: DeclineReason::Refunded, detail: None }
    }

    fn refunded(self, amount: Amount) -> PaymentRefunded {
        PaymentRefunded { order_id: self.order.clone(), amount }
    }
}

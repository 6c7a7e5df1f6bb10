//! A payment service without a database, for tests: it folds batches as the runtime does.

use std::collections::{BTreeMap, BTreeSet};

use orderly_contracts::Reason;
use orderly_contracts::number::Amount;
use orderly_contracts::payment::{
    ChargePayment, ExecutionOutcome, Operation, PaymentExecuted, RefundPayment,
};
use orderly_contracts::text::{Currency, Note, OrderId, PaymentToken};
use orderly_runtime::clock::Micros;
use orderly_runtime::domain::{Arrival, Cause, Context, Domain, States};
use orderly_runtime::fold::{Fate, fold};
use orderly_runtime::message::Outgoing;
use uuid::Uuid;

use crate::Payment;
use crate::domain::Input;
use crate::state::{Account, Movement, Posting, State};

#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct World {
    pub(super) payment: Payment,
    pub(super) rows: BTreeMap<OrderId, State>,
    pub(super) ledger: Vec<Posting>,
    pub(super) sent: Vec<Outgoing>,
    pub(super) fates: Vec<Fate>,
}

impl World {
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
        self.batch(&[arrival(format!("one-more-{}", self.fates.len()), self.fates.len(), input)]);
        self.sent[before..].iter().map(|message| message.routing_key.as_str()).collect()
    }

    /// Takes a batch: loads what it names, folds it, saves it.
    pub(super) fn batch(&mut self, arrivals: &[Arrival<Input>]) {
        let asked: BTreeSet<OrderId> =
            arrivals.iter().flat_map(|arrival| Payment::keys(&arrival.input)).collect();
        let found = self.rows.iter().filter(|(key, _)| asked.contains(key));
        let found = found.map(|(key, state)| (key.clone(), state.clone())).collect();
        let batch: Vec<_> = arrivals.iter().collect();
        let folded = fold(&self.payment, Uuid::nil(), &batch, States::new(asked, found));
        for (key, state) in folded.work.changes.created {
            assert!(self.rows.insert(key.clone(), state).is_none(), "{key:?} is created twice");
        }
        for (key, state) in folded.work.changes.updated {
            assert!(self.rows.insert(key.clone(), state).is_some(), "{key:?} is not there");
        }
        self.ledger.extend(folded.work.entries);
        self.sent.extend(folded.work.outputs.into_iter().flat_map(|(_, outgoing)| outgoing));
        let panicked =
            |fate: &Fate| matches!(fate, Fate::Dead(dead) if dead.reason == Reason::Poison);
        assert!(!folded.fates.iter().any(panicked), "a decision panicked");
        self.fates.extend(folded.fates);
    }

    /// The word of an order's status, or `none`.
    pub(super) fn status(&self, id: &str) -> &'static str {
        self.rows.get(&order(id)).map_or("none", State::word)
    }

    /// The movements of an order's money, in order.
    pub(super) fn moved(&self, id: &str) -> Vec<Movement> {
        let ours =
            |posting: &&Posting| posting.order == order(id) && posting.account == Account::Provider;
        self.ledger.iter().filter(ours).map(|posting| posting.movement).collect()
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
        let mut sides = BTreeMap::<_, Vec<i64>>::new();
        for posting in &self.ledger {
            sides.entry((&posting.order, posting.movement)).or_default().push(posting.amount);
        }
        for (movement, amounts) in sides {
            assert_eq!(amounts.len(), 2, "{movement:?} happened once, on two accounts");
            assert_eq!(amounts.iter().sum::<i64>(), 0, "{movement:?}");
        }
        for (order, state) in &self.rows {
            let provider = |posting: &&Posting| {
                posting.order == *order && posting.account == Account::Provider
            };
            let held: i64 = self.ledger.iter().filter(provider).map(|p| p.amount).sum();
            let expected = match state {
                State::Captured(charge) | State::Refunding(charge) => charge.amount.get(),
                _ => 0,
            };
            assert_eq!(held, expected, "{order}: {state:?}");
        }
    }
}

pub(super) fn order(id: &str) -> OrderId {
    OrderId::new(id).unwrap()
}

pub(super) fn charge(id: &str, amount: i64, token: &str) -> Input {
    Input::Charge(ChargePayment {
        order_id: order(id),
        amount: Amount::new(amount).unwrap(),
        currency: Currency::new("GBP").unwrap(),
        payment_token: PaymentToken::new(token).unwrap(),
    })
}

pub(super) fn refund(id: &str) -> Input {
    Input::Refund(RefundPayment { order_id: order(id) })
}

pub(super) fn executed(id: &str, operation: Operation, outcome: ExecutionOutcome) -> Input {
    let declined = outcome == ExecutionOutcome::Declined;
    let detail = declined.then(|| Note::new("card expired").unwrap());
    Input::Executed(PaymentExecuted { order_id: order(id), operation, outcome, detail })
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

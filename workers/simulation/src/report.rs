//! What is to be said of a simulation: what was wrong, and what happened at all.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use orderly_contracts::order::EndReason;
use orderly_contracts::payment::Operation;
use orderly_contracts::text::OrderId;
use orderly_ctl::audit::books::Finding;
use orderly_faults::trace::{Event, Violation};
use orderly_payment::sandbox::Answer;
use orderly_payment::state as payment;
use orderly_stock::state as stock;

use crate::provider::Execution;
use crate::sky::Sky;

/// How a simulation went.
#[derive(Debug)]
pub struct Report {
    /// The seed of its plan.
    pub seed: u64,
    /// How much virtual time it took.
    pub took: Duration,
    /// What was wrong: codes and words.
    pub violations: Vec<(&'static str, String)>,
    /// How often things happened, by their words. A run in which a thing never happens says
    /// nothing about it.
    pub counts: BTreeMap<String, u64>,
    /// What the processes did, if it was kept.
    pub events: Vec<Event>,
}

impl Report {
    pub(crate) fn new(seed: u64, took: Duration) -> Self {
        Self { seed, took, violations: vec![], counts: BTreeMap::new(), events: vec![] }
    }

    /// The codes of what was wrong.
    pub fn codes(&self) -> BTreeSet<&'static str> {
        self.violations.iter().map(|(code, _)| *code).collect()
    }

    pub(crate) fn add(&mut self, code: &'static str, text: String) {
        self.violations.push((code, text));
    }

    pub(crate) fn add_findings(&mut self, findings: Vec<Finding>) {
        self.violations.extend(findings.into_iter().map(|it| (it.code, it.text)));
    }

    pub(crate) fn add_trace(&mut self, violations: Vec<Violation>) {
        self.violations.extend(violations.into_iter().map(|it| (it.code, it.text)));
    }

    /// The provider's own ledger against ours: what it took and did not give back is what we keep.
    pub(crate) fn judge_provider(
        &mut self,
        ledger: &BTreeMap<String, Execution>,
        payments: &BTreeMap<OrderId, payment::State>,
    ) {
        let mut kept: BTreeSet<&OrderId> = BTreeSet::new();
        for (key, Execution { request, answer, is_contradicted }) in ledger {
            if *is_contradicted {
                self.add("key_reused", format!("{key} stands for two different requests"));
            }
            // "charge" comes before "refund" in the order of keys.
            match (request.operation, answer) {
                (Operation::Charge, Answer::Approved) => kept.insert(&request.order_id),
                (Operation::Refund, Answer::Approved) => kept.remove(&request.order_id),
                (_, Answer::Declined(_)) => false,
            };
        }
        for order in kept {
            if !matches!(payments.get(order), Some(payment::State::Captured(_))) {
                let text = format!("order {order}: the provider has the money, and we don't know");
                self.add("provider_keeps", text);
            }
        }
    }

    pub(crate) fn count(&mut self, what: &str, times: u64) {
        *self.counts.entry(what.to_owned()).or_default() += times;
    }

    pub(crate) fn count_strikes(&mut self, sky: &Sky) {
        for (strike, times) in sky.struck() {
            self.count(strike.word(), times);
        }
    }

    pub(crate) fn count_reason(&mut self, reason: Option<EndReason>) {
        if let Some(reason) = reason {
            self.count(&format!("ended by {}", reason.as_str()), 1);
        }
    }

    pub(crate) fn count_stock(&mut self, states: &BTreeMap<stock::Key, stock::State>) {
        for state in states.values() {
            if let stock::State::Reservation(it) = state {
                let is_tombstone = it.goods.is_empty() && it.status == stock::Status::Released;
                let word = if is_tombstone { "tombstone" } else { it.status.word() };
                self.count(&format!("stock {word}"), 1);
            }
        }
    }

    pub(crate) fn count_payments(&mut self, states: &BTreeMap<OrderId, payment::State>) {
        for state in states.values() {
            self.count(&format!("payment {}", state.word()), 1);
        }
    }

    pub(crate) fn count_letters(&mut self, reasons: Vec<&'static str>) {
        for reason in reasons {
            self.count(&format!("letter {reason}"), 1);
        }
    }
}

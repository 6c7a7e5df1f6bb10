//! The count of verdicts: bounded in memory however many orders there are, every violation named.

use std::collections::BTreeMap;

use anyhow::Result;
use orderly_contracts::order::OrderStatus;
use serde::Serialize;

use crate::audit::facts::Facts;
use crate::audit::verdict::{Outcome, Verdict};
use crate::audit::violation::Violation;
use crate::output;

/// Verdicts counted, with the first of them by name.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// Whether violations are written to stdout as they are found.
    pub(crate) names_at_once: bool,
    /// How many violations and open orders are kept by name.
    pub(crate) limit: usize,
    pub(crate) clean: BTreeMap<Outcome, u64>,
    pub(crate) open: BTreeMap<&'static str, u64>,
    /// Orders with at least one violation.
    pub(crate) violated: u64,
    pub(crate) violations: Listed<NamedViolation>,
    pub(crate) open_orders: Listed<OpenOrder>,
    pub(crate) money: BTreeMap<String, MoneySum>,
}

/// How many there are, and the first of them.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Listed<T> {
    pub(crate) total: u64,
    pub(crate) list: Vec<T>,
}

impl<T> Default for Listed<T> {
    fn default() -> Self {
        Self { total: 0, list: vec![] }
    }
}

impl<T> Listed<T> {
    fn add(&mut self, one: T, limit: usize) {
        self.total += 1;
        if self.list.len() < limit {
            self.list.push(one);
        }
    }
}

/// A violation, with what it is about.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct NamedViolation {
    pub(crate) code: &'static str,
    /// `order`, `article`, `money`, `outbox` or `message`.
    pub(crate) about: &'static str,
    /// The order's id, the article, the currency, the service, the message's id.
    pub(crate) subject: String,
    pub(crate) text: String,
}

/// An open order.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct OpenOrder {
    pub(crate) order_id: String,
    pub(crate) reason: &'static str,
    pub(crate) text: String,
}

/// What all orders of a currency come to, in minor units.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct MoneySum {
    pub(crate) captured: i128,
    pub(crate) refunded: i128,
    /// The totals of confirmed orders.
    pub(crate) confirmed: i128,
    /// What open orders contribute to the difference.
    pub(crate) open: i128,
}

impl Tally {
    /// Counts the final verdict of an order.
    pub(crate) fn count(&mut self, facts: &Facts, verdict: Verdict) -> Result<()> {
        self.count_money(facts, matches!(verdict, Verdict::Open(_)));
        match verdict {
            Verdict::Clean(outcome) => *self.clean.entry(outcome).or_default() += 1,
            Verdict::Open(reason) => {
                *self.open.entry(reason.code()).or_default() += 1;
                let open = OpenOrder {
                    order_id: facts.order_id.clone(),
                    reason: reason.code(),
                    text: reason.to_string(),
                };
                self.open_orders.add(open, self.limit);
            }
            Verdict::Violated(violations) => {
                self.violated += 1;
                for violation in violations {
                    self.violate("order", &facts.order_id, &violation)?;
                }
            }
        }
        Ok(())
    }

    /// Takes note of a violation, and names it.
    pub(crate) fn violate(
        &mut self,
        about: &'static str,
        subject: &str,
        violation: &Violation,
    ) -> Result<()> {
        let named = NamedViolation {
            code: violation.code(),
            about,
            subject: subject.to_owned(),
            text: violation.to_string(),
        };
        if self.names_at_once {
            output::line(named.line())?;
        }
        self.violations.add(named, self.limit);
        Ok(())
    }

    /// Money counts in the currency it was moved in, a price in the one it was ordered in.
    fn count_money(&mut self, facts: &Facts, is_open: bool) {
        let money = &facts.payment.money;
        if let Some(currency) = money.currencies.first() {
            let sum = self.sum_of(currency);
            sum.captured += i128::from(money.captured);
            sum.refunded += i128::from(money.refunded);
            if is_open {
                sum.open += i128::from(money.net());
            }
        }
        let order = facts.order.order.as_ref();
        let confirmed = order.filter(|order| order.status == OrderStatus::Confirmed);
        if let Some(content) = confirmed.and_then(|order| order.content.as_ref()) {
            let sum = self.sum_of(&content.currency);
            sum.confirmed += i128::from(content.total);
            if is_open {
                sum.open -= i128::from(content.total);
            }
        }
    }

    fn sum_of(&mut self, currency: &str) -> &mut MoneySum {
        // There are few currencies, and an order must not cost an allocation here.
        if !self.money.contains_key(currency) {
            self.money.insert(currency.to_owned(), MoneySum::default());
        }
        self.money.get_mut(currency).expect("it was inserted above if it was missing")
    }

    /// Holds the sums against each other: what is kept is what confirmed orders cost.
    pub(crate) fn judge_money(&mut self) -> Result<()> {
        for (currency, sum) in self.money.clone() {
            let kept = sum.captured - sum.refunded;
            if kept != sum.confirmed + sum.open {
                let violation =
                    Violation::MoneySumWrong { kept, confirmed: sum.confirmed, open: sum.open };
                self.violate("money", &currency, &violation)?;
            }
        }
        Ok(())
    }

    /// How many orders have their final verdict.
    pub(crate) fn orders(&self) -> u64 {
        self.clean.values().sum::<u64>() + self.open.values().sum::<u64>() + self.violated
    }
}

impl NamedViolation {
    /// The violation in one line.
    pub(crate) fn line(&self) -> String {
        let Self { code, about, subject, text } = self;
        format!("violated: {about} {subject}: {text} [{code}]")
    }
}

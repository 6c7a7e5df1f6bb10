//! The judgement of one order: pure, from the facts and from what is still on its way.
//!
//! First each database is held against itself: what one statement reads belongs together, so a
//! contradiction there is a violation at once. Then the three are held against each other. Some
//! differences are settled by a message that is on its way ([`Step`]): such an order is open as
//! long as such a message may exist, and violated once none does.

use crate::audit::facts::Facts;
use crate::audit::money::{money_against_itself, money_of_the_order};
use crate::audit::open::{Reason, awaited};
use crate::audit::order::{has_ended, order_against_itself};
use crate::audit::stock::{stock_against_itself, stock_of_the_order};
use crate::audit::violation::Violation;
use crate::audit::waiting::Waiting;

/// What is to be said of an order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verdict {
    /// It has ended, and everything is as it should be.
    Clean(Outcome),
    /// It has not come to rest, for this reason.
    Open(Reason),
    /// Something must never be as it is.
    Violated(Vec<Violation>),
}

/// How an order has ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Outcome {
    /// Paid, and its goods are its own.
    Confirmed,
    /// Paid, and the lack of its goods is on record for people to act on.
    ConfirmedShort,
    /// Refused for lack of stock.
    Rejected,
    /// Undone.
    Cancelled,
    /// Called off at stock or payment alone, without effect: no order with this id was placed.
    Tombstone,
}

impl Outcome {
    /// The word in reports.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Confirmed => "confirmed",
            Self::ConfirmedShort => "confirmed_short",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
            Self::Tombstone => "tombstone",
        }
    }
}

/// What would settle a difference between two databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Step {
    /// The stock takes note that the order is confirmed.
    Commit,
    /// The stock gives back what it holds.
    Release,
    /// The payment gives back what it has, or learns that it has nothing.
    Refund,
}

/// A difference, and what would settle it, if anything can.
pub(crate) type Finding = (Violation, Option<Step>);

/// A difference that nothing settles.
pub(crate) fn final_finding(violation: Violation) -> Finding {
    (violation, None)
}

/// Judges an order. `waiting` is what is on its way in queues and outboxes.
pub(crate) fn judge(facts: &Facts, waiting: &Waiting) -> Verdict {
    let own: Vec<Violation> = order_against_itself(&facts.order)
        .into_iter()
        .chain(stock_against_itself(&facts.stock))
        .chain(money_against_itself(&facts.payment))
        .collect();
    if !own.is_empty() {
        return Verdict::Violated(own);
    }
    let mut findings = stock_of_the_order(facts);
    findings.extend(money_of_the_order(facts));
    if !findings.is_empty() {
        return judge_findings(findings, facts, waiting);
    }
    match has_ended(facts) {
        // An order that came to light during the reading is no tombstone.
        Some(Outcome::Tombstone) if facts.has_moved => Verdict::Open(Reason::Moving),
        Some(outcome) => Verdict::Clean(outcome),
        None => Verdict::Open(still_open(facts)),
    }
}

fn judge_findings(findings: Vec<Finding>, facts: &Facts, waiting: &Waiting) -> Verdict {
    if facts.has_moved {
        return Verdict::Open(Reason::Moving);
    }
    let letter = facts.letters.first();
    let mut reasons = Vec::new();
    let mut violations = Vec::new();
    for (violation, step) in findings {
        let reason = step.and_then(|step| match letter {
            Some(letter) => Some(Reason::DeadLetter(letter.clone())),
            None => waiting.place_of(step).map(|place| Reason::UnderWay { step, place }),
        });
        match reason {
            Some(reason) => reasons.push(reason),
            None => violations.push(violation),
        }
    }
    match reasons.into_iter().next() {
        Some(reason) if violations.is_empty() => Verdict::Open(reason),
        _ => Verdict::Violated(violations),
    }
}

fn still_open(facts: &Facts) -> Reason {
    match (facts.letters.first(), &facts.order.order) {
        (Some(letter), _) => Reason::DeadLetter(letter.clone()),
        (None, Some(order)) => awaited(order),
        (None, None) => Reason::Moving,
    }
}

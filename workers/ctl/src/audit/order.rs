//! The order database against itself: an order ends once, and its history tells the whole story.

use orderly_contracts::order::OrderStatus;

use crate::audit::facts::{Facts, History, Order, OrderSide};
use crate::audit::verdict::Outcome;
use crate::audit::violation::Violation;

/// What is wrong with an order and its history alone.
pub(crate) fn order_against_itself(side: &OrderSide) -> Vec<Violation> {
    let History { entries, .. } = side.history;
    let mut violations = Vec::new();
    if let Some(what) = &side.unreadable {
        violations.push(Violation::Unreadable { what: what.clone() });
        return violations;
    }
    match &side.order {
        None if entries > 0 => violations.push(Violation::OrderLost { entries }),
        None => {}
        Some(order) => {
            violations.extend(content(order));
            violations.extend(history(order, &side.history));
            if !order.status.is_final() && order.deadline.is_none() {
                let status = order.status.as_str();
                violations.push(Violation::DeadlineLost { status });
            }
        }
    }
    violations
}

fn content(order: &Order) -> Option<Violation> {
    let content = order.content.as_ref()?;
    (i128::from(content.total) != content.sum_of_lines)
        .then_some(Violation::TotalWrong { total: content.total, lines: content.sum_of_lines })
}

fn history(order: &Order, history: &History) -> Vec<Violation> {
    let (version, status) = (order.version, order.status.as_str());
    let mut violations = Vec::new();
    if history.entries == 0 {
        return vec![Violation::HistoryLost { version }];
    }
    let is_whole = history.entries == version
        && history.distinct_versions == version
        && history.first_version == 1
        && history.last_version == version;
    if !is_whole {
        violations.push(Violation::HistoryBroken {
            version,
            entries: history.entries,
            first: history.first_version,
            last: history.last_version,
        });
    }
    match (order.status.is_final(), history.terminal) {
        (true, 0) => violations.push(Violation::EndMissing { status }),
        (_, ends @ 2..) => violations.push(Violation::EndedTwice { ends }),
        (false, 1) => violations.push(Violation::EndedAndOpen { status }),
        _ => {}
    }
    if violations.is_empty() && history.last_status != status {
        let last = history.last_status.clone();
        violations.push(Violation::HistoryDisagrees { status, last });
    }
    violations
}

/// How the order has ended; `None` while it is open.
pub(crate) fn has_ended(facts: &Facts) -> Option<Outcome> {
    let Some(order) = &facts.order.order else {
        return Some(Outcome::Tombstone);
    };
    let reservation = facts.stock.reservation.as_ref();
    match order.status {
        OrderStatus::Pending | OrderStatus::Reserved | OrderStatus::Cancelling => None,
        OrderStatus::Confirmed if reservation.is_some_and(|it| it.status == "short") => {
            Some(Outcome::ConfirmedShort)
        }
        OrderStatus::Confirmed => Some(Outcome::Confirmed),
        OrderStatus::Rejected => Some(Outcome::Rejected),
        OrderStatus::Cancelled => Some(Outcome::Cancelled),
    }
}

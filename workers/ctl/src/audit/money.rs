//! The money of an order: the payment against its ledger, and both against the order.

use orderly_contracts::order::OrderStatus;

use crate::audit::facts::{Content, Facts, Money, Order, Payment, PaymentSide};
use crate::audit::verdict::{Finding, Step, final_finding};
use crate::audit::violation::Violation;

/// What is wrong with a payment and its ledger alone.
pub(crate) fn money_against_itself(side: &PaymentSide) -> Vec<Violation> {
    let money = &side.money;
    let (captured, refunded) = (money.captured, money.refunded);
    let mut violations = Vec::new();
    if money.captures > 1 {
        let captures = money.captures;
        violations.push(Violation::CapturedTwice { captures, captured });
    }
    if money.refunds > 1 {
        let refunds = money.refunds;
        violations.push(Violation::RefundedTwice { refunds, refunded });
    }
    let balances = [("capture", money.capture_balance), ("refund", money.refund_balance)];
    for (operation, balance) in balances.into_iter().filter(|(_, balance)| *balance != 0) {
        violations.push(Violation::MoneyUnbalanced { operation, balance });
    }
    if !violations.is_empty() {
        return violations;
    }
    let Some(payment) = &side.payment else {
        let is_there = captured != 0 || refunded != 0;
        let lost = is_there.then_some(Violation::PaymentLost { captured, refunded });
        return lost.into_iter().collect();
    };
    violations.extend(amounts(payment, money));
    violations.extend(foreign_currency(payment.currency.as_deref(), money));
    violations
}

fn amounts(payment: &Payment, money: &Money) -> Option<Violation> {
    let amount = payment.amount.unwrap_or_default();
    let (should_capture, should_refund) = match payment.status.as_str() {
        "captured" | "refunding" => (amount, 0),
        "refunded" => (amount, amount),
        _ => (0, 0),
    };
    let (captured, refunded) = (money.captured, money.refunded);
    let is_right = (captured, refunded) == (should_capture, should_refund);
    (!is_right).then(|| Violation::MoneyLedgerWrong {
        status: payment.status.clone(),
        captured,
        refunded,
        should_capture,
        should_refund,
    })
}

fn foreign_currency(ordered: Option<&str>, money: &Money) -> Option<Violation> {
    let ordered = ordered?;
    let foreign = money.currencies.iter().find(|currency| *currency != ordered)?;
    Some(Violation::CurrencyDiffers { ordered: ordered.to_owned(), charged: foreign.clone() })
}

/// What is wrong with the money of an order, given where the order stands.
pub(crate) fn money_of_the_order(facts: &Facts) -> Vec<Finding> {
    let side = &facts.payment;
    let Some(order) = &facts.order.order else {
        return without_order(side).into_iter().collect();
    };
    let mut findings = match order.status {
        OrderStatus::Confirmed => of_confirmed(order, side),
        OrderStatus::Rejected | OrderStatus::Cancelled => of_ended(order, side),
        OrderStatus::Pending => of_pending(side).into_iter().collect(),
        OrderStatus::Reserved | OrderStatus::Cancelling => vec![],
    };
    if findings.is_empty() {
        findings.extend(charge(order, side.payment.as_ref()).map(final_finding));
    }
    findings
}

/// What was charged is what was ordered, wherever the order stands.
fn charge(order: &Order, payment: Option<&Payment>) -> Option<Violation> {
    let content = order.content.as_ref()?;
    let (Some(amount), Some(currency)) = (payment?.amount, &payment?.currency) else {
        return None;
    };
    if amount != content.total {
        let total = content.total;
        return Some(Violation::AmountDiffers { total, amount });
    }
    (*currency != content.currency).then(|| Violation::CurrencyDiffers {
        ordered: content.currency.clone(),
        charged: currency.clone(),
    })
}

fn of_confirmed(order: &Order, side: &PaymentSide) -> Vec<Finding> {
    let total = order.content.as_ref().map_or(0, |Content { total, .. }| *total);
    let captured = side.money.net();
    let is_captured = side.payment.as_ref().is_some_and(|it| it.status == "captured");
    let violation = match total {
        0 if captured != 0 => Violation::ChargedForNothing { captured },
        0 => return vec![],
        _ if is_captured => return vec![],
        total => Violation::CaptureMissing { total, payment: word(side) },
    };
    vec![final_finding(violation)]
}

fn of_ended(order: &Order, side: &PaymentSide) -> Vec<Finding> {
    let (status, kept) = (order.status.as_str(), side.money.net());
    let is_open = side.payment.as_ref().is_some_and(is_unsettled);
    let payment = word(side);
    let violation = match kept {
        0 if is_open => Violation::PaymentUnsettled { status, payment },
        0 => return vec![],
        _ => Violation::KeptAfterEnd { status, kept, payment },
    };
    vec![(violation, Some(Step::Refund))]
}

fn of_pending(side: &PaymentSide) -> Option<Finding> {
    let captured = side.money.captured;
    (captured != 0).then(|| final_finding(Violation::CapturedTooEarly { captured }))
}

fn without_order(side: &PaymentSide) -> Option<Finding> {
    let kept = side.money.net();
    let has_effect = kept != 0 || side.payment.as_ref().is_some_and(is_unsettled);
    has_effect.then(|| final_finding(Violation::PaymentWithoutOrder { payment: word(side), kept }))
}

fn is_unsettled(payment: &Payment) -> bool {
    matches!(payment.status.as_str(), "requested" | "unknown" | "refunding")
}

fn word(side: &PaymentSide) -> String {
    let payment = side.payment.as_ref();
    payment.map_or_else(|| "missing".to_owned(), |it| it.status.clone())
}

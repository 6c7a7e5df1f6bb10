//! Bugs in decisions: of the order, the stock and the payment worker.

use orderly_contracts::Message;
use orderly_contracts::order::OrderStatus;
use orderly_contracts::payment::{PaymentCharged, RefundPayment};
use orderly_contracts::stock::StockReserved;
use orderly_order::domain::Saga;
use orderly_order::saga::Stage;
use orderly_order::{Input as OrderInput, Order};
use orderly_payment::Payment;
use orderly_payment::domain::Input as PaymentInput;
use orderly_payment::state::{Movement, Posting as MoneyPosting, State as PaymentState};
use orderly_runtime::domain::{Arrival, Decision, States, Verdict};
use orderly_stock::Stock;
use orderly_stock::domain::Input as StockInput;
use orderly_stock::state::{
    Goods, Key, Operation, Origin, Posting, Reservation, State as StockState, Status,
};

use crate::bug::Bug;
use crate::bug::mutant::{Buggy, Mutant};

/// The order worker's decisions, with a bug.
pub type BuggyOrder = Mutant<Order>;
/// The stock worker's decisions, with a bug.
pub type BuggyStock = Mutant<Stock>;
/// The payment worker's decisions, with a bug.
pub type BuggyPayment = Mutant<Payment>;

impl Buggy for Order {
    fn spoil(
        bug: Bug,
        arrival: &Arrival<OrderInput>,
        states: &States<Self>,
        verdict: Verdict<Self>,
    ) -> Verdict<Self> {
        let saga = states.get(arrival.input.order_id());
        match (bug, verdict, &arrival.input) {
            (Bug::LateChargeKept, Verdict::Done(decision), _) => Verdict::Done(keeping(decision)),
            (Bug::EndsTwice, Verdict::Rejected(decision), OrderInput::Cancel(_)) => {
                match saga.filter(|saga| saga.stage.status() == OrderStatus::Confirmed) {
                    Some(saga) => cancelled(arrival, saga, decision),
                    None => Verdict::Rejected(decision),
                }
            }
            (_, verdict, _) => verdict,
        }
    }
}

/// Whoever owes a release and a refund forgets about the refund, and about the charge that comes.
fn keeping(mut decision: Decision<Order>) -> Decision<Order> {
    for (_, saga) in &mut decision.changes {
        if let Stage::Cancelling(undoing) = &mut saga.stage
            && undoing.owed.release
        {
            undoing.owed.refund = false;
            decision.outputs.retain(|output| output.kind != RefundPayment::KIND);
        }
    }
    decision
}

/// A confirmed order is cancelled all the same.
fn cancelled(
    arrival: &Arrival<OrderInput>,
    saga: &Saga,
    decision: Decision<Order>,
) -> Verdict<Order> {
    let reason = orderly_contracts::order::EndReason::CancelRequested;
    let changed =
        Saga { stage: Stage::Cancelled(reason), version: saga.version + 1, ..saga.clone() };
    let order_id = arrival.input.order_id();
    let entry = orderly_order::domain::Entry {
        order_id: order_id.clone(),
        version: changed.version,
        at: arrival.at,
        placed_at: saga.placement.as_ref().map(|placement| placement.placed_at),
        from: Some(saga.stage.status()),
        to: changed.stage.status(),
        reason: Some(reason),
        cause: arrival.cause.clone(),
        kind: arrival.kind,
        note: None,
    };
    decision.change(order_id.clone(), changed).entry(entry).done()
}

impl Buggy for Payment {
    fn spoil(
        bug: Bug,
        arrival: &Arrival<PaymentInput>,
        states: &States<Self>,
        verdict: Verdict<Self>,
    ) -> Verdict<Self> {
        let order = arrival.input.order();
        match (bug, &arrival.input, states.get(order)) {
            (Bug::ChargedTwice, PaymentInput::Charge(_), Some(PaymentState::Captured(charge))) => {
                let again = MoneyPosting::both(order, Movement::Capture, charge, arrival.at);
                let charged = PaymentCharged {
                    order_id: order.clone(),
                    amount: charge.amount,
                    currency: charge.currency,
                };
                again.into_iter().fold(Decision::nothing(), Decision::entry).send(&charged).done()
            }
            (Bug::RefundForgotten, PaymentInput::Refund(_), None) => match verdict {
                Verdict::Done(mut decision) => {
                    decision.changes.clear();
                    Verdict::Done(decision)
                }
                other => other,
            },
            _ => verdict,
        }
    }
}

impl Buggy for Stock {
    fn spoil(
        bug: Bug,
        arrival: &Arrival<StockInput>,
        states: &States<Self>,
        verdict: Verdict<Self>,
    ) -> Verdict<Self> {
        match (bug, &arrival.input, verdict) {
            (Bug::Oversold, StockInput::Reserve(order, goods), Verdict::Rejected(decision)) => {
                match states.get(&Key::Reservation(order.clone())) {
                    None => oversold(arrival, goods, states),
                    Some(_) => Verdict::Rejected(decision),
                }
            }
            (Bug::ReleaseForgotten, StockInput::Release(order), Verdict::Done(mut decision))
                if states.get(&Key::Reservation(order.clone())).is_none() =>
            {
                decision.changes.clear();
                Verdict::Done(decision)
            }
            (_, _, verdict) => verdict,
        }
    }
}

fn oversold(
    arrival: &Arrival<StockInput>,
    goods: &Goods,
    states: &States<Stock>,
) -> Verdict<Stock> {
    let StockInput::Reserve(order, _) = &arrival.input else { return Decision::nothing().done() };
    let reservation = Reservation { status: Status::Reserved, goods: goods.clone() };
    let mut decision = Decision::nothing()
        .change(Key::Reservation(order.clone()), StockState::Reservation(reservation));
    for (sku, pieces) in goods {
        let item = match states.get(&Key::Item(sku.clone())) {
            Some(StockState::Item(item)) => *item,
            _ => orderly_stock::state::Item::default(),
        };
        let posting = Posting {
            sku: sku.clone(),
            origin: Origin::Order(order.clone()),
            operation: Operation::Reserve,
            pieces: *pieces,
            at: arrival.at,
        };
        let changed = StockState::Item(item.after(Operation::Reserve, *pieces));
        decision = decision.change(Key::Item(sku.clone()), changed).entry(posting);
    }
    decision.send(&StockReserved { order_id: order.clone() }).done()
}

//! What an order is, and what follows from an arrival: a row of the saga's table, made into a new
//! state, a record of the change, messages and a timer.

use std::collections::BTreeMap;
use std::sync::Arc;

use orderly_contracts::number::{Amount, Pieces};
use orderly_contracts::order::{
    self, EndReason, OrderCancelRefused, OrderCancelled, OrderConfirmed, OrderConflicted,
    OrderLine, OrderRejected, OrderState, OrderStatus, OrderUnchanged, PlaceOrder,
};
use orderly_contracts::payment::{ChargePayment, RefundPayment};
use orderly_contracts::stock::{ReleaseStock, ReserveStock, StockLine};
use orderly_contracts::text::{Currency, CustomerId, MessageId, Note, OrderId, PaymentToken};
use orderly_contracts::{Reason, Refusal};
use orderly_runtime::clock::Micros;
use orderly_runtime::domain::{Arrival, Cause, Decision, Timer, Verdict};

use crate::deadline::Deadlines;
use crate::saga::{self, Before, Given, Outgoing, Row, Stage};
use crate::{Input, Order};

/// An order and how far its saga has come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Saga {
    /// What was ordered. An order that was cancelled before it was placed has none. It never
    /// changes, so all versions share it.
    pub placement: Option<Arc<Placement>>,
    /// Where it stands.
    pub stage: Stage,
    /// Counts the changes, from 1.
    pub version: i64,
    /// When the input that ended it arrived.
    pub ended_at: Option<Micros>,
}

/// What was ordered, by whom and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placement {
    /// Who ordered; absent for an anonymous customer.
    pub customer_id: Option<CustomerId>,
    /// What was ordered.
    pub lines: Vec<OrderLine>,
    /// The currency of all prices.
    pub currency: Currency,
    /// What the payment provider knows the means of payment by.
    pub payment_token: PaymentToken,
    /// What all lines together cost.
    pub total: Amount,
    /// When it was placed.
    pub placed_at: Micros,
}

/// A change of an order, on record for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The order.
    pub order_id: OrderId,
    /// Its version since the change.
    pub version: i64,
    /// When the cause of the change arrived.
    pub at: Micros,
    /// When the order was placed, if it ever was.
    pub placed_at: Option<Micros>,
    /// Where the order stood before; nowhere, if it is new.
    pub from: Option<OrderStatus>,
    /// Where it has stood since.
    pub to: OrderStatus,
    /// Why it is not going to be confirmed.
    pub reason: Option<EndReason>,
    /// The message or timer that caused the change.
    pub cause: Cause,
    /// The type of the cause.
    pub kind: &'static str,
    /// What somebody had to say about it.
    pub note: Option<Note>,
}

/// What follows from `arrival` at an order, if it is known.
pub(crate) fn decide(
    deadlines: &Deadlines,
    arrival: &Arrival<Input>,
    saga: Option<&Saga>,
) -> Verdict<Order> {
    let placement = match (saga, &arrival.input) {
        (Some(saga), _) => saga.placement.clone(),
        (None, Input::Place(place)) => match Placement::new(place, placed_at(arrival)) {
            Some(placement) => Some(Arc::new(placement)),
            None => return Verdict::Dead(unpayable()),
        },
        (None, _) => None,
    };
    let given = Given {
        goods: placement.as_ref().is_some_and(|placement| placement.has_goods()),
        priced: placement.as_ref().is_some_and(|placement| placement.total > Amount::ZERO),
        before: compare(placement.as_deref(), &arrival.input),
        deadlines,
    };
    let row = saga::next(saga.map(|saga| saga.stage), &arrival.input, given);

    let decided = match (row, saga) {
        (Row::Unknown, _) => Err(unknown(arrival.input.order_id())),
        (Row::Go(stage, outgoing), _) => {
            let changed = Saga {
                placement,
                stage,
                version: saga.map_or(1, |saga| saga.version + 1),
                ended_at: stage.status().is_final().then_some(arrival.at),
            };
            let decision = record(deadlines, arrival, saga, &changed);
            send(decision, outgoing, arrival, &changed)
        }
        (Row::Stay(outgoing) | Row::Refuse(outgoing), Some(saga)) => {
            send(Decision::nothing(), outgoing, arrival, saga)
        }
        (Row::Stay(_) | Row::Refuse(_), None) => Ok(Decision::nothing()),
    };
    match (decided, row) {
        (Err(refusal), _) => Verdict::Dead(refusal),
        (Ok(decision), Row::Refuse(_) | Row::Go(Stage::Rejected(_), _)) => decision.rejected(),
        (Ok(decision), _) => decision.done(),
    }
}

/// When an order was placed: as its publisher says, as long as that was before it arrived here.
fn placed_at(arrival: &Arrival<Input>) -> Micros {
    arrival.context.placed_at.map_or(arrival.at, |said| said.max(Micros(0)).min(arrival.at))
}

/// No message gets here with such a total, for decoding refuses it.
fn unpayable() -> Refusal {
    Refusal::new(Reason::InvalidContent, "lines: the total is beyond every bound")
}

fn unknown(order_id: &OrderId) -> Refusal {
    let text = format!("order {order_id} was charged, but is not known here");
    Refusal::new(Reason::UnknownOrder, text)
}

fn compare(placement: Option<&Placement>, input: &Input) -> Before {
    match (placement, input) {
        (None, _) => Before::Nothing,
        (Some(placement), Input::Place(place)) if placement.is_of(place) => Before::Same,
        (Some(_), _) => Before::Other,
    }
}

/// The change itself: the new state, its record, and the timer, which follows from the stage.
fn record(
    deadlines: &Deadlines,
    arrival: &Arrival<Input>,
    before: Option<&Saga>,
    after: &Saga,
) -> Decision<Order> {
    let order_id = arrival.input.order_id();
    let decision = Decision::nothing().change(order_id.clone(), after.clone()).entry(Entry {
        order_id: order_id.clone(),
        version: after.version,
        at: arrival.at,
        placed_at: after.placement.as_ref().map(|placement| placement.placed_at),
        from: before.map(|saga| saga.stage.status()),
        to: after.stage.status(),
        reason: after.stage.reason(),
        cause: arrival.cause.clone(),
        kind: arrival.kind,
        note: note(&arrival.input),
    });
    match (before.and_then(|saga| saga.stage.deadline()), after.stage.deadline()) {
        (old, new) if old == new => decision,
        (_, Some(deadline)) => {
            let timer = Timer {
                owner: order_id.to_string(),
                step: deadline.step.as_str().to_owned(),
                round: deadline.round,
            };
            decision.set_timer(timer, deadlines.wait(deadline))
        }
        (_, None) => decision.clear_timer(order_id.as_str()),
    }
}

fn note(input: &Input) -> Option<Note> {
    match input {
        Input::Cancel(cancel) => cancel.reason.clone(),
        Input::PaymentDeclined(declined) => declined.detail.clone(),
        _ => None,
    }
}

fn send(
    decision: Decision<Order>,
    outgoing: &[Outgoing],
    arrival: &Arrival<Input>,
    saga: &Saga,
) -> Result<Decision<Order>, Refusal> {
    let order_id = || arrival.input.order_id().clone();
    let state = || saga.public(order_id());
    outgoing.iter().try_fold(decision, |decision, outgoing| {
        Ok(match (outgoing, saga.placement.as_deref()) {
            (Outgoing::Reserve, Some(placed)) => decision.send(&placed.reserve(order_id())),
            (Outgoing::Charge, Some(placed)) => decision.send(&placed.charge(order_id())),
            // What was never placed has nothing to reserve or to charge.
            (Outgoing::Reserve | Outgoing::Charge, None) => decision,
            (Outgoing::Release, _) => decision.send(&ReleaseStock { order_id: order_id() }),
            (Outgoing::Refund, _) => decision.send(&RefundPayment { order_id: order_id() }),
            (Outgoing::OrderConfirmed, _) => decision.send(&OrderConfirmed(state())),
            (Outgoing::OrderRejected, _) => decision.send(&OrderRejected(state())),
            (Outgoing::OrderCancelled, _) => decision.send(&OrderCancelled(state())),
            (Outgoing::OrderUnchanged, _) => decision.send(&OrderUnchanged(state())),
            (Outgoing::CancelRefused, _) => decision.send(&OrderCancelRefused(state())),
            (Outgoing::OrderConflicted, _) => decision.send(&OrderConflicted {
                order_id: order_id(),
                refused_message_id: message_id(&arrival.cause)?,
            }),
        })
    })
}

fn message_id(cause: &Cause) -> Result<MessageId, Refusal> {
    MessageId::new(cause.id.as_str())
        .map_err(|error| Refusal::new(Reason::InvalidMessageId, error.to_string()))
}

impl Saga {
    /// What everybody may know of the order.
    pub fn public(&self, order_id: OrderId) -> OrderState {
        let placed = self.placement.as_deref();
        OrderState {
            order_id,
            version: self.version,
            status: self.stage.status(),
            reason: self.stage.reason(),
            customer_id: placed.and_then(|placed| placed.customer_id.clone()),
            lines: placed.map_or_else(Vec::new, |placed| placed.lines.clone()),
            currency: placed.map(|placed| placed.currency),
            total: placed.map_or(Amount::ZERO, |placed| placed.total),
        }
    }
}

impl Placement {
    /// What `place` orders, or `None` if nobody could pay it.
    pub fn new(place: &PlaceOrder, placed_at: Micros) -> Option<Self> {
        Some(Self {
            customer_id: place.customer_id.clone(),
            lines: place.lines.clone(),
            currency: place.currency,
            payment_token: place.payment_token.clone(),
            total: order::total(&place.lines)?,
            placed_at,
        })
    }

    /// Whether `place` orders just this.
    fn is_of(&self, place: &PlaceOrder) -> bool {
        self.customer_id == place.customer_id
            && self.lines == place.lines
            && self.currency == place.currency
            && self.payment_token == place.payment_token
    }

    fn has_goods(&self) -> bool {
        self.lines.iter().any(|line| !line.service)
    }

    /// Asks for all goods, each article once; an article may stand on several lines.
    fn reserve(&self, order_id: OrderId) -> ReserveStock {
        let mut pieces = BTreeMap::new();
        for line in self.lines.iter().filter(|line| !line.service) {
            *pieces.entry(&line.sku).or_insert(0) += line.quantity.get();
        }
        let lines = pieces.into_iter().map(|(sku, pieces)| StockLine {
            sku: sku.clone(),
            pieces: Pieces::new(pieces).expect("2,000 lines of 1,000,000 pieces are within bounds"),
        });
        ReserveStock { order_id, lines: lines.collect() }
    }

    fn charge(&self, order_id: OrderId) -> ChargePayment {
        ChargePayment {
            order_id,
            amount: self.total,
            currency: self.currency,
            payment_token: self.payment_token.clone(),
        }
    }
}

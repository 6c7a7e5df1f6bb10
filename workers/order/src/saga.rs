//! The saga of an order, as one table: from where it stands and what arrives to where it goes and
//! what is sent.
//!
//! To reserve can be undone, the charge is the pivot: after it nothing can be refused any more.
//! Every answer may come late, twice, or before what it answers; a row for it is missing only
//! where nothing follows from it.

use orderly_contracts::order::{EndReason, OrderStatus};
use orderly_contracts::stock::StockRefusal;

use crate::Input::{
    self, Cancel, Due, PaymentCharged, PaymentDeclined, PaymentRefunded, Place, StockExpired,
    StockRejected, StockReleased, StockReserved,
};
use crate::deadline::{Deadline, Deadlines, Step};

use EndReason::{CancelRequested, OutOfStock, PaymentTimeout, ReservationExpired, StockTimeout};
use Outgoing::{
    CancelRefused, Charge, OrderCancelled, OrderConfirmed, OrderConflicted, OrderRejected,
    OrderUnchanged, Refund, Release, Reserve,
};
use Row::{Go, Refuse, Stay, Unknown};
use Stage::{Cancelled, Cancelling, Confirmed, Pending, Rejected, Reserved};

/// Where an order stands, with what matters there alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// The stock has been asked to reserve; again this many times.
    Pending(u32),
    /// The payment has been asked to charge; again this many times.
    Reserved(u32),
    /// Called off or given up: compensations are under way.
    Cancelling(Undoing),
    /// Paid for. Final.
    Confirmed,
    /// Refused for this reason, before anything was charged. Final.
    Rejected(EndReason),
    /// Undone for this reason. Final.
    Cancelled(EndReason),
}

/// How far an order is with undoing what was done for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Undoing {
    /// Why.
    pub reason: EndReason,
    /// How often the compensations were asked for again.
    pub round: u32,
    /// What is still to be undone; never nothing.
    pub owed: Owed,
    /// The payment has answered that it will not charge any more, so a charge that is heard of
    /// from now on is an old one.
    pub refunded: bool,
}

/// Compensations whose answers are waited for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Owed {
    /// The stock has yet to answer that nothing is reserved.
    pub release: bool,
    /// The payment has yet to answer that nothing is charged.
    pub refund: bool,
}

impl Stage {
    /// The public word for it.
    pub const fn status(self) -> OrderStatus {
        match self {
            Pending(_) => OrderStatus::Pending,
            Reserved(_) => OrderStatus::Reserved,
            Cancelling(_) => OrderStatus::Cancelling,
            Confirmed => OrderStatus::Confirmed,
            Rejected(_) => OrderStatus::Rejected,
            Cancelled(_) => OrderStatus::Cancelled,
        }
    }

    /// Why the order is not going to be confirmed.
    pub const fn reason(self) -> Option<EndReason> {
        match self {
            Pending(_) | Reserved(_) | Confirmed => None,
            Cancelling(Undoing { reason, .. }) | Rejected(reason) | Cancelled(reason) => {
                Some(reason)
            }
        }
    }

    /// What is waited for; nothing, where the order has ended.
    pub const fn deadline(self) -> Option<Deadline> {
        match self {
            Pending(round) => Some(Deadline { step: Step::Reserve, round }),
            Reserved(round) => Some(Deadline { step: Step::Charge, round }),
            Cancelling(Undoing { round, .. }) => Some(Deadline { step: Step::Compensate, round }),
            Confirmed | Rejected(_) | Cancelled(_) => None,
        }
    }
}

impl Owed {
    /// The commands that see to it.
    const fn commands(self) -> &'static [Outgoing] {
        match self {
            Self { release: true, refund: true } => &[Release, Refund],
            Self { release: true, refund: false } => &[Release],
            Self { release: false, refund: true } => &[Refund],
            Self { release: false, refund: false } => &[],
        }
    }
}

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Outgoing {
    /// `stock.reserve`
    Reserve,
    /// `stock.release`
    Release,
    /// `payment.charge`
    Charge,
    /// `payment.refund`
    Refund,
    /// `order.confirmed`
    OrderConfirmed,
    /// `order.rejected`
    OrderRejected,
    /// `order.cancelled`
    OrderCancelled,
    /// `order.unchanged`
    OrderUnchanged,
    /// `order.cancel-refused`
    CancelRefused,
    /// `order.conflicted`
    OrderConflicted,
}

/// The right-hand side of the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Row {
    /// The order goes on to another stage, or to another round.
    Go(Stage, &'static [Outgoing]),
    /// The order stays as it is.
    Stay(&'static [Outgoing]),
    /// The order stays as it is, and whoever asked for something is told no.
    Refuse(&'static [Outgoing]),
    /// Somebody was charged for an order that was lost or never was: a person has to find out.
    Unknown,
}

/// What else the table looks at: the order's content and the policy.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Given<'a> {
    /// Some line is goods, so there is something to reserve.
    pub(crate) goods: bool,
    /// The total is above zero, so there is something to charge.
    pub(crate) priced: bool,
    /// For an order that is placed again: what was placed before.
    pub(crate) before: Before,
    /// How long answers are waited for.
    pub(crate) deadlines: &'a Deadlines,
}

/// What was placed before under the same order id.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Before {
    /// Nothing: the order was cancelled before anybody placed it.
    Nothing,
    /// The same content.
    Same,
    /// Other content.
    Other,
}

/// What follows when `input` arrives at an order that stands at `stage`, if there is one.
#[rustfmt::skip] // Rows and columns.
pub(crate) fn next(stage: Option<Stage>, input: &Input, given: Given<'_>) -> Row {
    let Given { goods, priced, before, deadlines } = given;
    let reservation = Owed { release: goods, refund: false };
    let charge      = Owed { release: false, refund: true };
    let both        = Owed { release: goods, refund: true };

    match (stage, input) {
        // A timer of another step or round has been overtaken by an answer.
        (at, Due { deadline, .. }) if at.and_then(Stage::deadline) != Some(*deadline) => Stay(&[]),

        (None, Place(_)) if goods  => Go(Pending(0), &[Reserve]),
        (None, Place(_)) if priced => Go(Reserved(0), &[Charge]),
        (None, Place(_))           => Go(Confirmed, &[OrderConfirmed]),
        (None, Cancel(_))          => Go(Cancelled(CancelRequested), &[OrderCancelled]),
        (None, PaymentCharged(_))  => Unknown,
        (None, _)                  => Stay(&[]),

        (Some(_), Place(_)) if before == Before::Same  => Stay(&[OrderUnchanged]),
        (Some(_), Place(_)) if before == Before::Other => Refuse(&[OrderConflicted]),
        (Some(_), Place(_))                            => Refuse(&[OrderUnchanged]),

        (Some(Pending(_)), StockReserved(_)) if priced => Go(Reserved(0), &[Charge]),
        (Some(Pending(_)), StockReserved(_)) => Go(Confirmed, &[OrderConfirmed]),
        (Some(Pending(_)), StockRejected(m)) => Go(Rejected(why(m.reason)), &[OrderRejected]),
        (Some(Pending(_)), StockExpired(_)) => Go(Cancelled(ReservationExpired), &[OrderCancelled]),
        (Some(Pending(_)), Cancel(_))        => undo(reservation, CancelRequested),
        (Some(Pending(n)), Due { .. }) if deadlines.are_over(n) => undo(reservation, StockTimeout),
        (Some(Pending(n)), Due { .. })       => Go(Pending(n + 1), &[Reserve]),

        (Some(Reserved(_)), PaymentCharged(_))  => Go(Confirmed, &[OrderConfirmed]),
        (Some(Reserved(_)), PaymentDeclined(_)) => undo(reservation, EndReason::PaymentDeclined),
        (Some(Reserved(_)), StockExpired(_))    => undo(charge, ReservationExpired),
        (Some(Reserved(_)), Cancel(_))          => undo(both, CancelRequested),
        (Some(Reserved(n)), Due { .. }) if deadlines.are_over(n) => undo(both, PaymentTimeout),
        (Some(Reserved(n)), Due { .. })         => Go(Reserved(n + 1), &[Charge]),

        (Some(Cancelling(u)), StockReleased(_) | StockExpired(_)) if u.owed.release
            => settle(Undoing { owed: Owed { release: false, ..u.owed }, ..u }),
        (Some(Cancelling(u)), PaymentRefunded(_)) if u.owed.refund
            => settle(Undoing { owed: Owed { refund: false, ..u.owed }, refunded: true, ..u }),
        (Some(Cancelling(u)), PaymentCharged(_)) if !u.owed.refund && !u.refunded
            => Go(Cancelling(Undoing { owed: Owed { refund: true, ..u.owed }, ..u }), &[Refund]),
        (Some(Cancelling(u)), Due { .. })
            => Go(Cancelling(Undoing { round: u.round + 1, ..u }), u.owed.commands()),

        (Some(Confirmed | Rejected(_)), Cancel(_))      => Refuse(&[CancelRefused]),
        (Some(Cancelling(_) | Cancelled(_)), Cancel(_)) => Stay(&[OrderUnchanged]),

        // What was reserved or charged too late belongs to nobody.
        (Some(Rejected(_) | Cancelled(_)), StockReserved(_))  => Stay(&[Release]),
        (Some(Rejected(_) | Cancelled(_)), PaymentCharged(_)) => Stay(&[Refund]),

        (Some(_), _) => Stay(&[]),
    }
}

const NOTHING: Owed = Owed { release: false, refund: false };

/// Begins to undo what is owed. Where nothing is, that was it.
fn undo(owed: Owed, reason: EndReason) -> Row {
    match owed.commands() {
        [] => Go(Cancelled(reason), &[OrderCancelled]),
        commands => Go(Cancelling(Undoing { reason, round: 0, owed, refunded: false }), commands),
    }
}

/// Takes note of what is undone. Where nothing more is owed, that was it.
fn settle(undoing: Undoing) -> Row {
    match undoing.owed {
        NOTHING => Go(Cancelled(undoing.reason), &[OrderCancelled]),
        _ => Go(Cancelling(undoing), &[]),
    }
}

/// Why an order is rejected when the stock refuses to reserve.
fn why(refusal: StockRefusal) -> EndReason {
    match refusal {
        StockRefusal::OutOfStock => OutOfStock,
        // Not by this order, which would be cancelling by now: somebody else called it off.
        StockRefusal::Released => CancelRequested,
        StockRefusal::Expired => ReservationExpired,
    }
}

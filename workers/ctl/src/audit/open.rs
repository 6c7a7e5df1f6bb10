//! Why an order is open: which answer is awaited, for how long, or what is on its way.

use std::fmt;

use orderly_contracts::order::OrderStatus;

use crate::audit::facts::{DeadLetter, Order};
use crate::audit::verdict::Step;
use crate::output;

/// Why an order has not come to rest.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Reason {
    /// The saga waits for an answer.
    Awaits {
        /// Which.
        answer: Answer,
        /// For how long, how often it was asked for again, and when it will be next.
        since: String,
    },
    /// A message that settles a difference may still be here.
    UnderWay {
        /// What it does.
        step: Step,
        /// Where messages are waiting.
        place: String,
    },
    /// A message about it was given up; people decide.
    DeadLetter(DeadLetter),
    /// It changed during every reading.
    Moving,
}

/// What a saga waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The stock's to the reservation.
    Reservation,
    /// The payment's to the charge.
    Charge,
    /// The stock's to the release.
    Release,
    /// The payment's to the refund.
    Refund,
    /// Both.
    ReleaseAndRefund,
}

impl Reason {
    /// The code that programs know it by.
    pub(crate) const fn code(&self) -> &'static str {
        match self {
            Self::Awaits { answer, .. } => match answer {
                Answer::Reservation => "awaits_reservation",
                Answer::Charge => "awaits_charge",
                Answer::Release => "awaits_release",
                Answer::Refund => "awaits_refund",
                Answer::ReleaseAndRefund => "awaits_release_and_refund",
            },
            Self::UnderWay { step, .. } => match step {
                Step::Commit => "commit_under_way",
                Step::Release => "release_under_way",
                Step::Refund => "refund_under_way",
            },
            Self::DeadLetter(_) => "dead_letter",
            Self::Moving => "moving",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Awaits { answer, since } => {
                let what = match answer {
                    Answer::Reservation => "the stock's answer to the reservation",
                    Answer::Charge => "the payment's answer to the charge",
                    Answer::Release => "the stock's answer to the release",
                    Answer::Refund => "the payment's answer to the refund",
                    Answer::ReleaseAndRefund => "the answers to the release and the refund",
                };
                write!(f, "waits for {what} {since}")
            }
            Self::UnderWay { step, place } => {
                let what = match step {
                    Step::Commit => "its stock is still to be committed",
                    Step::Release => "its stock is still to be released",
                    Step::Refund => "its payment is still to be settled",
                };
                write!(f, "{what}, and messages are waiting in {place}")
            }
            Self::DeadLetter(DeadLetter { id, reason, worker }) => {
                write!(f, "a message about it was given up: dead letter {id} of {worker}, {reason}")
            }
            Self::Moving => write!(f, "it was changing whenever it was read"),
        }
    }
}

/// What an open order waits for, in its own words.
pub(crate) fn awaited(order: &Order) -> Reason {
    let answer = match (order.status, order.owes_release, order.owes_refund) {
        (OrderStatus::Pending, ..) => Answer::Reservation,
        (OrderStatus::Cancelling, true, true) => Answer::ReleaseAndRefund,
        (OrderStatus::Cancelling, true, false) => Answer::Release,
        (OrderStatus::Cancelling, ..) => Answer::Refund,
        _ => Answer::Charge,
    };
    let mut since = format!("for {}", output::duration(order.unchanged_for));
    if let Some(deadline) = &order.deadline {
        if deadline.round > 0 {
            let times = u64::from(deadline.round.unsigned_abs());
            since += &format!(", asked again {}", output::count(times, "time"));
        }
        since += &match deadline.due_in_seconds {
            seconds @ 0.. => format!(", next deadline in {seconds} s"),
            seconds => format!(", its deadline was due {} s ago", seconds.unsigned_abs()),
        };
    }
    Reason::Awaits { answer, since }
}

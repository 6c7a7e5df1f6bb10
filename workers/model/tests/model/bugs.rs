//! Bugs, each found by the rule that is there for it: a rule that finds none holds nothing.

use orderly_contracts::order::{OrderCancelled, OrderStatus};
use orderly_contracts::payment::{ExecutionOutcome, PaymentCharged};
use orderly_model::catalogue::{Size, all};
use orderly_model::configuration::Configuration;
use orderly_model::explore::{Exploration, explore};
use orderly_model::rules::Rule;
use orderly_model::service::Workers;
use orderly_model::system::System;
use orderly_order::domain::Saga;
use orderly_order::saga::Stage;
use orderly_order::{Input as Order, Order as OrderWorker};
use orderly_payment::Payment as PaymentWorker;
use orderly_payment::domain::Input as Payment;
use orderly_payment::state::State as Paid;
use orderly_runtime::domain::Output;
use orderly_stock::Stock as StockWorker;
use orderly_stock::domain::Input as Stock;
use orderly_stock::state::{State, Status};

use crate::broken::{Broken, Rows};

fn explored(name: &str, bug: fn(&mut Workers, &Configuration)) -> Exploration {
    let mut known = all(Size::Small).into_iter();
    let configuration = known.find(|known| known.name == name).expect("a known name");
    let mut workers = configuration.shipped();
    bug(&mut workers, &configuration);
    explore(System::new(configuration, workers), 1)
}

/// Explores `name` with a bug; the rule must find it, and tell how.
fn finds(rule: Rule, name: &str, bug: fn(&mut Workers, &Configuration)) {
    let exploration = explored(name, bug);
    let broken: Vec<_> = exploration.broken.iter().map(|broken| broken.rule).collect();
    let found = exploration.broken.iter().find(|broken| broken.rule == rule);
    let found = found.unwrap_or_else(|| panic!("{rule:?} holds; broken are {broken:?}"));
    println!("{}:\n{}", rule.name(), found.steps.join("\n"));
    assert!(found.steps.len() > 2, "the way to it is told");
    assert!(!exploration.is_complete, "what is broken is not complete");
}

fn order(configuration: &Configuration) -> OrderWorker {
    OrderWorker { policy: configuration.deadlines() }
}

fn stage(rows: &Rows<OrderWorker>) -> Option<Stage> {
    rows.values().next().map(|saga| saga.stage)
}

fn paid(rows: &Rows<PaymentWorker>) -> Option<&Paid> {
    rows.values().next()
}

/// Takes every reservation with one status for one with another.
fn mistakes(rows: &mut Rows<StockWorker>, from: &Status, to: &Status) {
    for state in rows.values_mut() {
        if let State::Reservation(reservation) = state
            && reservation.status == *from
        {
            reservation.status = to.clone();
        }
    }
}

#[test]
fn a_reservation_of_what_is_not_there_is_found() {
    const DREAMT: i64 = 100;
    fn dream(state: &mut State, pieces: i64) {
        if let State::Item(item) = state {
            item.on_hand += pieces;
        }
    }
    finds(Rule::NothingOversold, "scarce", |workers, _| {
        workers.stock = Broken::overlooks_and_spoils(
            StockWorker::default(),
            |input, rows| {
                if let Stock::Reserve(..) = input {
                    rows.values_mut().for_each(|state| dream(state, DREAMT));
                }
            },
            |input, _, decision| {
                if let Stock::Reserve(..) = input {
                    decision.changes.iter_mut().for_each(|(_, state)| dream(state, -DREAMT));
                }
            },
        );
    });
}

/// Nobody loads the articles of what is committed, so the worker dies of it.
#[test]
fn an_expiry_that_ends_what_is_committed_is_found() {
    finds(Rule::NothingDies, "expiring", |workers, _| {
        workers.stock = Broken::overlooks(StockWorker::default(), |input, rows| {
            if let Stock::ExpiryDue(_) = input {
                mistakes(rows, &Status::Committed, &Status::Reserved);
            }
        });
    });
}

#[test]
fn a_confirmation_that_commits_twice_is_found_once_no_inbox_remembers_it() {
    finds(Rule::NothingOversold, "purged", |workers, _| {
        workers.stock = Broken::overlooks(StockWorker::default(), |input, rows| {
            if let Stock::OrderConfirmed(..) = input {
                mistakes(rows, &Status::Committed, &Status::Reserved);
            }
        });
    });
}

#[test]
fn a_release_that_leaves_no_posting_is_found() {
    finds(Rule::StockConserved, "cancelled", |workers, _| {
        workers.stock = Broken::spoils(StockWorker::default(), |input, _, decision| {
            if let Stock::Release(_) = input {
                decision.entries.clear();
            }
        });
    });
}

#[test]
fn a_reservation_that_ignores_its_release_is_found() {
    finds(Rule::UndoneIsNothing, "cancelled", |workers, _| {
        workers.stock = Broken::overlooks(StockWorker::default(), |input, rows| {
            if let Stock::Reserve(..) = input {
                rows.retain(|_, state| {
                    !matches!(state, State::Reservation(r) if r.status == Status::Released)
                });
            }
        });
    });
}

#[test]
fn a_second_charge_is_found() {
    finds(Rule::ChargedOnce, "cancelled", |workers, _| {
        workers.payment = Broken::overlooks(PaymentWorker::default(), |input, rows| {
            if let Payment::Charge(_) = input {
                rows.retain(|_, state| !matches!(state, Paid::Captured(_)));
            }
        });
    });
}

#[test]
fn a_movement_with_one_side_is_found() {
    finds(Rule::MoneyConserved, "cancelled", |workers, _| {
        workers.payment = Broken::spoils(PaymentWorker::default(), |_, _, decision| {
            decision.entries.truncate(1);
        });
    });
}

#[test]
fn a_refund_that_leaves_no_word_for_its_charge_is_found() {
    finds(Rule::UndoneIsNothing, "cancelled", |workers, _| {
        workers.payment = Broken::spoils(PaymentWorker::default(), |input, rows, decision| {
            if matches!((input, paid(rows)), (Payment::Refund(_), None)) {
                decision.changes.clear();
            }
        });
    });
}

#[test]
fn a_refund_that_is_not_answered_is_found() {
    finds(Rule::AsksNotForEver, "cancelled", |workers, _| {
        workers.payment = Broken::spoils(PaymentWorker::default(), |input, rows, decision| {
            if matches!((input, paid(rows)), (Payment::Refund(_), Some(Paid::Declined(..)))) {
                decision.outputs.clear();
            }
        });
    });
}

#[test]
fn an_unknown_outcome_that_is_taken_for_a_refusal_is_found() {
    finds(Rule::ProviderAgrees, "flaky", |workers, _| {
        workers.payment = Broken::mishears(PaymentWorker::default(), |input| {
            if let Payment::Executed(answer) = input
                && answer.outcome == ExecutionOutcome::Unknown
            {
                answer.outcome = ExecutionOutcome::Declined;
            }
        });
    });
}

#[test]
fn a_cancellation_after_the_pivot_is_found() {
    finds(Rule::EndedStays, "cancelled", |workers, configuration| {
        workers.order = Broken::overlooks(order(configuration), |input, rows| {
            if let (Order::Cancel(_), Some(Stage::Confirmed)) = (input, stage(rows)) {
                rows.values_mut().for_each(|saga| saga.stage = Stage::Reserved(0));
            }
        });
    });
}

#[test]
fn an_order_that_is_confirmed_although_it_was_declined_is_found() {
    finds(Rule::ConfirmedIsWhole, "cancelled", |workers, configuration| {
        workers.order = Broken::mishears(order(configuration), |input| {
            if let Order::PaymentDeclined(declined) = input {
                let order_id = declined.order_id.clone();
                let amount = 10.try_into().unwrap();
                let currency = "GBP".to_owned().try_into().unwrap();
                *input = Order::PaymentCharged(PaymentCharged { order_id, amount, currency });
            }
        });
    });
}

#[test]
fn an_order_that_waits_without_a_deadline_is_found() {
    finds(Rule::WaitsInVainForNothing, "cancelled", |workers, configuration| {
        workers.order = Broken::spoils(order(configuration), |input, _, decision| {
            if let Order::StockReserved(_) = input {
                decision.timers.clear();
            }
        });
    });
}

#[test]
fn a_version_that_is_left_out_is_found() {
    finds(Rule::VersionsRise, "cancelled", |workers, configuration| {
        workers.order = Broken::spoils(order(configuration), |input, _, decision| {
            if let Order::StockReleased(_) = input {
                decision.changes.iter_mut().for_each(|(_, saga)| saga.version += 1);
            }
        });
    });
}

#[test]
fn an_ending_that_is_announced_again_is_found() {
    finds(Rule::EndsOnce, "cancelled", |workers, configuration| {
        workers.order = Broken::spoils(order(configuration), |input, rows, decision| {
            let has_ended = |saga: &&Saga| saga.stage.status() == OrderStatus::Cancelled;
            if let (Order::Cancel(cancel), Some(saga)) = (input, rows.values().find(has_ended)) {
                let state = saga.public(cancel.order_id.clone());
                decision.outputs.push(Output::of(&OrderCancelled(state)));
            }
        });
    });
}

#[test]
fn an_answer_that_finds_no_order_is_found() {
    finds(Rule::NothingDies, "cancelled", |workers, configuration| {
        workers.order = Broken::overlooks(order(configuration), |input, rows| {
            if let Order::PaymentCharged(_) = input {
                rows.clear();
            }
        });
    });
}

#[test]
fn goods_that_are_reserved_for_an_order_nobody_kept_are_found() {
    finds(Rule::RestsEnded, "cancelled", |workers, configuration| {
        workers.order = Broken::spoils(order(configuration), |input, _, decision| {
            if let Order::Place(_) = input {
                decision.changes.clear();
                decision.entries.clear();
                decision.timers.clear();
            }
        });
    });
}

/// The order refunds a charge that it hears of too late. The payment has refunded it already, or
/// has refused it: so this is a second net under the first, and nothing falls through without it.
#[test]
fn a_late_charge_that_the_order_keeps_is_refunded_by_the_payment_all_the_same() {
    let exploration = explored("cancelled", |workers, configuration| {
        workers.order = Broken::spoils(order(configuration), |input, rows, decision| {
            if let (Order::PaymentCharged(_), Some(Stage::Cancelled(_) | Stage::Rejected(_))) =
                (input, stage(rows))
            {
                decision.outputs.clear();
            }
        });
    });
    assert!(exploration.broken.is_empty() && exploration.is_complete, "{exploration:?}");
    assert_eq!(exploration.missing, ["a charge comes too late and is refunded"]);
}

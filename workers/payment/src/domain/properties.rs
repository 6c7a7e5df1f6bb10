//! What holds for payment whatever comes, in any order and any split into batches.

use std::collections::BTreeSet;

use orderly_contracts::payment::{ExecutionOutcome, Operation};
use proptest::prelude::*;

use super::Input;
use super::world::{World, arrivals, charge, executed, refund};

use ExecutionOutcome::{Approved, Declined, Unknown};

/// All orders in which `inputs` may arrive.
fn permutations(inputs: &[Input]) -> Vec<Vec<Input>> {
    if inputs.is_empty() {
        return vec![vec![]];
    }
    let first_is = |first: usize| {
        let mut rest = inputs.to_vec();
        let first = rest.remove(first);
        permutations(&rest).into_iter().map(move |mut rest| {
            rest.insert(0, first.clone());
            rest
        })
    };
    (0..inputs.len()).flat_map(first_is).collect()
}

/// Where an order may end, whichever way `inputs` arrive; at every step the books are right.
fn ends(inputs: &[Input]) -> BTreeSet<&'static str> {
    let end = |inputs: Vec<Input>| {
        let world = inputs.into_iter().fold(World::default(), |mut world, input| {
            world.take(input);
            world.assert_sound();
            world
        });
        world.status("o-1")
    };
    permutations(inputs).into_iter().map(end).collect()
}

#[test]
fn a_charged_order_ends_captured_in_any_order_of_arrival() {
    let at_once = charge("o-1", 250, "tok_visa");
    assert_eq!(ends(&[at_once.clone(), at_once]), BTreeSet::from(["captured"]));
}

#[test]
fn an_order_that_was_called_off_keeps_no_money_in_any_order_of_arrival() {
    let (at_once, refund) = (charge("o-1", 250, "tok_visa"), refund("o-1"));
    let inputs = [at_once.clone(), at_once, refund.clone(), refund];
    assert_eq!(ends(&inputs), BTreeSet::from(["refunded", "voided"]));
}

#[test]
fn an_order_charged_by_call_is_never_left_captured_once_it_was_called_off() {
    let by_call = charge("o-1", 250, "tok_flaky_2");
    let answer = |operation, outcome| executed("o-1", operation, outcome);
    let inputs = [
        by_call.clone(),
        by_call,
        refund("o-1"),
        answer(Operation::Charge, Unknown),
        answer(Operation::Charge, Approved),
        answer(Operation::Refund, Approved),
    ];
    // Where an answer comes before its question was asked, the question stays open.
    let ends = ends(&inputs);
    assert_eq!(ends, BTreeSet::from(["refunded", "refunding", "requested", "unknown", "voided"]));
}

/// Plays the provider: as long as it is called, it answers, after `failures` calls without one.
fn settle(world: &mut World, mut failures: usize, outcome: ExecutionOutcome) {
    let mut answered = 0;
    while answered < world.sent.len() {
        let message = world.sent[answered].clone();
        answered += 1;
        if message.routing_key != "payment.execute.v1" {
            continue;
        }
        let body: serde_json::Value = serde_json::from_slice(&message.body).unwrap();
        let (operation, answer) = match body["operation"].as_str().unwrap() {
            "charge" => (Operation::Charge, outcome),
            _ => (Operation::Refund, Approved),
        };
        let is_down = failures > 0;
        failures = failures.saturating_sub(1);
        let order = body["order_id"].as_str().unwrap();
        world.take(executed(order, operation, if is_down { Unknown } else { answer }));
        world.assert_sound();
        if is_down {
            // The order asks again, for it has heard nothing.
            let again = match operation {
                Operation::Charge => charge(order, 250, "tok_flaky_2"),
                Operation::Refund => refund(order),
            };
            world.take(again);
        }
    }
}

#[test]
fn whoever_asks_until_it_is_answered_gets_an_end() {
    for failures in 0..4 {
        for (outcome, end) in [(Approved, "captured"), (Declined, "declined")] {
            let mut world = World::default();
            world.take(charge("o-1", 250, "tok_flaky_2"));
            settle(&mut world, failures, outcome);
            assert_eq!(world.status("o-1"), end);
        }
        for (outcome, end) in [(Approved, "refunded"), (Declined, "voided")] {
            let mut world = World::default();
            world.take(charge("o-1", 250, "tok_flaky_2"));
            world.take(refund("o-1"));
            settle(&mut world, failures, outcome);
            assert_eq!(world.status("o-1"), end);
        }
    }
}

const ORDERS: [&str; 3] = ["o-1", "o-2", "o-3"];

fn input() -> impl Strategy<Value = Input> {
    let tokens = ["tok_visa", "tok_decline", "tok_flaky_2", "tok_hang_1"];
    let outcome = prop::sample::select(vec![Approved, Declined, Unknown]);
    let token = prop::sample::select(tokens.to_vec());
    let operation = prop::sample::select(vec![Operation::Charge, Operation::Refund]);
    let id = prop::sample::select(&ORDERS);
    (0..4, id, token, operation, outcome).prop_map(|(kind, id, token, operation, outcome)| {
        match kind {
            0 => charge(id, 250, token),
            1 => refund(id),
            _ => executed(id, operation, outcome),
        }
    })
}

proptest! {
    #[test]
    fn the_books_are_right_after_every_input(inputs in prop::collection::vec(input(), 0..40)) {
        let mut world = World::default();
        for arrival in arrivals(&inputs) {
            world.batch(&[arrival]);
            world.assert_sound();
        }
    }

    #[test]
    fn any_split_into_batches_comes_to_the_same(
        inputs in prop::collection::vec(input(), 1..40),
        cuts in prop::collection::vec(1usize..12, 40),
    ) {
        let mut arrivals = arrivals(&inputs);
        let one_by_one = World::default().after(&inputs);
        let mut split = World::default();
        for size in cuts {
            let batch: Vec<_> = arrivals.drain(..size.min(arrivals.len())).collect();
            split.batch(&batch);
        }
        prop_assert_eq!(split, one_by_one);
    }

    #[test]
    fn every_command_once_more_moves_no_money(inputs in prop::collection::vec(input(), 0..40)) {
        let once = World::default().after(&inputs);
        let is_charge = |input: &Input| matches!(input, Input::Charge(_));
        let charges: Vec<_> = inputs.into_iter().filter(is_charge).collect();
        let twice = once.clone().after(&charges);
        prop_assert_eq!(twice.rows, once.rows);
        prop_assert_eq!(twice.ledger, once.ledger);
    }
}

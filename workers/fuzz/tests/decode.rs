//! Two hundred thousand deliveries find nothing, and are not vacuous; `fuzz` runs any number of them.

use orderly_contracts::routes::ROUTES;
use orderly_fuzz::campaign::READING;
use orderly_fuzz::{Campaign, Input};

/// A quarter of them: each has a process, and a time limit, of its own.
const INPUTS: u64 = 50_000;

fn nothing_is_found(seed: u64) {
    let tally = Campaign { seed, first: 0, inputs: INPUTS, threads: 1 }.run();
    let failures: Vec<String> = tally.failures.iter().map(ToString::to_string).collect();
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
    assert_eq!(tally.inputs(), INPUTS);

    for reason in READING {
        assert!(tally.refused.contains_key(&reason), "nothing was refused as {reason}");
    }
    let strangers: Vec<_> = tally.refused.keys().filter(|r| !READING.contains(r)).collect();
    assert!(strangers.is_empty(), "reading gave {strangers:?}");
    let consumed = ROUTES.iter().filter(|route| route.consumer.is_some());
    for route in consumed {
        assert!(tally.accepted.contains_key(route.kind), "no {} was accepted", route.kind);
    }
    assert!(tally.accepted() > tally.inputs() / 5, "only {} accepted", tally.accepted());
    // All nineteen types that a table may hold: short texts and short numbers share a letter.
    assert!(tally.types.len() >= 18, "only these types were met: {:?}", tally.types);
}

#[test]
fn no_delivery_panics_or_changes_and_every_refusal_is_explained() {
    nothing_is_found(1);
}

#[test]
fn no_delivery_of_a_second_seed_does() {
    nothing_is_found(2);
}

#[test]
fn no_delivery_of_a_third_seed_does() {
    nothing_is_found(3);
}

#[test]
fn no_delivery_of_a_fourth_seed_does() {
    nothing_is_found(4);
}

#[test]
fn an_input_is_the_same_whenever_it_is_asked_for() {
    for number in 0..1_000 {
        let (one, other) = (Input::of(7, number), Input::of(7, number));
        assert_eq!(format!("{one:?}"), format!("{other:?}"));
    }
    let seven: Vec<_> = (0..100).map(|number| Input::of(7, number).delivery.body).collect();
    let eight: Vec<_> = (0..100).map(|number| Input::of(8, number).delivery.body).collect();
    assert_ne!(seven, eight);
}

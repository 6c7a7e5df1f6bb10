//! Simulations, so many as a normal test run has time for: nothing is ever wrong, unless it is meant
//! to be.

use std::collections::BTreeSet;

use orderly_simulation::bug::Bug;
use orderly_simulation::report::Report;
use orderly_simulation::run::{simulate, simulate_many};
use orderly_simulation::sky::Strike;

/// Everything else that has to happen in some of many simulations, or they prove little.
const HAPPENS: [&str; 22] = [
    "confirmed",
    "rejected",
    "cancelled",
    "ended by cancel_requested",
    "ended by out_of_stock",
    "ended by payment_declined",
    "ended by payment_timeout",
    "ended by reservation_expired",
    "stock committed",
    "stock expired",
    "stock rejected",
    "stock released",
    "stock short",
    "stock tombstone",
    "payment captured",
    "payment declined",
    "payment refunded",
    "payment voided",
    "letter id_conflict",
    "letter invalid_json",
    "letter poison",
    "letter unknown_order",
];

#[test]
fn the_same_seed_is_the_same_run() {
    for seed in 1..=200 {
        let (one, other) = (simulate(seed, None, true), simulate(seed, None, true));
        assert!(!one.events.is_empty());
        let mut pairs = one.events.iter().zip(&other.events).enumerate();
        let difference = pairs.find(|(_, (one, other))| one != other);
        assert!(difference.is_none(), "seed {seed}: {difference:?}");
        assert_eq!((one.took, one.counts), (other.took, other.counts), "seed {seed}");
    }
}

#[test]
fn nothing_is_lost_and_nothing_happens_twice_in_50_000_simulations() {
    let many = simulate_many(1, 50_000, 2, None, 3, &|_| ());
    for report in &many.violated {
        eprintln!("seed {}: {:#?}", report.seed, report.violations);
    }
    assert!(many.violated.is_empty(), "run `simulate --seed N` for one of the seeds above");
    assert_eq!(many.simulations, 50_000);
    let strikes = Strike::ALL.iter().map(|strike| strike.word());
    for word in strikes.chain(HAPPENS) {
        assert!(many.counts.contains_key(word), "{word:?} never happened");
    }
}

#[test]
fn every_deliberate_bug_is_caught_by_name() {
    for bug in Bug::ALL {
        let mut seen = BTreeSet::new();
        let caught = (0..20).find_map(|round| {
            let many = simulate_many(1 + round * 500, 500, 2, Some(*bug), 20, &|_| ());
            let is_named = |report: &Report| {
                seen.extend(report.codes());
                bug.codes().iter().any(|code| report.codes().contains(code))
            };
            many.violated.into_iter().find(is_named)
        });
        let report = caught.unwrap_or_else(|| {
            panic!("{bug:?}: 10,000 seeds show {seen:?}, and none of {:?}", bug.codes())
        });
        eprintln!("{bug:?}: seed {}, {:?}", report.seed, report.codes());
    }
}

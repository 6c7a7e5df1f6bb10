//! A campaign: many inputs on a few threads, what came of them, and which of them failed.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use orderly_contracts::Reason;

use crate::check::{Outcome, examine, value_types};
use crate::input::Input;

/// The reasons that reading alone can give; all others need a state, a database or a broker.
pub const READING: [Reason; 11] = [
    Reason::EmptyBody,
    Reason::BodyTooLarge,
    Reason::InvalidUtf8,
    Reason::InvalidJson,
    Reason::InvalidContent,
    Reason::WrongContentType,
    Reason::UnknownType,
    Reason::UnsupportedVersion,
    Reason::MissingMessageId,
    Reason::InvalidMessageId,
    Reason::WrongRoute,
];

/// Which inputs are run, and by how many threads.
#[derive(Debug, Clone, Copy)]
pub struct Campaign {
    /// Together with a number it makes an input.
    pub seed: u64,
    /// The number of the first input.
    pub first: u64,
    /// How many inputs.
    pub inputs: u64,
    /// How many threads share them.
    pub threads: u64,
}

/// An input for which something did not hold.
#[derive(Debug, Clone)]
pub struct Failure {
    /// The campaign's seed.
    pub seed: u64,
    /// The number of the input.
    pub number: u64,
    /// What did not hold.
    pub what: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { seed, number, what } = self;
        writeln!(f, "input {number} of seed {seed}: {what}")?;
        writeln!(f, "again: fuzz --seed {seed} --first {number} --inputs 1")?;
        let Input { queue, delivery, .. } = Input::of(*seed, *number);
        writeln!(f, "queue: {queue}")?;
        writeln!(f, "body: {:?}", String::from_utf8_lossy(&delivery.body))?;
        write!(f, "delivery: {delivery:?}")
    }
}

/// What came of a campaign.
#[derive(Debug, Clone, Default)]
pub struct Tally {
    /// How many inputs were read, by kind.
    pub accepted: BTreeMap<&'static str, u64>,
    /// How many were refused, by reason.
    pub refused: BTreeMap<Reason, u64>,
    /// The types of header values that were met, as AMQP writes them.
    pub types: BTreeSet<char>,
    /// The inputs for which something did not hold; after the first few the campaign ends.
    pub failures: Vec<Failure>,
    /// How long it took.
    pub took: Duration,
}

impl Tally {
    /// How many inputs were run.
    pub fn inputs(&self) -> u64 {
        let failures = self.failures.len() as u64;
        self.accepted() + self.refused.values().sum::<u64>() + failures
    }

    /// How many inputs were read.
    pub fn accepted(&self) -> u64 {
        self.accepted.values().sum()
    }

    fn add(&mut self, other: Self) {
        for (kind, count) in other.accepted {
            *self.accepted.entry(kind).or_default() += count;
        }
        for (reason, count) in other.refused {
            *self.refused.entry(reason).or_default() += count;
        }
        self.types.extend(other.types);
        self.failures.extend(other.failures);
    }
}

/// With this many failures a campaign has said enough.
const ENOUGH: usize = 5;

impl Campaign {
    /// Runs all inputs.
    pub fn run(self) -> Tally {
        let started = Instant::now();
        let is_over = AtomicBool::new(false);
        let mut tally = Tally::default();
        thread::scope(|scope| {
            let is_over = &is_over;
            let parts: Vec<_> = (0..self.threads.max(1))
                .map(|part| scope.spawn(move || self.run_part(part, is_over)))
                .collect();
            for part in parts {
                tally.add(part.join().expect("a part of the campaign catches every panic"));
            }
        });
        tally.took = started.elapsed();
        tally
    }

    fn run_part(self, part: u64, is_over: &AtomicBool) -> Tally {
        let mut tally = Tally::default();
        for number in (self.first..self.first + self.inputs)
            .skip(part as usize)
            .step_by(usize::try_from(self.threads.max(1)).expect("a few threads"))
        {
            if is_over.load(Ordering::Relaxed) {
                break;
            }
            let outcome = catch_unwind(AssertUnwindSafe(|| {
                let input = Input::of(self.seed, number);
                (examine(&input), value_types(&input.properties))
            }));
            match outcome {
                Ok((Ok(Outcome::Accepted(kind)), types)) => {
                    *tally.accepted.entry(kind).or_default() += 1;
                    tally.types.extend(types);
                }
                Ok((Ok(Outcome::Refused(reason)), types)) => {
                    *tally.refused.entry(reason).or_default() += 1;
                    tally.types.extend(types);
                }
                Ok((Err(what), _)) => self.fail(&mut tally, number, what, is_over),
                Err(_) => self.fail(&mut tally, number, "it panicked".to_owned(), is_over),
            }
        }
        tally
    }

    fn fail(self, tally: &mut Tally, number: u64, what: String, is_over: &AtomicBool) {
        tally.failures.push(Failure { seed: self.seed, number, what });
        if tally.failures.len() >= ENOUGH {
            is_over.store(true, Ordering::Relaxed);
        }
    }
}

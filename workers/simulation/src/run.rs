//! Runs simulations: one, or very many.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use orderly_order::{Deadlines, Order};
use orderly_payment::{Immediate, Payment};
use orderly_stock::{Policy, Stock};
use tokio::runtime::Builder;

use crate::bug::{Bug, Mutant};
use crate::plan::Plan;
use crate::report::Report;
use crate::world::World;

/// Runs the simulation of `seed`, with `bug` in the workers if there is to be one.
pub fn simulate(seed: u64, bug: Option<Bug>, keeps_events: bool) -> Report {
    let plan = Plan::new(seed);
    let runtime = Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without threads can always be built");
    runtime.block_on(async {
        let (order, stock, payment) = (order(&plan), stock(&plan), payment(&plan));
        match bug {
            Some(bug) if bug.is_of_decisions() => {
                let domains = (
                    Mutant { domain: order, bug },
                    Mutant { domain: stock, bug },
                    Mutant { domain: payment, bug },
                );
                World::new(plan, domains, None, keeps_events).run().await
            }
            bug => World::new(plan, (order, stock, payment), bug, keeps_events).run().await,
        }
    })
}

fn order(plan: &Plan) -> Order {
    let ms = Duration::from_millis;
    Order {
        policy: Deadlines {
            ask_again: ms(plan.ask_again_ms),
            longest_wait: ms(2 * plan.ask_again_ms),
            give_up: ms(plan.give_up_ms),
        },
    }
}

fn stock(plan: &Plan) -> Stock {
    let never = Policy::default();
    let soon = |ms| Policy { expiry: Duration::from_millis(ms) };
    Stock { policy: plan.expiry_ms.map_or(never, soon) }
}

fn payment(plan: &Plan) -> Payment {
    let outside = Payment { immediate: Immediate::None };
    if plan.pays_outside { outside } else { Payment::default() }
}

/// What many simulations came to.
#[derive(Debug, Default)]
pub struct Many {
    /// How many there were.
    pub simulations: u64,
    /// How much virtual time they took together.
    pub virtual_time: Duration,
    /// How often things happened in all of them.
    pub counts: BTreeMap<String, u64>,
    /// Those in which something was wrong, by their seeds.
    pub violated: Vec<Report>,
}

impl Many {
    fn add(&mut self, report: Report) {
        self.simulations += 1;
        self.virtual_time += report.took;
        for (what, times) in &report.counts {
            *self.counts.entry(what.clone()).or_default() += times;
        }
        if !report.violations.is_empty() {
            self.violated.push(report);
        }
    }

    fn join(&mut self, other: Self) {
        self.simulations += other.simulations;
        self.virtual_time += other.virtual_time;
        for (what, times) in other.counts {
            *self.counts.entry(what).or_default() += times;
        }
        self.violated.extend(other.violated);
    }
}

/// Runs the simulations of `count` seeds from `first` on, on so many `threads`; it ends early once
/// `enough` of them were violated.
pub fn simulate_many(
    first: u64,
    count: u64,
    threads: usize,
    bug: Option<Bug>,
    enough: usize,
    progress: &(dyn Fn(u64) + Sync),
) -> Many {
    let next = AtomicU64::new(first);
    let violated = AtomicU64::new(0);
    let work = || {
        let mut many = Many::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= first + count || violated.load(Ordering::Relaxed) >= enough as u64 {
                return many;
            }
            many.add(simulate(seed, bug, false));
            violated.fetch_add(
                u64::from(many.violated.last().is_some_and(|it| it.seed == seed)),
                Ordering::Relaxed,
            );
            progress(seed - first);
        }
    };
    let mut all = Many::default();
    std::thread::scope(|scope| {
        let running: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        for thread in running {
            all.join(thread.join().expect("a simulation does not panic"));
        }
    });
    all.violated.sort_by_key(|report| report.seed);
    all
}

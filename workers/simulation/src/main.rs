//! The command `simulate`: runs simulations, and says what was wrong and what happened at all.

use std::process::ExitCode;
use std::time::Instant;

use clap::Parser;
use orderly_simulation::bug::Bug;
use orderly_simulation::plan::Plan;
use orderly_simulation::report::Report;
use orderly_simulation::run::{simulate, simulate_many};

/// A simulation makes and drops small things all the time: a fifth of its time with libc's own.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// So many violated simulations are enough to look at.
const ENOUGH: usize = 10;

/// Whole systems in memory, in virtual time, each from a seed
#[derive(Debug, Parser)]
struct Arguments {
    /// The first seed
    #[arg(long, default_value_t = 1)]
    from: u64,
    /// How many seeds
    #[arg(long, default_value_t = 10_000)]
    count: u64,
    /// How many at once
    #[arg(long, default_value_t = 2)]
    threads: usize,
    /// Run this one seed alone, and show its plan and every event
    #[arg(long, conflicts_with_all = ["from", "count"])]
    seed: Option<u64>,
    /// Put a deliberate bug into the workers
    #[arg(long)]
    bug: Option<Bug>,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let is_violated = match arguments.seed {
        Some(seed) => show_one(seed, arguments.bug),
        None => run_many(&arguments),
    };
    if is_violated { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

fn show_one(seed: u64, bug: Option<Bug>) -> bool {
    println!("{:#?}", Plan::new(seed));
    let report = simulate(seed, bug, true);
    report.events.iter().for_each(|event| println!("{event:?}"));
    println!("{:#?}", report.counts);
    show(&report);
    !report.violations.is_empty()
}

fn run_many(arguments: &Arguments) -> bool {
    let &Arguments { from, count, threads, bug, .. } = arguments;
    let started = Instant::now();
    let progress = |done: u64| {
        if done > 0 && done.is_multiple_of(10_000) {
            eprintln!("{done} of {count}");
        }
    };
    let many = simulate_many(from, count, threads, bug, ENOUGH, &progress);
    let seconds = started.elapsed().as_secs_f64();
    for (what, times) in &many.counts {
        println!("{times:>12}  {what}");
    }
    many.violated.iter().for_each(show);
    println!(
        "{} simulations from seed {from}, {:.0} s of virtual time, in {seconds:.1} s ({:.0}/s): \
         {} violated",
        many.simulations,
        many.virtual_time.as_secs_f64(),
        many.simulations as f64 / seconds,
        many.violated.len()
    );
    !many.violated.is_empty()
}

fn show(report: &Report) {
    println!("seed {}, after {:?}:", report.seed, report.took);
    for (code, text) in &report.violations {
        println!("  {code}: {text}");
    }
}

//! Runs a campaign of decode fuzzing of any size; a failure is printed and can be had again.

use std::process::ExitCode;

use clap::Parser;
use orderly_fuzz::Campaign;

/// Throws arbitrary deliveries at everything that reads them.
#[derive(Debug, Parser)]
#[command(name = "fuzz")]
struct Arguments {
    /// How many inputs.
    #[arg(long, default_value_t = 10_000_000)]
    inputs: u64,
    /// What the inputs are made from; chosen by chance and printed if not given.
    #[arg(long)]
    seed: Option<u64>,
    /// The number of the first input.
    #[arg(long, default_value_t = 0)]
    first: u64,
    /// How many threads share them.
    #[arg(long, default_value_t = 2)]
    threads: u64,
}

fn main() -> ExitCode {
    let Arguments { inputs, seed, first, threads } = Arguments::parse();
    let seed = seed.unwrap_or_else(|| fastrand::u64(..1 << 32));
    println!("seed {seed}");
    let tally = Campaign { seed, first, inputs, threads }.run();
    let rate = tally.inputs() as f64 / tally.took.as_secs_f64();
    println!("{} inputs in {:.1?}, {rate:.0} a second", tally.inputs(), tally.took);
    println!("{} accepted", tally.accepted());
    for (kind, count) in &tally.accepted {
        println!("  {count:>10} {kind}");
    }
    println!("{} refused", tally.refused.values().sum::<u64>());
    for (reason, count) in &tally.refused {
        println!("  {count:>10} {reason}");
    }
    for failure in &tally.failures {
        println!("\n{failure}");
    }
    if tally.failures.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

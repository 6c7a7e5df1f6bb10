//! The drill that measures, of any size, by hand: `devstack run -- target/release/examples/drill poison`.
//!
//! An example and not a test, because its figures mean nothing in a debug build. It starts the
//! workers that lie beside it, so build those first, with the same profile.

use anyhow::Result;
use clap::{Parser, Subcommand};
use orderly_devstack::TestBed;
use orderly_e2e::System;
use orderly_e2e::poison::{Plan, Poison, poison_throughput};

/// Runs a drill on real nodes.
#[derive(Debug, Parser)]
#[command(name = "drill")]
struct Arguments {
    #[command(subcommand)]
    drill: Drill,
}

#[derive(Debug, Subcommand)]
enum Drill {
    /// The throughput of good orders with and without poison among them.
    Poison {
        /// How many of a hundred messages are poison.
        #[arg(long, default_value_t = 10)]
        percent: usize,
        /// How many good orders a round has.
        #[arg(long, default_value_t = 5_000)]
        orders: usize,
        /// How many pairs of rounds.
        #[arg(long, default_value_t = 5)]
        pairs: usize,
    },
}

#[tokio::main(worker_threads = 2)]
async fn main() -> Result<()> {
    match Arguments::parse().drill {
        Drill::Poison { percent, orders, pairs } => {
            for poison in Poison::ALL {
                let mut system = System::prepare(TestBed::new()?, &[]).await?;
                system.start_workers()?;
                let plan = Plan { poison, percent, orders, pairs };
                let throughput = poison_throughput(&system, plan).await?;
                println!("{poison:?}, {percent} %: {throughput}");
                println!(
                    "  clean    {:.0?}\n  poisoned {:.0?}",
                    throughput.clean, throughput.poisoned
                );
            }
        }
    }
    Ok(())
}

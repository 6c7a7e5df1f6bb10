//! The command `chaos`: the drills at any size, and a table of what was measured.

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use clap::{Parser, Subcommand};
use orderly_chaos::drills::freezes::{self, Freezes};
use orderly_chaos::drills::kills::{self, Kills};
use orderly_chaos::drills::rig::Rig;
use orderly_chaos::drills::schedules::{self, Extent};
use orderly_chaos::drills::{crowds, panics, recovery, stops, troubled, watch};
use orderly_chaos::figures::Figures;
use orderly_devstack::Nodes;
use orderly_e2e::System;
use orderly_e2e::storm::{calm, storm};

/// Faults on the whole system, on private servers of this machine alone.
///
/// Without a section, it runs one random schedule of faults, the one of --seed.
#[derive(Debug, Parser)]
struct Arguments {
    /// What everything random is derived from
    #[arg(long, global = true, default_value_t = 1)]
    seed: u64,
    /// How many orders a schedule has
    #[arg(long, global = true, default_value_t = 1_000)]
    orders: usize,
    /// How many seconds a schedule lasts
    #[arg(long, global = true, default_value_t = 8)]
    seconds: u64,
    /// Everything, at its full size
    #[arg(long)]
    full: bool,
    /// Where the proofs lie that --full runs as well
    #[arg(long, requires = "full")]
    proofs: Option<PathBuf>,
    #[command(subcommand)]
    section: Option<Section>,
}

#[derive(Debug, Clone, Copy, Subcommand)]
enum Section {
    /// SIGKILL to every worker at every step, under load
    Kills {
        /// At least so many kills
        #[arg(long, default_value_t = 60)]
        size: usize,
    },
    /// Panics at steps
    Panics,
    /// Workers that are stopped and go on later
    Freezes {
        /// For how many seconds
        #[arg(long, default_value_t = 6)]
        pause: u64,
    },
    /// Many workers that start at once
    Crowds,
    /// SIGTERM with hundreds of orders in flight
    Stops {
        /// So many
        #[arg(long, default_value_t = 6)]
        size: usize,
    },
    /// SIGTERM while a server is away, silent or full
    Troubled,
    /// Servers that are killed, and how soon work goes on
    Recovery {
        /// How often each of the two
        #[arg(long, default_value_t = 3)]
        size: usize,
    },
    /// Every message many times, shuffled, on two workers a service
    Storm {
        /// So many times
        #[arg(long, default_value_t = 10)]
        size: usize,
    },
    /// Three troubles, as whoever watches sees them
    Watch,
    /// Random schedules of faults
    Schedules {
        /// So many, from --seed on
        #[arg(long, default_value_t = 5)]
        size: u64,
    },
}

/// What `--full` runs of this program.
const FULL: [Section; 10] = [
    Section::Kills { size: 360 },
    Section::Panics,
    Section::Freezes { pause: 60 },
    Section::Crowds,
    Section::Stops { size: 50 },
    Section::Troubled,
    Section::Recovery { size: 10 },
    Section::Storm { size: 100 },
    Section::Watch,
    Section::Schedules { size: 100 },
];

/// What `--full` runs beside it: programs with their arguments.
const PROOFS: &[(&str, &[&str])] =
    &[("simulate", &["--count", "1000000"]), ("model", &["--big"]), ("fuzz", &[])];

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let mut figures = Figures::default();
    figures.add("chaos", "seed", arguments.seed);
    let sections = match arguments.section {
        Some(section) => vec![section],
        None if arguments.full => FULL.to_vec(),
        None => vec![Section::Schedules { size: 1 }],
    };
    for section in sections {
        let outcome = runtime.block_on(run(section, &arguments, &mut figures));
        figures.end(section.name(), outcome);
    }
    if let Some(folder) = &arguments.proofs {
        for (name, options) in PROOFS {
            let begun = Instant::now();
            let outcome = prove(&folder.join(name), options);
            figures.add(name, "took", format_args!("{:.1?}", begun.elapsed()));
            figures.end(name, outcome);
        }
    }
    println!("\n{figures}");
    Ok(if figures.are_good() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

impl Section {
    const fn name(self) -> &'static str {
        match self {
            Self::Kills { .. } => "kills",
            Self::Panics => "panics",
            Self::Freezes { .. } => "freezes",
            Self::Crowds => "crowds",
            Self::Stops { .. } => "stops",
            Self::Troubled => "troubled",
            Self::Recovery { .. } => "recovery",
            Self::Storm { .. } => "storm",
            Self::Watch => "watch",
            Self::Schedules { .. } => "schedules",
        }
    }
}

async fn run(section: Section, arguments: &Arguments, figures: &mut Figures) -> Result<()> {
    let seed = arguments.seed;
    let name = section.name();
    let verdict = match section {
        Section::Kills { size } => {
            let killed = kills::run(Kills { seed, size, rate: 25 }).await?;
            for ((party, step), times) in &killed.at {
                println!("{party:<8} {step:<14} {times}");
            }
            figures.add(name, "workers killed", killed.count());
            figures.add(name, "worker and step pairs", killed.at.len());
            figures.add(name, "took", format_args!("{:.1?}", killed.took));
            killed.verdict
        }
        Section::Panics => {
            let panicked = panics::run(seed, 25).await?;
            figures.add(name, "panics", panicked.count);
            figures.add(name, "ready again after", format_args!("{:.1?}", panicked.longest));
            panicked.verdict
        }
        Section::Freezes { pause } => {
            let pause = Duration::from_secs(pause);
            let frozen = freezes::run(Freezes { seed, heartbeat: 2, pause }).await?;
            figures.add(name, "workers stopped", frozen.count);
            frozen.verdict
        }
        Section::Crowds => {
            let crowd = crowds::run(seed, 20, 500).await?;
            figures.add(name, "workers at once", crowd.workers);
            figures.add(name, "ready after", format_args!("{:.1?}", crowd.ready));
            figures.add(name, "database connections", crowd.connections);
            crowd.verdict
        }
        Section::Stops { size } => {
            let stopped = stops::run(seed, size).await?;
            figures.add(name, "workers stopped", stopped.stops.len());
            figures.add(name, "longest stop", format_args!("{:.2?}", stopped.longest()));
            figures.add(name, "orders in flight at least", stopped.in_flight());
            stopped.verdict
        }
        Section::Troubled => {
            let troubled = troubled::run(&mut Rig::start(seed)?, seed).await?;
            for (trouble, party, took) in &troubled.ends {
                figures.add(name, &format!("{trouble:?}, {party}"), format_args!("{took:.1?}"));
            }
            troubled.verdict
        }
        Section::Recovery { size } => return run_recovery(size, figures).await,
        Section::Storm { size } => return run_storm(size, seed, figures).await,
        Section::Watch => return run_watch(figures).await,
        Section::Schedules { size } => return run_schedules(size, arguments, figures).await,
    };
    figures.add(name, "verdict", &verdict);
    verdict.expect_clean().map(drop)
}

/// One schedule after the other on the same servers; one that fails ends the section, and is told.
async fn run_schedules(size: u64, arguments: &Arguments, figures: &mut Figures) -> Result<()> {
    let extent =
        Extent { orders: arguments.orders, span: Duration::from_secs(arguments.seconds.max(1)) };
    let mut rig = Rig::start(arguments.seed)?;
    let mut longest = Duration::ZERO;
    let mut faults = 0;
    let mut replayed = 0;
    for seed in arguments.seed..arguments.seed + size {
        let ran = schedules::run(&mut rig, seed, extent).await?;
        print!("{}", ran.schedule);
        println!("  {:.1?}; {}", ran.took, ran.verdict);
        longest = longest.max(ran.verdict.rest);
        faults += ran.schedule.events.len();
        replayed += ran.verdict.replayed;
        ran.verdict.expect_clean()?;
    }
    figures.add("schedules", "schedules", size);
    figures.add("schedules", "orders each", extent.orders);
    figures.add("schedules", "faults", faults);
    figures.add("schedules", "longest time to rest", format_args!("{longest:.1?}"));
    figures.add("schedules", "messages given up and replayed", replayed);
    Ok(())
}

/// How many orders are on their way when a server is killed.
const ORDERS: usize = 300;

/// Kills each server so many times under load, on servers of its own.
async fn run_recovery(size: usize, figures: &mut Figures) -> Result<()> {
    let mut nodes = tokio::task::block_in_place(Nodes::start)?;
    let mut system = System::start_on(nodes.endpoints()).await?;
    recovery::stock_up(&system).await?;
    for round in 0..size {
        let broker = recovery::broker_killed(&mut nodes, &mut system, 2 * round, ORDERS).await?;
        let database =
            recovery::database_killed(&mut nodes, &mut system, 2 * round + 1, ORDERS).await?;
        for (server, it) in [("RabbitMQ", broker), ("PostgreSQL", database)] {
            let what = format!("{server}, first effect after it accepts");
            figures.add("recovery", &what, format_args!("{:.2?}", it.first_effect));
        }
    }
    system.databases.settled(i64::try_from(2 * size * ORDERS)?).await?;
    system.expect_clean_audit().map(drop)
}

/// Breaks what an operator has to notice.
async fn run_watch(figures: &mut Figures) -> Result<()> {
    for seen in watch::run().await? {
        let watch::Seen { trouble, shown, alert, fired, well } = seen;
        let text = format!(
            "shown after {shown:.0?}, {alert} fires after {fired:.0?}, all well {well:.0?} after the cure"
        );
        figures.add("watch", trouble, text);
    }
    Ok(())
}

/// Publishes every message of a hundred orders so many times.
async fn run_storm(size: usize, seed: u64, figures: &mut Figures) -> Result<()> {
    let system = calm(2, 100_000).await?;
    let came = storm(&system, 100, size, seed).await?;
    figures.add("storm", "copies", came.copies);
    figures.add("storm", "recognised", came.duplicates);
    system.databases.expect_conserved().await?;
    system.expect_clean_audit().map(drop)
}

/// Runs a program that prints its own figures.
fn prove(program: &Path, options: &[&str]) -> Result<()> {
    let status = Command::new(program)
        .args(options)
        .status()
        .with_context(|| format!("cannot run {}", program.display()))?;
    ensure!(status.success(), "{} {}: {status}", program.display(), options.join(" "));
    Ok(())
}

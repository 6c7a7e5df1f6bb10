//! The sections that can be measured, and how much of each.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, ValueEnum};
use orderly_devstack::Endpoints;

use crate::backlog::backlog;
use crate::latency::latency;
use crate::orders::RealOrders;
use crate::results::{About, Results, Section};
use crate::sweep::{Length, sweep};
use crate::throughput::{Extent, real, throughput};
use crate::varied::Varied;
use crate::watched::watched;

/// A section of the results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum What {
    /// Saga against ceiling, single-line orders
    Throughput,
    /// Real orders with many lines
    Real,
    /// From order to final event, at several rates
    Latency,
    /// Throughput with old orders in the databases
    Growth,
    /// Draining orders that came while the workers were paused
    Backlog,
    /// Throughput with metrics and without, and how long a scrape takes
    Watched,
    /// Throughput with more workers
    Replicas,
    /// Throughput with one hot article, and with many
    Articles,
    /// Throughput with longer orders
    Lines,
    /// Throughput with smaller batches
    Batches,
}

impl What {
    /// What is measured if nothing else is said.
    pub const USUAL: &[Self] = &[Self::Throughput, Self::Real, Self::Latency];

    /// The run in which it was measured last.
    pub fn run(self, results: &Results) -> Option<&About> {
        fn run<T>(section: Option<&Section<T>>) -> Option<&About> {
            section.map(|section| &section.run)
        }
        match self {
            Self::Throughput => run(results.throughput.as_ref()),
            Self::Real => run(results.real.as_ref()),
            Self::Latency => run(results.latency.as_ref()),
            Self::Backlog => run(results.backlog.as_ref()),
            Self::Watched => run(results.watched.as_ref()),
            swept => run(results.varied.get(&swept.varied()?)),
        }
    }

    /// What it varies, if it varies one thing.
    fn varied(self) -> Option<Varied> {
        match self {
            Self::Throughput | Self::Real | Self::Latency | Self::Backlog | Self::Watched => None,
            Self::Growth => Some(Varied::Growth),
            Self::Replicas => Some(Varied::Replicas),
            Self::Articles => Some(Varied::Articles),
            Self::Lines => Some(Varied::Lines),
            Self::Batches => Some(Varied::Batches),
        }
    }
}

/// How much is measured.
#[derive(Debug, Clone, Args)]
pub struct Amounts {
    /// How many rounds
    #[arg(long, default_value_t = 5)]
    pub rounds: usize,
    /// How many single-line orders in a round
    #[arg(long, default_value_t = 20_000)]
    pub orders: usize,
    /// How many seconds a rate of the latency is held in a round
    #[arg(long, default_value_t = 10)]
    pub seconds: u64,
    /// How many seconds a run takes, roughly, where something is varied
    #[arg(long, default_value_t = 8)]
    pub run_seconds: u64,
    /// How many old orders there are, for growth; a million take some 6 GB of disk
    #[arg(long, value_delimiter = ',', default_values_t = [1_000_000, 5_000_000])]
    pub old: Vec<u64>,
    /// How many orders wait, for the backlog
    #[arg(long, default_value_t = 100_000)]
    pub waiting: usize,
    /// Where real orders lie
    #[arg(long, default_value = "scripts/data/online-retail")]
    pub data: PathBuf,
}

impl Amounts {
    fn extent(&self) -> Extent {
        Extent { rounds: self.rounds, orders: self.orders }
    }

    fn length(&self) -> Length {
        Length { rounds: self.rounds, run: Duration::from_secs(self.run_seconds) }
    }
}

/// Measures a section and puts it into `results`, as found by `run`; `say` hears how far it is.
pub async fn measure(
    what: What,
    amounts: &Amounts,
    endpoints: &Endpoints,
    run: About,
    results: &mut Results,
    say: &mut impl FnMut(String),
) -> Result<()> {
    let extent = amounts.extent();
    match what {
        What::Throughput => {
            let found = throughput(endpoints, extent, say).await?;
            results.throughput = Some(Section { run, found });
        }
        What::Real => {
            let orders = RealOrders::read(&amounts.data)?;
            let extent = Extent { orders: extent.orders / 8, ..extent };
            let found = real(endpoints, &orders, extent, say).await?;
            results.real = Some(Section { run, found });
        }
        What::Latency => {
            let span = Duration::from_secs(amounts.seconds);
            let found = latency(endpoints, extent.of_few_rounds(), span, say).await?;
            results.latency = Some(Section { run, found });
        }
        What::Backlog => {
            let found = backlog(endpoints, amounts.waiting, extent.of_few_rounds(), say).await?;
            results.backlog = Some(Section { run, found });
        }
        What::Watched => {
            let found = watched(endpoints, extent, say).await?;
            results.watched = Some(Section { run, found });
        }
        swept => {
            let varied = swept.varied().context("nothing is varied")?;
            let variants = varied.variants(&amounts.old);
            let found = sweep(endpoints, &variants, amounts.length(), say).await?;
            results.varied.insert(varied, Section { run, found });
        }
    }
    Ok(())
}

//! Saga against ceiling: both by turns in one run, so that whatever else happens strikes both.

use std::collections::BTreeMap;

use anyhow::Result;
use orderly_devstack::Endpoints;
use serde::{Deserialize, Serialize};

use crate::costs::{Batches, Work};
use crate::orders::{RealOrders, Shape};
use crate::results::Spread;
use crate::specimens::{HAPPY_PATH, Size};
use crate::stage::{Ceiling, Run, Saga};
use crate::usage::{Part, Usage, peak_memory};

/// So many orders are under way at a time: enough for full batches in every queue.
pub const OPEN: usize = 3_000;

/// What takes long has to do with so many rounds: a backlog that comes about and goes, and a rate that is held.
const FEW_ROUNDS: usize = 3;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Extent {
    /// How many rounds.
    pub rounds: usize,
    /// How many orders the saga works off in a round.
    pub orders: usize,
}

impl Extent {
    /// The same, in a few rounds at most.
    #[must_use]
    pub fn of_few_rounds(self) -> Self {
        Self { rounds: self.rounds.min(FEW_ROUNDS), ..self }
    }
}

/// What was measured with single-line orders.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Throughput {
    /// The rounds, one after the other.
    pub rounds: Vec<Round>,
    /// The messages of an order.
    pub messages: Vec<Size>,
    /// What an order costs in the databases.
    pub work: Work,
    /// Messages in a batch on average, by queue.
    pub batches: BTreeMap<String, f64>,
    /// The most memory that was resident, in bytes.
    pub memory: BTreeMap<Part, u64>,
}

impl Throughput {
    /// Orders a second.
    pub fn rate(&self) -> Spread {
        Spread::of(self.rounds.iter().map(|round| round.saga.rate))
    }

    /// How much of the ceiling the saga reaches, round by round.
    pub fn ratio(&self) -> Spread {
        Spread::of(self.rounds.iter().map(Round::ratio))
    }

    /// Processor time of an order in the saga, in milliseconds.
    pub fn cost(&self) -> Usage {
        Run::cost(self.rounds.iter().map(|round| &round.saga))
    }
}

/// One turn of everything.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Round {
    /// The relay of all six messages.
    pub ceiling: Run,
    /// The relay of the first five.
    pub ceiling_of_five: Run,
    /// The real system.
    pub saga: Run,
}

impl Round {
    /// How much of the ceiling the saga reaches.
    pub fn ratio(&self) -> f64 {
        self.saga.rate / self.ceiling.rate
    }
}

/// Measures; `say` hears how far it is.
pub async fn throughput(
    endpoints: &Endpoints,
    extent: Extent,
    say: &mut impl FnMut(String),
) -> Result<Throughput> {
    let mut saga = Saga::start(endpoints, &[], 1).await?;
    saga.stock_up(&Shape::SINGLE.skus()).await?;
    let specimens = saga.specimens().await?;
    let mut ceiling = Ceiling::start(endpoints, &specimens, HAPPY_PATH.len()).await?;
    let mut ceiling_of_five = Ceiling::start(endpoints, &specimens, HAPPY_PATH.len() - 1).await?;
    let series = |name: String, count| Shape::SINGLE.series(&name, count);
    // Nothing is at its pace from the first order on.
    let warm_up = extent.orders / 4;
    saga.run(series("warm".into(), warm_up), OPEN).await?;
    ceiling.run(series("warm".into(), warm_up), OPEN).await?;
    ceiling_of_five.run(series("warm".into(), warm_up), OPEN).await?;
    let (work, batches) = (Work::now(&saga.system).await?, Batches::now(&saga.system)?);
    let mut rounds = Vec::new();
    for n in 1..=extent.rounds {
        let orders = || series(format!("r{n:03}"), extent.orders);
        let round = Round {
            ceiling: ceiling.run(orders(), OPEN).await?,
            ceiling_of_five: ceiling_of_five.run(orders(), OPEN).await?,
            saga: saga.run(orders(), OPEN).await?,
        };
        say(format!(
            "round {n}: ceiling {:.0}, of five {:.0}, saga {:.0} orders/s: {:.2}",
            round.ceiling.rate,
            round.ceiling_of_five.rate,
            round.saga.rate,
            round.ratio()
        ));
        rounds.push(round);
    }
    let sizes = Batches::now(&saga.system)?.sizes_since(&batches);
    saga.expect_clean_audit().await?;
    let done = Work::now(&saga.system).await?.per_order(&work, extent.rounds * extent.orders);
    Ok(Throughput {
        rounds,
        messages: specimens.sizes(),
        work: done,
        batches: sizes,
        memory: peak_memory()?,
    })
}

/// What was measured with real orders.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Real {
    /// Lines an order on average.
    pub lines: f64,
    /// The rounds.
    pub rounds: Vec<Run>,
}

impl Real {
    /// Orders a second.
    pub fn rate(&self) -> Spread {
        Spread::of(self.rounds.iter().map(|run| run.rate))
    }
}

/// Measures real orders, again and again under new numbers.
pub async fn real(
    endpoints: &Endpoints,
    orders: &RealOrders,
    extent: Extent,
    say: &mut impl FnMut(String),
) -> Result<Real> {
    let mut saga = Saga::start(endpoints, &[], 1).await?;
    saga.stock_up(&orders.skus()).await?;
    let mut rounds = Vec::new();
    for n in 0..=extent.rounds {
        let name = format!("r{n:03}");
        let series = (0..extent.orders).map(|n| orders.order(&name, n)).collect::<Result<_>>()?;
        let run = saga.run(series, OPEN / 4).await?;
        // The first one warms up.
        if n > 0 {
            say(format!("round {n}: {:.0} real orders/s", run.rate));
            rounds.push(run);
        }
    }
    saga.expect_clean_audit().await?;
    Ok(Real { lines: orders.lines(), rounds })
}

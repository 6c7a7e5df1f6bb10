//! One thing varied: a system for every value, side by side on the same servers, run by turns.

use std::time::{Duration, Instant};

use anyhow::Result;
use orderly_devstack::Endpoints;
use serde::{Deserialize, Serialize};

use crate::old;
use crate::orders::Shape;
use crate::results::Spread;
use crate::stage::{Run, Saga};
use crate::throughput::OPEN;

/// How many messages a batch has at most, unless told otherwise.
const BATCH: usize = 500;
/// A flow of fewer orders has no steady middle.
const ORDERS_MIN: f64 = 60.0;

/// How a system differs from the usual one.
#[derive(Debug, Clone, Copy)]
pub struct Variant {
    /// The value that is varied.
    pub at: u64,
    /// What is ordered.
    pub shape: Shape,
    /// How many workers a service has.
    pub replicas: usize,
    /// How many messages a batch has at most.
    pub batch: usize,
    /// How many old orders are there.
    pub old_orders: u64,
}

impl Variant {
    /// The usual system, to be varied.
    pub const fn usual(at: u64) -> Self {
        Self { at, shape: Shape::SINGLE, replicas: 1, batch: BATCH, old_orders: 0 }
    }

    /// So many orders are under way at a time: enough for full batches in every queue, and fewer if
    /// they are long.
    fn open(&self) -> usize {
        (OPEN * self.batch / BATCH / self.shape.lines).clamp(50, OPEN)
    }

    async fn start(&self, endpoints: &Endpoints) -> Result<Saga> {
        let batch = self.batch.to_string();
        let prefetch = (2 * self.batch).min(2_000).to_string();
        let settings =
            [("ORDERLY_BATCH_MESSAGES", batch.as_str()), ("ORDERLY_PREFETCH", prefetch.as_str())];
        let is_usual = self.batch == BATCH;
        let settings = if is_usual { &[][..] } else { &settings[..] };
        let saga = Saga::start(endpoints, settings, self.replicas).await?;
        saga.stock_up(&self.shape.skus()).await?;
        if self.old_orders > 0 {
            old::put_in(&saga.system.databases, self.old_orders).await?;
        }
        Ok(saga)
    }
}

/// How much is measured.
#[derive(Debug, Clone, Copy)]
pub struct Length {
    /// How many rounds.
    pub rounds: usize,
    /// How long a run takes, roughly.
    pub run: Duration,
}

/// What was measured at a value.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Point {
    /// The value.
    pub at: u64,
    /// How many lines an order had.
    pub lines: usize,
    /// A run a round.
    pub runs: Vec<Run>,
}

impl Point {
    /// Orders a second.
    pub fn rate(&self) -> Spread {
        Spread::of(self.runs.iter().map(|run| run.rate))
    }

    /// Its rate as part of that of another point, round by round.
    pub fn ratio(&self, other: &Self) -> Spread {
        let pairs = self.runs.iter().zip(&other.runs);
        Spread::of(pairs.map(|(run, other)| run.rate / other.rate))
    }
}

/// A system that takes part.
struct Contender {
    variant: Variant,
    saga: Saga,
    orders: usize,
    runs: Vec<Run>,
}

impl Contender {
    /// Warms up, which tells how many orders a run takes.
    async fn prepare(endpoints: &Endpoints, variant: Variant, length: Duration) -> Result<Self> {
        let saga = variant.start(endpoints).await?;
        let mut contender = Self { variant, saga, orders: 2 * variant.open(), runs: vec![] };
        let rate = contender.run("warm").await?.rate;
        contender.orders = (rate * length.as_secs_f64()).max(ORDERS_MIN) as usize;
        Ok(contender)
    }

    async fn run(&mut self, series: &str) -> Result<Run> {
        let Variant { shape, .. } = self.variant;
        let orders = shape.series(series, self.orders);
        self.saga.run(orders, self.variant.open()).await
    }
}

/// Measures every variant in every round; `say` hears how far it is.
pub async fn sweep(
    endpoints: &Endpoints,
    variants: &[Variant],
    length: Length,
    say: &mut impl FnMut(String),
) -> Result<Vec<Point>> {
    let mut contenders = Vec::new();
    for variant in variants {
        let begun = Instant::now();
        contenders.push(Contender::prepare(endpoints, *variant, length.run).await?);
        say(format!("{} is ready, after {:.0} s", variant.at, begun.elapsed().as_secs_f64()));
    }
    for n in 1..=length.rounds {
        for contender in &mut contenders {
            let run = contender.run(&format!("r{n:03}")).await?;
            say(format!("round {n}, {}: {:.0} orders/s", contender.variant.at, run.rate));
            contender.runs.push(run);
        }
    }
    let mut points = Vec::new();
    for Contender { variant, saga, runs, .. } in contenders {
        saga.expect_clean_audit().await?;
        points.push(Point { at: variant.at, lines: variant.shape.lines, runs });
    }
    Ok(points)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_under_way_fill_the_batches_and_no_more() {
        assert_eq!(Variant::usual(0).open(), OPEN);
        assert_eq!(Variant { batch: 50, ..Variant::usual(50) }.open(), 300);
        assert_eq!(Variant { batch: 1, ..Variant::usual(1) }.open(), 50);
        let shape = Shape { lines: 10, articles: 10_000 };
        assert_eq!(Variant { shape, ..Variant::usual(10) }.open(), 300);
    }
}

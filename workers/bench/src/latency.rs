//! Latency under an open load: orders come when they are due, whether the system keeps up or not,
//! and what is measured begins when an order was due (no coordinated omission). The bare relay under the
//! same loads tells how much of it is the broker's.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use orderly_devstack::Endpoints;
use serde::{Deserialize, Serialize};

use crate::orders::{Shape, place_in_series};
use crate::results::Spread;
use crate::seasoned::season;
use crate::shop::{Heard, Shop};
use crate::specimens::HAPPY_PATH;
use crate::stage::{Ceiling, Run, Saga};
use crate::throughput::{Extent, OPEN};
use crate::timetable::Timetable;
use crate::usage::Usage;

/// After so long without an end, something is stuck.
const PATIENCE: Duration = Duration::from_secs(30);
/// Nothing is at its pace from the first order on.
const WARM_UP: Load = Load { rate: 200.0, span: Duration::from_secs(2) };
/// The loads that are put on both: parts of what saturates the system, and so many orders a second. The highest comes
/// first, for it depends the most on how fast the machine is in that very minute.
const PACES: [Pace; 4] =
    [Pace::OfSaturation(0.8), Pace::OfSaturation(0.5), Pace::OfSaturation(0.1), Pace::Fixed(50.0)];

/// How a load is chosen.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pace {
    /// So many orders a second.
    Fixed(f64),
    /// Such a part of the most that the system worked off in the same round.
    OfSaturation(f64),
}

impl Pace {
    fn rate(self, saturation: f64) -> f64 {
        match self {
            Self::Fixed(rate) => rate,
            Self::OfSaturation(part) => part * saturation,
        }
    }
}

/// An open load.
#[derive(Debug, Clone, Copy)]
struct Load {
    /// Orders a second.
    rate: f64,
    /// For how long.
    span: Duration,
}

/// What was measured under a load, round by round.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Loaded {
    /// How the load was chosen.
    pub pace: Pace,
    /// A turn a round.
    pub turns: Vec<Turn>,
}

impl Loaded {
    /// What `of` gives for each turn.
    pub fn spread(&self, of: impl Fn(&Turn) -> f64) -> Spread {
        Spread::of(self.turns.iter().map(of))
    }

    /// Processor time that an order took in `system`, in milliseconds.
    pub fn cost(&self, system: fn(&Turn) -> &Latency) -> Usage {
        let (mut sum, mut orders) = (Usage::default(), 0);
        for latency in self.turns.iter().map(system) {
            sum += &latency.usage;
            orders += latency.orders;
        }
        sum.milliseconds_an_order(orders)
    }
}

/// One load on both.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Turn {
    /// The real system.
    pub saga: Latency,
    /// The bare relay of all messages.
    pub relay: Latency,
}

/// How long orders took from when they were due to their final event, in milliseconds.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Latency {
    /// Orders a second.
    pub rate: f64,
    /// How many there were.
    pub orders: usize,
    /// Half of them were placed no later than this after they were due.
    pub late: f64,
    /// Half of them took no longer.
    pub p50: f64,
    /// 95 of a hundred.
    pub p95: f64,
    /// 99 of a hundred.
    pub p99: f64,
    /// 999 of a thousand.
    pub p999: f64,
    /// The slowest.
    pub max: f64,
    /// Processor time of everything on the machine that belongs to it, in seconds.
    pub usage: Usage,
}

/// In every round: how much the system works off at most, then one load after the other, for `span` each, on both by
/// turns; `say` hears how far it is.
///
/// A machine is a tenth slower from one minute to the next, and a part of what it did in a better one is not that part
/// any more: so each round finds out for itself.
pub async fn latency(
    endpoints: &Endpoints,
    extent: Extent,
    span: Duration,
    say: &mut impl FnMut(String),
) -> Result<Vec<Loaded>> {
    let mut saga = Saga::start(endpoints, &[], 1).await?;
    saga.stock_up(&Shape::SINGLE.skus()).await?;
    let specimens = saga.specimens().await?;
    let mut ceiling = Ceiling::start(endpoints, &specimens, HAPPY_PATH.len()).await?;
    saga.run(Shape::SINGLE.series("warm", extent.orders / 4), OPEN).await?;
    under(WARM_UP, &mut ceiling.shop, "warm", in_order).await?;
    let mut loads: Vec<_> = PACES.map(|pace| Loaded { pace, turns: vec![] }).into();
    for round in 1..=extent.rounds {
        season(endpoints)?;
        let Run { rate: saturation, .. } =
            saga.run(Shape::SINGLE.series(&format!("s{round}"), extent.orders), OPEN).await?;
        say(format!("round {round}: {saturation:.0} orders/s at most"));
        for (n, Loaded { pace, turns }) in loads.iter_mut().enumerate() {
            let load = Load { rate: pace.rate(saturation), span };
            // What is left of a higher load is no part of this one.
            saga.clear_up().await?;
            under(WARM_UP, &mut saga.shop, &format!("w{round}-{n}"), named).await?;
            let series = format!("l{round}-{n}");
            let turn = Turn {
                saga: under(load, &mut saga.shop, &series, named).await?,
                relay: under(load, &mut ceiling.shop, &series, in_order).await?,
            };
            ceiling.expect_running()?;
            say(turn.to_string());
            turns.push(turn);
        }
    }
    saga.expect_clean_audit().await?;
    Ok(loads)
}

impl std::fmt::Display for Turn {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Latency { rate, p50, p95, p99, p999, .. } = self.saga;
        write!(
            f,
            "{rate:.0} orders/s: p50 {p50:.1}, p95 {p95:.1}, p99 {p99:.1}, p99.9 {p999:.1} ms; "
        )?;
        let Latency { p50, p95, p99, p999, .. } = self.relay;
        write!(f, "relay {p50:.1}, {p95:.1}, {p99:.1}, {p999:.1} ms")
    }
}

/// Which order of its series has ended, by its name.
fn named(heard: &Heard, _: usize) -> Option<usize> {
    place_in_series(&heard.order)
}

/// The same where events name no order: nothing overtakes anything in the relay.
fn in_order(_: &Heard, ended: usize) -> Option<usize> {
    Some(ended)
}

/// Puts `load` on the system behind `shop`; `which` tells what has ended, after so many others.
async fn under(
    load: Load,
    shop: &mut Shop,
    series: &str,
    which: fn(&Heard, usize) -> Option<usize>,
) -> Result<Latency> {
    let count = (load.rate * load.span.as_secs_f64()) as usize;
    ensure!(count > 0, "no orders");
    // Everything is made before the clock runs.
    let orders: Vec<_> = (0..count).map(|n| Shape::SINGLE.order(series, n)).collect();
    let before = Usage::now()?;
    let start = Instant::now() + Duration::from_millis(50);
    let timetable = Timetable { start, rate: load.rate };
    let placing = tokio::spawn(timetable.place(shop.counter.clone(), orders));
    let mut histogram = Histogram::<u64>::new_with_bounds(1, 600_000_000, 3)?;
    for ended in 0..count {
        let heard = tokio::time::timeout(PATIENCE, shop.heard.recv()).await;
        let heard = heard.with_context(|| format!("{ended} of {count} orders ended"))?;
        let heard = heard.context("the shop hears nothing any more")?;
        let n = which(&heard, ended).context("an order that was not placed here")?;
        let took = heard.at.saturating_duration_since(timetable.due(n));
        histogram.record(u64::try_from(took.as_micros())?.max(1))?;
    }
    let late = placing.await??;
    let usage = Usage::now()?.since(&before);
    let ms = |micros: u64| micros as f64 / 1_000.0;
    let at = |quantile| ms(histogram.value_at_quantile(quantile));
    Ok(Latency {
        rate: load.rate,
        orders: count,
        late: ms(late.value_at_quantile(0.5)),
        p50: at(0.5),
        p95: at(0.95),
        p99: at(0.99),
        p999: at(0.999),
        max: ms(histogram.max()),
        usage,
    })
}

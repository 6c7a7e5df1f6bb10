//! Latency under an open load: orders come when they are due, whether the system keeps up or not,
//! and what is measured begins when an order was due (no coordinated omission). The bare relay under the
//! same loads tells how much of it is the broker's.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use orderly_devstack::Endpoints;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::orders::{Shape, place_in_series};
use crate::shop::{Counter, Heard, Place, Shop};
use crate::specimens::HAPPY_PATH;
use crate::stage::{Ceiling, Saga};
use crate::usage::Usage;

/// After so long without an end, something is stuck.
const PATIENCE: Duration = Duration::from_secs(30);
/// Nothing is at its pace from the first order on.
const WARM_UP: Load = Load { rate: 200.0, of_saturation: None, span: Duration::from_secs(5) };

/// An open load.
#[derive(Debug, Clone, Copy)]
pub struct Load {
    /// Orders a second.
    pub rate: f64,
    /// That rate as part of the most that the system works off, where it was chosen so.
    pub of_saturation: Option<f64>,
    /// For how long.
    pub span: Duration,
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
    /// That rate as part of the most that the system works off, where it was chosen so.
    pub of_saturation: Option<f64>,
    /// How many there were.
    pub orders: u64,
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
    /// Processor time of an order, in milliseconds.
    pub usage: Usage,
}

/// One of `loads` after the other, on both by turns; `say` hears how far it is.
pub async fn latency(
    endpoints: &Endpoints,
    loads: &[Load],
    say: &mut impl FnMut(String),
) -> Result<Vec<Turn>> {
    let mut saga = Saga::start(endpoints, &[], 1).await?;
    saga.stock_up(&Shape::SINGLE.skus()).await?;
    let specimens = saga.specimens().await?;
    let mut ceiling = Ceiling::start(endpoints, &specimens, HAPPY_PATH.len()).await?;
    under(WARM_UP, &mut saga.shop, "warm", named).await?;
    under(WARM_UP, &mut ceiling.shop, "warm", in_order).await?;
    let mut turns = Vec::new();
    for (n, load) in loads.iter().enumerate() {
        let series = format!("l{n}");
        let turn = Turn {
            saga: under(*load, &mut saga.shop, &series, named).await?,
            relay: under(*load, &mut ceiling.shop, &series, in_order).await?,
        };
        ceiling.expect_running()?;
        let Latency { rate, p50, p95, p99, p999, .. } = turn.saga;
        say(format!(
            "{rate:.0} orders/s: p50 {p50:.1}, p95 {p95:.1}, p99 {p99:.1}, p99.9 {p999:.1} ms; \
             relay {:.1}, {:.1}, {:.1}, {:.1} ms",
            turn.relay.p50, turn.relay.p95, turn.relay.p99, turn.relay.p999
        ));
        turns.push(turn);
    }
    saga.expect_clean_audit().await?;
    Ok(turns)
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
    let started = Instant::now() + Duration::from_millis(50);
    let due = move |n: usize| started + Duration::from_secs_f64(n as f64 / load.rate);
    let counter = shop.counter.clone();
    let placing = tokio::spawn(place_when_due(counter, orders, due));
    let mut histogram = Histogram::<u64>::new_with_bounds(1, 600_000_000, 3)?;
    for ended in 0..count {
        let heard = tokio::time::timeout(PATIENCE, shop.heard.recv()).await;
        let heard = heard.with_context(|| format!("{ended} of {count} orders ended"))?;
        let heard = heard.context("the shop hears nothing any more")?;
        let n = which(&heard, ended).context("an order that was not placed here")?;
        let took = heard.at.saturating_duration_since(due(n));
        histogram.record(u64::try_from(took.as_micros())?.max(1))?;
    }
    placing.await??;
    let usage = Usage::now()?.since(&before).milliseconds_an_order(count);
    let ms = |micros: u64| micros as f64 / 1_000.0;
    let at = |quantile| ms(histogram.value_at_quantile(quantile));
    Ok(Latency {
        rate: load.rate,
        of_saturation: load.of_saturation,
        orders: histogram.len(),
        p50: at(0.5),
        p95: at(0.95),
        p99: at(0.99),
        p999: at(0.999),
        max: ms(histogram.max()),
        usage,
    })
}

/// Never waits for a confirm before it places the next: that would be a closed loop.
async fn place_when_due(
    counter: Counter,
    orders: Vec<Place>,
    due: impl Fn(usize) -> Instant,
) -> Result<()> {
    let mut confirms = JoinSet::new();
    for (n, order) in orders.iter().enumerate() {
        tokio::time::sleep_until(due(n).into()).await;
        confirms.spawn(counter.place_one(order).await?);
        while let Some(confirmed) = confirms.try_join_next() {
            confirmed??;
        }
    }
    while let Some(confirmed) = confirms.join_next().await {
        confirmed??;
    }
    Ok(())
}

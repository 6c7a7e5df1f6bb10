//! Latency under an open load: orders come when they are due, whether the system keeps up or not,
//! and what is measured begins when an order was due (no coordinated omission).

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use hdrhistogram::Histogram;
use serde::{Deserialize, Serialize};
use tokio::task::JoinSet;

use crate::orders::{Shape, place_in_series};
use crate::shop::{Counter, Place};
use crate::stage::Saga;
use crate::usage::Usage;

/// After so long without an end, something is stuck.
const PATIENCE: Duration = Duration::from_secs(30);

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
    /// Processor time of an order, in milliseconds; in results of before it is not known.
    #[serde(default)]
    pub usage: Usage,
}

/// Puts `load` on the system, whose articles are in stock.
pub async fn latency(saga: &mut Saga, name: &str, load: Load) -> Result<Latency> {
    let count = (load.rate * load.span.as_secs_f64()) as usize;
    ensure!(count > 0, "no orders");
    // Everything is made before the clock runs.
    let orders: Vec<_> = (0..count).map(|n| Shape::SINGLE.order(name, n)).collect();
    let before = Usage::now()?;
    let started = Instant::now() + Duration::from_millis(50);
    let due = move |n: usize| started + Duration::from_secs_f64(n as f64 / load.rate);
    let counter = saga.shop.counter.clone();
    let placing = tokio::spawn(place_when_due(counter, orders, due));
    let mut histogram = Histogram::<u64>::new_with_bounds(1, 600_000_000, 3)?;
    for ended in 0..count {
        let heard = tokio::time::timeout(PATIENCE, saga.shop.heard.recv()).await;
        let heard = heard.with_context(|| format!("{ended} of {count} orders ended"))?;
        let heard = heard.context("the shop hears nothing any more")?;
        let n = place_in_series(&heard.order).context("an order that was not placed here")?;
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

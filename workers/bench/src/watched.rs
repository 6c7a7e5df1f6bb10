//! What it costs to be watched: a system that counts and is scraped against one that does neither, by
//! turns.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use orderly_devstack::{Endpoints, get};
use serde::{Deserialize, Serialize};

use crate::orders::Shape;
use crate::results::Spread;
use crate::stage::{Run, Saga};
use crate::throughput::{Extent, OPEN};

/// How often every worker is scraped; Prometheus does it a fifth as often.
const SCRAPE_PERIOD: Duration = Duration::from_secs(1);

/// What was measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Watched {
    /// The rounds, one after the other.
    pub rounds: Vec<Turn>,
    /// Every scrape under that load.
    pub scrapes: Vec<Scrape>,
}

/// One turn of both.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Turn {
    /// With metrics.
    pub with: Run,
    /// Without.
    pub without: Run,
}

impl Turn {
    fn cost(&self) -> f64 {
        let [with, without] = [&self.with, &self.without].map(|run| Run::cost([run]));
        100.0 * (with.workers() - without.workers()) / without.of_system()
    }
}

/// A scrape of a worker.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub struct Scrape {
    /// From the request to the last byte, in milliseconds.
    pub milliseconds: f64,
    /// The length of the page.
    pub bytes: usize,
}

impl Watched {
    /// The rate with metrics as part of that without, round by round.
    pub fn ratio(&self) -> Spread {
        Spread::of(self.rounds.iter().map(|turn| turn.with.rate / turn.without.rate))
    }

    /// The processor time that metrics take, in percent of an order's without them, round by round. The
    /// rates tell less: they differ by more than metrics can cost from one minute to the next.
    pub fn cost(&self) -> Spread {
        Spread::of(self.rounds.iter().map(Turn::cost))
    }

    /// How long the scrapes took, in milliseconds.
    pub fn scrape_milliseconds(&self) -> Spread {
        Spread::of(self.scrapes.iter().map(|scrape| scrape.milliseconds))
    }

    /// The longest page, in bytes.
    pub fn page_bytes(&self) -> usize {
        self.scrapes.iter().map(|scrape| scrape.bytes).max().unwrap_or_default()
    }
}

/// Measures both; `say` hears how far it is.
pub async fn watched(
    endpoints: &Endpoints,
    extent: Extent,
    say: &mut impl FnMut(String),
) -> Result<Watched> {
    let mut with = Saga::start(endpoints, &[], 1).await?;
    let mut without = Saga::start(endpoints, &[("ORDERLY_METRICS", "false")], 1).await?;
    let series = |name: String, count| Shape::SINGLE.series(&name, count);
    for saga in [&mut with, &mut without] {
        saga.stock_up(&Shape::SINGLE.skus()).await?;
        saga.run(series("warm".into(), extent.orders / 4), OPEN).await?;
    }
    let pages: Vec<String> =
        with.system.running().iter().map(|worker| format!("{}/metrics", worker.url())).collect();
    let (mut rounds, mut scrapes) = (Vec::new(), Vec::new());
    for n in 1..=extent.rounds {
        let orders = || series(format!("r{n:03}"), extent.orders);
        // They go first by turns: what ran before leaves its writing behind.
        let before = if n % 2 == 0 { Some(without.run(orders(), OPEN).await?) } else { None };
        let (run, scraped) = while_scraped(&pages, with.run(orders(), OPEN)).await?;
        let without = match before {
            Some(run) => run,
            None => without.run(orders(), OPEN).await?,
        };
        let turn = Turn { with: run, without };
        say(format!(
            "round {n}: {:.0} orders/s with metrics, {:.0} without",
            turn.with.rate, turn.without.rate
        ));
        rounds.push(turn);
        scrapes.extend(scraped);
    }
    ensure!(!scrapes.is_empty(), "a round was too short for a scrape");
    with.expect_clean_audit().await?;
    without.expect_clean_audit().await?;
    Ok(Watched { rounds, scrapes })
}

/// Scrapes `pages` for as long as `flow` takes.
async fn while_scraped<T>(
    pages: &[String],
    flow: impl Future<Output = Result<T>>,
) -> Result<(T, Vec<Scrape>)> {
    let is_over = Arc::new(AtomicBool::new(false));
    let scraping = tokio::task::spawn_blocking({
        let (pages, is_over) = (pages.to_vec(), is_over.clone());
        move || {
            let mut scrapes = Vec::new();
            while !is_over.load(Ordering::Relaxed) {
                for page in &pages {
                    scrapes.push(scrape(page)?);
                }
                std::thread::sleep(SCRAPE_PERIOD);
            }
            Ok(scrapes)
        }
    });
    let done = flow.await;
    is_over.store(true, Ordering::Relaxed);
    let scrapes: Result<_> = scraping.await.context("the scraper panicked")?;
    Ok((done?, scrapes?))
}

fn scrape(page: &str) -> Result<Scrape> {
    let begun = Instant::now();
    let bytes = get(page)?.len();
    Ok(Scrape { milliseconds: 1_000.0 * begun.elapsed().as_secs_f64(), bytes })
}

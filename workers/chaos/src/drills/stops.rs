//! Orderly stops: SIGTERM with hundreds of orders in flight; and a second one for the impatient.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use orderly_contracts::routes::Party;
use orderly_e2e::{Databases, eventually};
use orderly_runtime::topology::WORKERS;

use crate::load::{Book, Load, Measure};
use crate::target::{LOOK, Target, ended};
use crate::verdict::{Verdict, judge};

/// So many orders are in flight at least when a worker is asked to stop.
pub const IN_FLIGHT: usize = 500;
/// The bound for the end of a worker.
pub const ENDS: Duration = Duration::from_secs(5);
/// So many orders are published at once before a stop.
const BURST: usize = 700;
/// How long the system may take to come to rest.
const RESTS: Duration = Duration::from_secs(120);

/// What was done and found.
#[derive(Debug)]
pub struct Stopped {
    /// How long each stop took, and with how many orders in flight.
    pub stops: Vec<(Party, Duration, usize)>,
    /// What the system was like afterwards.
    pub verdict: Verdict,
}

impl Stopped {
    /// The longest stop.
    pub fn longest(&self) -> Duration {
        self.stops.iter().map(|(_, took, _)| *took).max().unwrap_or_default()
    }

    /// The fewest orders in flight at a stop.
    pub fn in_flight(&self) -> usize {
        self.stops.iter().map(|(_, _, in_flight)| *in_flight).min().unwrap_or_default()
    }
}

/// Stops `size` workers under load, one after the other, each with a successor, and judges.
pub async fn run(seed: u64, size: usize) -> Result<Stopped> {
    let mut target = Target::prepare(&[]).await?;
    target.employ_all().await?;
    target.stock_up().await?;
    let databases = target.databases().await?;
    let mut book = Book::default();
    let mut stops = Vec::new();
    for number in 0..size {
        let party = WORKERS[number % WORKERS.len()];
        let in_flight = burst(&target, &databases, seed + number as u64, &mut book).await?;
        let place = target.position(party)?;
        let (_, mut worker) = target.crew().remove(place);
        let begun = Instant::now();
        worker.process.signal("TERM")?;
        let status = ended(&mut worker, "stop", ENDS).await?;
        stops.push((party, begun.elapsed(), in_flight));
        ensure!(status.success(), "{party}: {status}\n{}", worker.process.tail(20));
        target.employ(party).await?;
    }
    let verdict = judge(&mut target, &book, RESTS).await?;
    Ok(Stopped { stops, verdict })
}

/// Publishes until enough orders are in flight; how many are.
async fn burst(
    target: &Target,
    databases: &Databases,
    seed: u64,
    book: &mut Book,
) -> Result<usize> {
    // The orders of the stop before have to get out of the way.
    eventually("the orders before to end", async || {
        Ok((in_flight(databases, book).await? < 100).then_some(()))
    })
    .await?;
    for round in 0..10 {
        let seed = seed * 100 + round;
        let measure = Measure { seed, rate: u32::MAX, most: BURST, unpaid: 1 };
        book.add(Load::begin(target.system().environment(), measure).await?.complete().await?);
        let count = in_flight(databases, book).await?;
        if count >= IN_FLIGHT {
            return Ok(count);
        }
    }
    anyhow::bail!("there are never {IN_FLIGHT} orders in flight")
}

async fn in_flight(databases: &Databases, book: &Book) -> Result<usize> {
    let sql = "SELECT count(*) FROM orders WHERE ended_at IS NOT NULL";
    let ended: i64 = databases.order.query_one(sql, &[]).await?.get(0);
    Ok(book.ending().saturating_sub(usize::try_from(ended)?))
}

/// A worker that can't finish what it has in hand is asked twice; how long it lived on after the
/// first time, and after the second.
pub async fn insist(seed: u64) -> Result<(Duration, Duration, Verdict)> {
    let mut target = Target::prepare(&[]).await?;
    target.employ_all().await?;
    target.stock_up().await?;
    let databases = target.databases().await?;
    // Somebody sits on the whole inbox: no batch gets through.
    databases.order.batch_execute("BEGIN; LOCK TABLE inbox IN ACCESS EXCLUSIVE MODE").await?;
    let measure = Measure { seed, rate: u32::MAX, most: 50, unpaid: 1 };
    let book = Load::begin(target.system().environment(), measure).await?.complete().await?;
    let other = target.databases().await?;
    eventually("the order worker to wait for the inbox", async || {
        let sql = "SELECT count(*) FROM pg_locks WHERE NOT granted AND database =
                   (SELECT oid FROM pg_database WHERE datname = current_database())";
        let waiting: i64 = other.order.query_one(sql, &[]).await?.get(0);
        Ok((waiting > 0).then_some(()))
    })
    .await?;
    let place = target.position(Party::Order)?;
    let (_, mut worker) = target.crew().remove(place);
    let said = worker.process.output().len();
    let begun = Instant::now();
    worker.process.signal("TERM")?;
    while !worker.process.output()[said..].contains("asked to stop") {
        worker.process.expect_running()?;
        ensure!(begun.elapsed() < ENDS, "the worker did not hear the first signal");
        tokio::time::sleep(LOOK).await;
    }
    // It is still at it: the first signal has not ended it.
    worker.process.expect_running().context("it ended at the first signal")?;
    let first = begun.elapsed();
    let begun = Instant::now();
    worker.process.signal("TERM")?;
    let status = ended(&mut worker, "end at the second signal", ENDS).await?;
    let second = begun.elapsed();
    ensure!(status.code() == Some(1), "forced, it says so: {status}");
    databases.order.batch_execute("ROLLBACK").await?;
    target.employ(Party::Order).await?;
    Ok((first, second, judge(&mut target, &book, RESTS).await?))
}

//! A thundering start: many workers at once, before a queue full of orders.

use std::time::{Duration, Instant};

use anyhow::Result;
use orderly_contracts::routes::Party;
use orderly_runtime::topology::WORKERS;

use crate::load::{Load, Measure};
use crate::target::{Target, ready};
use crate::verdict::{Verdict, judge};

/// How long the system may take to come to rest afterwards.
const RESTS: Duration = Duration::from_secs(90);

/// What was done and found.
#[derive(Debug)]
pub struct Crowd {
    /// How many workers started.
    pub workers: usize,
    /// How long until the last of them was ready.
    pub ready: Duration,
    /// The most connections to PostgreSQL that were seen, of all databases.
    pub connections: i64,
    /// The most that it allows.
    pub connections_max: i64,
    /// What the system was like afterwards.
    pub verdict: Verdict,
}

/// Starts `count` workers at once before `orders` orders, and judges.
pub async fn run(seed: u64, count: usize, orders: usize) -> Result<Crowd> {
    let mut target = Target::prepare(&[]).await?;
    target.employ(Party::Stock).await?;
    target.stock_up().await?;
    let measure = Measure { seed, rate: 10_000, most: orders, unpaid: 10 };
    let book = Load::begin(target.system().environment(), measure).await?.complete().await?;
    let databases = target.databases().await?;
    let begun = Instant::now();
    let mut crowd = Vec::new();
    for number in 0..count {
        let party = WORKERS[number % WORKERS.len()];
        crowd.push((party, target.recruit(party, &[])?));
    }
    let mut last = Duration::ZERO;
    for (party, mut worker) in crowd {
        ready(&mut worker).await?;
        last = begun.elapsed();
        target.take_on(party, worker).await?;
    }
    let sql = "SELECT count(*), current_setting('max_connections')::bigint FROM pg_stat_activity
               WHERE application_name LIKE 'orderly-%'";
    let row = databases.order.query_one(sql, &[]).await?;
    let (connections, connections_max) = (row.get(0), row.get(1));
    let verdict = judge(&mut target, &book, RESTS).await?;
    Ok(Crowd { workers: count, ready: last, connections, connections_max, verdict })
}

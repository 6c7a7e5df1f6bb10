//! What an order costs in the databases, and how large the batches were, by the servers' own count.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use orderly_e2e::System;
use serde::{Deserialize, Serialize};

/// What the three databases did, together.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub struct Work {
    /// Rows inserted.
    pub inserted: f64,
    /// Rows updated.
    pub updated: f64,
    /// Rows deleted.
    pub deleted: f64,
    /// Transactions committed.
    pub commits: f64,
    /// Bytes written to the log of PostgreSQL.
    pub log_bytes: f64,
}

impl Work {
    /// All until now.
    pub async fn now(system: &System) -> Result<Self> {
        let mut work = Self::default();
        let databases = &system.databases;
        for client in [&databases.order, &databases.stock, &databases.payment] {
            // A backend tells what it did once it has been idle for a moment; these need no more.
            let sql = "SELECT tup_inserted::float8, tup_updated::float8, tup_deleted::float8,
                              xact_commit::float8
                       FROM pg_stat_database WHERE datname = current_database()";
            let row = client.query_one(sql, &[]).await?;
            work.inserted += row.get::<_, f64>(0);
            work.updated += row.get::<_, f64>(1);
            work.deleted += row.get::<_, f64>(2);
            work.commits += row.get::<_, f64>(3);
        }
        // One log for all databases of the server.
        let sql = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::float8";
        work.log_bytes = databases.order.query_one(sql, &[]).await?.get(0);
        Ok(work)
    }

    /// What was done since `before`, an order.
    #[must_use]
    pub fn per_order(&self, before: &Self, orders: usize) -> Self {
        let each = |now: f64, before: f64| (now - before) / orders as f64;
        Self {
            inserted: each(self.inserted, before.inserted),
            updated: each(self.updated, before.updated),
            deleted: each(self.deleted, before.deleted),
            commits: each(self.commits, before.commits),
            log_bytes: each(self.log_bytes, before.log_bytes),
        }
    }
}

/// Batches and the messages in them, by queue, as the workers count them.
#[derive(Debug, Clone, Default)]
pub struct Batches(BTreeMap<String, (f64, f64)>);

impl Batches {
    /// All until now.
    pub fn now(system: &System) -> Result<Self> {
        let mut batches = Self::default();
        for worker in system.running() {
            for line in worker.get("/metrics")?.lines() {
                let Some(rest) = line.strip_prefix("orderly_batch_messages_") else { continue };
                let (name, value) = rest.rsplit_once(' ').context("a metric without a value")?;
                let labels = name.split_once("queue=\"").and_then(|(_, rest)| rest.split_once('"'));
                let Some((queue, _)) = labels else { continue };
                let entry = batches.0.entry(queue.to_owned()).or_default();
                if name.starts_with("count") {
                    entry.0 += value.parse::<f64>()?;
                } else if name.starts_with("sum") {
                    entry.1 += value.parse::<f64>()?;
                }
            }
        }
        Ok(batches)
    }

    /// How many messages a batch had since `before`, on average.
    pub fn sizes_since(&self, before: &Self) -> BTreeMap<String, f64> {
        let size = |(queue, (count, sum)): (&String, &(f64, f64))| {
            let (count_before, sum_before) = before.0.get(queue).copied().unwrap_or_default();
            let (count, sum) = (count - count_before, sum - sum_before);
            (count > 0.0).then(|| (queue.clone(), sum / count))
        };
        self.0.iter().filter_map(size).collect()
    }
}

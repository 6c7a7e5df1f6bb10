//! PostgreSQL's own account: what each statement took, by `pg_stat_statements`.

use anyhow::{Context, Result};
use orderly_devstack::Endpoints;
use serde::Deserialize;

/// So many statements are told.
const MOST: usize = 25;
/// What was asked of the services' databases; what was asked through the others is the benchmark's own.
const TAKEN: &str = "
    SELECT coalesce(json_agg(taken ORDER BY milliseconds DESC), '[]') FROM (
        SELECT split_part(datname, '_', 1) AS service, query AS text, calls::float8,
               total_exec_time + total_plan_time AS milliseconds, rows::float8, wal_bytes::float8 AS log_bytes,
               (shared_blks_hit + shared_blks_read)::float8 AS pages
        FROM pg_stat_statements JOIN pg_database ON pg_database.oid = dbid
        WHERE datname <> 'postgres' AND datname NOT LIKE 'template%'
    ) AS taken";

/// What a statement took.
#[derive(Debug, Clone, PartialEq, Deserialize)]
pub struct Statement {
    /// Whose database it ran in.
    pub service: String,
    /// The statement, with its parameters as `$1`.
    pub text: String,
    /// How often it ran; an order, once it is told.
    pub calls: f64,
    /// From its begin to its end, waiting included; an order, in milliseconds.
    pub milliseconds: f64,
    /// Rows it gave or changed, an order.
    pub rows: f64,
    /// Pages it looked at, an order.
    pub pages: f64,
    /// What it wrote to PostgreSQL's log, in bytes an order.
    pub log_bytes: f64,
}

/// An account that has begun.
#[derive(Debug)]
pub struct Statements<'a> {
    endpoints: &'a Endpoints,
}

impl<'a> Statements<'a> {
    /// Begins to count, from nothing.
    pub fn begin(endpoints: &'a Endpoints) -> Result<Self> {
        endpoints.query("postgres", "CREATE EXTENSION IF NOT EXISTS pg_stat_statements")?;
        endpoints.query("postgres", "SELECT pg_stat_statements_reset()")?;
        Ok(Self { endpoints })
    }

    /// What has taken the longest since then, for each of so many `orders`.
    pub fn end(self, orders: usize) -> Result<Vec<Statement>> {
        let json = self.endpoints.query("postgres", TAKEN)?;
        let mut taken: Vec<Statement> = serde_json::from_str(&json).context("no statements")?;
        taken.truncate(MOST);
        for statement in &mut taken {
            let Statement { calls, milliseconds, rows, pages, log_bytes, .. } = statement;
            for figure in [calls, milliseconds, rows, pages, log_bytes] {
                *figure /= orders as f64;
            }
        }
        Ok(taken)
    }
}

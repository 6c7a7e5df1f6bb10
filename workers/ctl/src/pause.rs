//! `orderly pause` and `orderly resume`: a worker takes no work, until it is told to go on.
//!
//! The pause lies in the worker's database: all replicas heed it within a second or two, and a
//! restart doesn't end it. Messages wait in their queues, and deadlines of a paused worker's steps
//! stand still.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use orderly_contracts::routes::Party;
use tokio_postgres::Client;

use crate::cli::Service;
use crate::connections;
use crate::operator::operator;
use crate::output::{self, moment};
use crate::settings::Settings;

/// The arguments of `orderly pause`.
#[derive(Debug, Args)]
pub struct Pause {
    /// Which worker, all replicas of it
    #[arg(value_enum)]
    worker: Service,
    /// Why, for whoever finds it paused
    #[arg(long, value_name = "TEXT")]
    why: Option<String>,
}

/// The arguments of `orderly resume`.
#[derive(Debug, Args)]
pub struct Resume {
    /// Which worker, all replicas of it
    #[arg(value_enum)]
    worker: Service,
}

const BEGIN: &str = "\
INSERT INTO pauses (began_by, why) VALUES ($1, $2)
ON CONFLICT ((true)) WHERE ended_at IS NULL DO NOTHING";

const END: &str = "\
UPDATE pauses SET ended_at = now(), ended_by = $1 WHERE ended_at IS NULL
RETURNING began_by, why, (extract(epoch FROM began_at) * 1000000)::bigint";

const CURRENT: &str = "\
SELECT began_by, why, (extract(epoch FROM began_at) * 1000000)::bigint
FROM pauses WHERE ended_at IS NULL";

/// Runs `orderly pause`.
pub async fn pause(arguments: &Pause, settings: &Settings) -> Result<ExitCode> {
    output::line(begin(settings, arguments.worker.party(), arguments.why.as_deref()).await?)?;
    Ok(ExitCode::SUCCESS)
}

/// Runs `orderly resume`.
pub async fn resume(arguments: &Resume, settings: &Settings) -> Result<ExitCode> {
    output::line(end(settings, arguments.worker.party()).await?)?;
    Ok(ExitCode::SUCCESS)
}

/// Pauses a worker in the operator's name; what came of it, in a sentence.
pub(crate) async fn begin(settings: &Settings, worker: Party, why: Option<&str>) -> Result<String> {
    let database = connections::database(settings, worker).await?;
    let begun = database.execute(BEGIN, &[&operator(), &why]).await?;
    if begun == 1 {
        return Ok(format!("the {worker} worker is paused; `orderly resume {worker}` ends it"));
    }
    let pause = current(&database).await?.unwrap_or_default();
    Ok(format!("the {worker} worker was paused already, {pause}"))
}

/// Ends a worker's pause in the operator's name; what came of it, in a sentence.
pub(crate) async fn end(settings: &Settings, worker: Party) -> Result<String> {
    let database = connections::database(settings, worker).await?;
    Ok(match described(&database, END, &[&operator()]).await? {
        Some(pause) => format!("the {worker} worker goes on; it was paused {pause}"),
        None => format!("the {worker} worker was not paused"),
    })
}

/// The pause in effect in this database: since when, by whom and why.
pub(crate) async fn current(database: &Client) -> Result<Option<String>, tokio_postgres::Error> {
    described(database, CURRENT, &[]).await
}

async fn described(
    database: &Client,
    sql: &str,
    parameters: &[&(dyn tokio_postgres::types::ToSql + Sync)],
) -> Result<Option<String>, tokio_postgres::Error> {
    let row = database.query_opt(sql, parameters).await?;
    Ok(row.map(|row| {
        let (by, why, since): (String, Option<String>, i64) = (row.get(0), row.get(1), row.get(2));
        let why = why.map(|why| format!(": {why}")).unwrap_or_default();
        format!("since {} by {by}{why}", moment(since))
    }))
}

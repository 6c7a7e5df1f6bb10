//! `orderly deadlines`: what is waited for, and until when.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use serde::Serialize;
use tokio_postgres::{Client, Row};

use crate::cli::Service;
use crate::connections;
use crate::output::{self, Side, moment};
use crate::settings::Settings;

/// The commands about deadlines.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List deadlines, the next one first
    List(List),
}

/// The arguments of `orderly deadlines list`.
#[derive(Debug, Args)]
pub struct List {
    /// Whose deadlines
    #[arg(long, value_enum, default_value = "order")]
    service: Service,
    /// Only those that are due
    #[arg(long)]
    due: bool,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: u32,
    /// Print a JSON line a deadline
    #[arg(long)]
    json: bool,
}

const LIST: &str = "\
SELECT owner, step, round, (extract(epoch FROM due_at) * 1000000)::bigint AS due_at,
    (extract(epoch FROM due_at - now()) * 1000)::bigint AS left_ms
FROM timers WHERE NOT $1 OR due_at <= now() ORDER BY due_at, owner LIMIT $2";

const ONE: &str = "\
SELECT owner, step, round, (extract(epoch FROM due_at) * 1000000)::bigint AS due_at,
    (extract(epoch FROM due_at - now()) * 1000)::bigint AS left_ms
FROM timers WHERE owner = $1";

/// A deadline.
#[derive(Debug, Serialize)]
pub struct Deadline {
    /// Whose it is: an order.
    pub owner: String,
    /// Which answer is waited for.
    pub step: String,
    /// How often it was asked for again.
    pub round: i32,
    /// When it falls due.
    pub due_at: String,
    /// How long until then, by the database's clock; below zero if it is due.
    pub left_ms: i64,
}

impl Deadline {
    fn of(row: &Row) -> Self {
        Self {
            owner: row.get("owner"),
            step: row.get("step"),
            round: row.get("round"),
            due_at: moment(row.get("due_at")),
            left_ms: row.get("left_ms"),
        }
    }
}

/// The deadline of `owner`, if it waits for anything.
pub async fn of(client: &Client, owner: &str) -> Result<Option<Deadline>> {
    let row = client.query_opt(ONE, &[&owner]).await?;
    Ok(row.as_ref().map(Deadline::of))
}

/// Runs a command about deadlines.
pub async fn run(command: &Command, settings: &Settings) -> Result<ExitCode> {
    let Command::List(arguments) = command;
    let client = connections::database(settings, arguments.service.party()).await?;
    let limit = i64::from(arguments.limit);
    let rows = client.query(LIST, &[&arguments.due, &limit]).await?;
    let deadlines: Vec<_> = rows.iter().map(Deadline::of).collect();
    if arguments.json {
        for deadline in &deadlines {
            output::json(deadline)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = output::table(&[
        ("owner", Side::Left),
        ("step", Side::Left),
        ("round", Side::Right),
        ("due at", Side::Left),
        ("seconds left", Side::Right),
    ]);
    for deadline in deadlines {
        table.add_row([
            deadline.owner,
            deadline.step,
            deadline.round.to_string(),
            deadline.due_at,
            (deadline.left_ms / 1000).to_string(),
        ]);
    }
    output::show(&table, "no deadlines")?;
    Ok(ExitCode::SUCCESS)
}

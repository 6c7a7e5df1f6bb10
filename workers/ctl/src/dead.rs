//! `orderly dead`: messages that were given up, and why.

mod show;

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use orderly_contracts::Reason;
use orderly_contracts::routes::Party;
use orderly_runtime::topology::WORKERS;
use serde::Serialize;
use tokio_postgres::Row;

use crate::cli::Service;
use crate::connections;
use crate::exit::Misuse;
use crate::output::{self, Side, moment, shortened};
use crate::settings::{Need, Settings};

/// The commands about dead letters.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// List dead letters, the latest first
    List(List),
    /// Show one dead letter: why, where from, its properties and its body
    Show(show::Arguments),
}

/// The arguments of `orderly dead list`.
#[derive(Debug, Args)]
pub struct List {
    /// Only of this service
    #[arg(long, value_enum)]
    service: Option<Service>,
    /// Only for this reason, such as `invalid_content`
    #[arg(long, value_name = "REASON")]
    reason: Option<String>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: u32,
    /// Print a JSON line a letter
    #[arg(long)]
    json: bool,
}

/// Runs a command about dead letters.
pub async fn run(command: &Command, settings: &Settings) -> Result<ExitCode> {
    match command {
        Command::List(arguments) => list(arguments, settings).await,
        Command::Show(arguments) => show::run(arguments, settings).await,
    }
}

/// The services to look into, all of whose databases are set.
fn services(only: Option<Service>, settings: &Settings) -> Result<Vec<Party>> {
    let parties = match only {
        Some(service) => vec![service.party()],
        None => WORKERS.to_vec(),
    };
    let needs: Vec<_> = parties.iter().map(|party| Need::Database(*party)).collect();
    settings.check(&needs)?;
    Ok(parties)
}

const LIST: &str = "\
SELECT id::text AS id, reason, explanation, attempts, queue, kind, message_id, correlation_id,
    worker, occurrences, (extract(epoch FROM first_at) * 1000000)::bigint AS first_at,
    (extract(epoch FROM last_at) * 1000000)::bigint AS last_at
FROM dead_letters WHERE $1::text IS NULL OR reason = $1 ORDER BY last_at DESC, id LIMIT $2";

/// A dead letter in short.
#[derive(Serialize)]
struct Letter {
    service: &'static str,
    id: String,
    reason: String,
    text: String,
    attempts: i32,
    occurrences: i64,
    queue: String,
    #[serde(rename = "type")]
    kind: Option<String>,
    message_id: Option<String>,
    correlation_id: Option<String>,
    worker: String,
    first_at: String,
    last_at: String,
    #[serde(skip)]
    order: i64,
}

impl Letter {
    fn of(party: Party, row: &Row) -> Self {
        Self {
            service: party.name(),
            id: row.get("id"),
            reason: row.get("reason"),
            text: row.get("explanation"),
            attempts: row.get("attempts"),
            occurrences: row.get("occurrences"),
            queue: row.get("queue"),
            kind: row.get("kind"),
            message_id: row.get("message_id"),
            correlation_id: row.get("correlation_id"),
            worker: row.get("worker"),
            first_at: moment(row.get("first_at")),
            last_at: moment(row.get("last_at")),
            order: row.get("last_at"),
        }
    }
}

async fn list(arguments: &List, settings: &Settings) -> Result<ExitCode> {
    let reason = arguments.reason.as_deref();
    if let Some(unknown) = reason.filter(|code| Reason::from_code(code).is_none()) {
        let known: Vec<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
        bail!(Misuse(format!("there is no reason {unknown}; there are {}", known.join(", "))));
    }
    let limit = i64::from(arguments.limit);
    let mut letters = Vec::new();
    for party in services(arguments.service, settings)? {
        let client = connections::database(settings, party).await?;
        let rows = client.query(LIST, &[&reason, &limit]).await?;
        letters.extend(rows.iter().map(|row| Letter::of(party, row)));
    }
    letters.sort_by_key(|letter| std::cmp::Reverse(letter.order));
    letters.truncate(arguments.limit as usize);
    if arguments.json {
        for letter in &letters {
            output::json(letter)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    output::show(&table(&letters), "no dead letters")?;
    Ok(ExitCode::SUCCESS)
}

fn table(letters: &[Letter]) -> comfy_table::Table {
    let mut table = output::table(&[
        ("id", Side::Left),
        ("service", Side::Left),
        ("last at", Side::Left),
        ("reason", Side::Left),
        ("type", Side::Left),
        ("message id", Side::Left),
        ("attempts", Side::Right),
        ("seen", Side::Right),
        ("text", Side::Left),
    ]);
    for letter in letters {
        let text = |text: &Option<String>| shortened(text.as_deref().unwrap_or_default(), 40);
        table.add_row([
            letter.id.clone(),
            letter.service.to_owned(),
            letter.last_at.clone(),
            letter.reason.clone(),
            text(&letter.kind),
            text(&letter.message_id),
            letter.attempts.to_string(),
            letter.occurrences.to_string(),
            shortened(&letter.text, 60),
        ]);
    }
    table
}

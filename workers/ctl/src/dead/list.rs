//! `orderly dead list`: the letters one by one, the latest first.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use orderly_contracts::routes::Party;
use serde::Serialize;
use tokio_postgres::Row;

use super::drawer;
use super::plain::{self, brief, second};
use super::selection::{MATCHES, Selection, UNFINISHED};
use crate::output::{self, Side, moment};
use crate::settings::Settings;

/// The arguments of `orderly dead list`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    selection: Selection,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: u32,
    /// Print a JSON line a letter
    #[arg(long)]
    json: bool,
}

const LIST: &str = "
    SELECT id::text AS id, status, replays, failed_again_at IS NOT NULL AS has_failed_again,
        fingerprint, reason, explanation, attempts, queue, kind, message_id, correlation_id,
        worker, occurrences, (extract(epoch FROM first_at) * 1000000)::bigint AS first_at,
        (extract(epoch FROM last_at) * 1000000)::bigint AS last_at
    FROM dead_letters WHERE {matches} ORDER BY last_at DESC, id LIMIT $12";

/// A dead letter in short.
#[derive(Serialize)]
struct Letter {
    service: &'static str,
    id: String,
    status: String,
    replays: i32,
    failed_again: bool,
    group: String,
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
            status: row.get("status"),
            replays: row.get("replays"),
            failed_again: row.get("has_failed_again"),
            group: row.get::<_, Option<_>>("fingerprint").unwrap_or_default(),
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

    fn state(&self) -> String {
        if self.failed_again {
            format!("{}, failed again", self.status)
        } else {
            self.status.clone()
        }
    }
}

pub(super) async fn run(arguments: &Arguments, settings: &Settings) -> Result<ExitCode> {
    let filter = arguments.selection.filter(UNFINISHED)?;
    let limit = i64::from(arguments.limit);
    let mut letters = Vec::new();
    for drawer in drawer::open(settings, arguments.selection.service, &[]).await? {
        let mut parameters = filter.parameters().to_vec();
        parameters.push(&limit);
        let rows = drawer.client.query(&LIST.replace("{matches}", MATCHES), &parameters).await?;
        letters.extend(rows.iter().map(|row| Letter::of(drawer.party, row)));
    }
    letters.sort_by_key(|letter| std::cmp::Reverse(letter.order));
    letters.truncate(arguments.limit as usize);
    if arguments.json {
        letters.iter().try_for_each(plain::json)?;
        return Ok(ExitCode::SUCCESS);
    }
    output::show(&table(&letters), "no dead letters")?;
    Ok(ExitCode::SUCCESS)
}

fn table(letters: &[Letter]) -> comfy_table::Table {
    let mut table = output::table(&[
        ("id", Side::Left),
        ("service", Side::Left),
        ("status", Side::Left),
        ("last at", Side::Left),
        ("group", Side::Left),
        ("reason", Side::Left),
        ("type", Side::Left),
        ("message id", Side::Left),
        ("seen", Side::Right),
        ("text", Side::Left),
    ]);
    for letter in letters {
        let text = |text: &Option<String>| brief(text.as_deref().unwrap_or_default(), 40);
        table.add_row([
            letter.id.clone(),
            letter.service.to_owned(),
            letter.state(),
            second(&letter.last_at),
            letter.group.clone(),
            letter.reason.clone(),
            text(&letter.kind),
            text(&letter.message_id),
            letter.occurrences.to_string(),
            brief(&letter.text, 60),
        ]);
    }
    table
}

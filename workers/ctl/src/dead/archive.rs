//! `orderly dead archive` and `restore`: letters that nobody has to do anything about.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;
use uuid::Uuid;

use super::confirm::confirm;
use super::drawer;
use super::plain::{self, escaped};
use super::selection::{Filter, MATCHES, Selection, Status, none};
use crate::exit::misuse;
use crate::operator::operator;
use crate::output::{self, count};
use crate::settings::Settings;

/// The arguments of `orderly dead archive` and `orderly dead restore`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    selection: Selection,
    /// All that are in the state for it
    #[arg(long, conflicts_with = "ids")]
    all: bool,
    /// Why, for those who look later
    #[arg(long, value_name = "TEXT")]
    note: Option<String>,
    /// Ask nothing
    #[arg(long)]
    yes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// One of the two ways.
struct Move {
    from: &'static [&'static str],
    to: &'static str,
    action: &'static str,
    done: &'static str,
}

const ARCHIVE: Move =
    Move { from: Status::Open.names(), to: "archived", action: "archive", done: "archived" };
const RESTORE: Move =
    Move { from: Status::Archived.names(), to: "open", action: "restore", done: "open again" };

const COUNT: &str = "SELECT id FROM dead_letters WHERE {matches}";
/// Who was faster decides: a letter that is in another state by now is left alone. An edited message
/// that is on its way must be finished first.
const MOVE: &str = "
    WITH chosen AS (
        SELECT id FROM dead_letters
        WHERE id = ANY ($1) AND status = ANY ($2)
          AND NOT (status = 'replayed' AND edited_as IS NOT NULL)
        ORDER BY id FOR UPDATE
    ), moved AS (
        UPDATE dead_letters SET status = $3, status_at = now(), note = COALESCE($4, note)
        WHERE id IN (SELECT id FROM chosen) RETURNING id
    )
    INSERT INTO dead_actions (operator, action, letter, details)
    SELECT $5, $6, id, $4 FROM moved";

pub(super) async fn archive(arguments: &Arguments, settings: &Settings) -> Result<ExitCode> {
    put(arguments, settings, &ARCHIVE).await
}

pub(super) async fn restore(arguments: &Arguments, settings: &Settings) -> Result<ExitCode> {
    put(arguments, settings, &RESTORE).await
}

async fn put(arguments: &Arguments, settings: &Settings, way: &Move) -> Result<ExitCode> {
    let Arguments { selection, all, note, yes, json } = arguments;
    if selection.is_empty() && !all {
        return Err(misuse("say which letters: ids, --group, another filter, or --all"));
    }
    let from = selection.statuses(way.from);
    if from.contains(&way.to) {
        return Err(misuse(format!("letters in that state are {} already", way.done)));
    }
    let filter: Filter = selection.filter(way.from)?;
    let drawers = drawer::open(settings, selection.service, &[]).await?;
    let mut chosen: Vec<Vec<Uuid>> = Vec::new();
    for drawer in &drawers {
        let statement = COUNT.replace("{matches}", MATCHES);
        let rows = drawer.client.query(&statement, &filter.parameters()).await?;
        chosen.push(rows.iter().map(|row| row.get(0)).collect());
    }
    let total: usize = chosen.iter().map(Vec::len).sum();
    if total == 0 {
        bail!("{}", none(from));
    }
    let letters = count(total as u64, "letter");
    if !confirm(&format!("{} {letters}?", capital(way.action)), *yes || total == 1)? {
        bail!("nothing was changed");
    }
    let note = note.as_deref().map(escaped);
    let operator = operator();
    let mut moved = 0;
    for (drawer, ids) in drawers.iter().zip(&chosen) {
        // A thousand at once: nobody waits long for a lock, and a crash between is no harm.
        for part in ids.chunks(1_000) {
            let parameters: [&(dyn tokio_postgres::types::ToSql + Sync); 6] =
                [&part, &from, &way.to, &note, &operator, &way.action];
            moved += drawer.client.execute(MOVE, &parameters).await?;
        }
    }
    if *json {
        plain::json(&serde_json::json!({"letters": moved, "status": way.to}))?;
    } else {
        output::line(format!("{} {}", count(moved, "letter"), way.done))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn capital(word: &str) -> String {
    word.chars().take(1).flat_map(char::to_uppercase).chain(word.chars().skip(1)).collect()
}

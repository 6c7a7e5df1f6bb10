//! `orderly dead groups`: the letters by cause, the most frequent first.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde::Serialize;

use super::drawer;
use super::plain::{self, brief, second};
use super::selection::{MATCHES, Selection, UNFINISHED};
use crate::output::{self, Side, moment};
use crate::settings::Settings;

/// The arguments of `orderly dead groups`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    selection: Selection,
    /// Print a JSON line a group
    #[arg(long)]
    json: bool,
}

const GROUPS: &str = "
    SELECT COALESCE(fingerprint, ''), reason, kind, count(*),
        count(*) FILTER (WHERE status = 'open'), count(*) FILTER (WHERE status = 'replayed'),
        count(*) FILTER (WHERE failed_again_at IS NOT NULL),
        (extract(epoch FROM min(first_at)) * 1000000)::bigint,
        (extract(epoch FROM max(last_at)) * 1000000)::bigint, min(explanation)
    FROM dead_letters WHERE {matches} GROUP BY 1, reason, kind";

/// Letters of one worker with the same cause.
#[derive(Serialize)]
struct Group {
    service: &'static str,
    group: String,
    reason: String,
    #[serde(rename = "type")]
    kind: Option<String>,
    letters: i64,
    open: i64,
    replayed: i64,
    failed_again: i64,
    first_at: String,
    last_at: String,
    /// The explanation of one of them.
    text: String,
}

pub(super) async fn run(arguments: &Arguments, settings: &Settings) -> Result<ExitCode> {
    let filter = arguments.selection.filter(UNFINISHED)?;
    let statement = GROUPS.replace("{matches}", MATCHES);
    let mut groups = Vec::new();
    for drawer in drawer::open(settings, arguments.selection.service, &[]).await? {
        let rows = drawer.client.query(&statement, &filter.parameters()).await?;
        groups.extend(rows.iter().map(|row| Group {
            service: drawer.party.name(),
            group: row.get(0),
            reason: row.get(1),
            kind: row.get(2),
            letters: row.get(3),
            open: row.get(4),
            replayed: row.get(5),
            failed_again: row.get(6),
            first_at: moment(row.get(7)),
            last_at: moment(row.get(8)),
            text: row.get(9),
        }));
    }
    groups.sort_by(|one, other| (other.letters, &one.group).cmp(&(one.letters, &other.group)));
    if arguments.json {
        groups.iter().try_for_each(plain::json)?;
        return Ok(ExitCode::SUCCESS);
    }
    output::show(&table(&groups), "no dead letters")?;
    Ok(ExitCode::SUCCESS)
}

fn table(groups: &[Group]) -> comfy_table::Table {
    let mut table = output::table(&[
        ("group", Side::Left),
        ("service", Side::Left),
        ("reason", Side::Left),
        ("type", Side::Left),
        ("letters", Side::Right),
        ("replayed", Side::Right),
        ("failed again", Side::Right),
        ("first at", Side::Left),
        ("last at", Side::Left),
        ("one of them says", Side::Left),
    ]);
    for group in groups {
        table.add_row([
            group.group.clone(),
            group.service.to_owned(),
            group.reason.clone(),
            brief(group.kind.as_deref().unwrap_or_default(), 40),
            group.letters.to_string(),
            group.replayed.to_string(),
            group.failed_again.to_string(),
            second(&group.first_at),
            second(&group.last_at),
            brief(&group.text, 100),
        ]);
    }
    table
}

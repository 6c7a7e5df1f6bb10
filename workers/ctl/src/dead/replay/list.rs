//! How replays look: the set before one begins, and `orderly dead replays`.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde::Serialize;
use serde_json::json;

use super::journal::{PROGRESS, Progress};
use super::plan::Plan;
use crate::cli::Service;
use crate::dead::drawer;
use crate::dead::plain::{self, brief, escaped, second};
use crate::output::{self, Side, count, moment};
use crate::settings::Settings;

/// How many letters are shown one by one.
const SHOWN: usize = 20;

/// The arguments of `orderly dead replays`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Look only here, rather than in all services
    #[arg(long, value_enum, visible_alias = "worker")]
    service: Option<Service>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 20)]
    limit: u32,
    /// Print a JSON line a replay
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct Line {
    replay: String,
    began_at: String,
    operator: String,
    status: String,
    selection: serde_json::Value,
    #[serde(flatten)]
    progress: Progress,
}

pub(in crate::dead) async fn run(arguments: &Arguments, settings: &Settings) -> Result<ExitCode> {
    let mut replays: BTreeMap<String, Line> = BTreeMap::new();
    let limit = i64::from(arguments.limit);
    let statement = PROGRESS.replace("{which}", "ORDER BY at DESC LIMIT $1");
    for drawer in drawer::open(settings, arguments.service, &[]).await? {
        for row in drawer.client.query(&statement, &[&limit]).await? {
            let line = replays.entry(row.get(0)).or_insert_with(|| Line {
                replay: row.get(0),
                began_at: moment(row.get("began_at")),
                operator: row.get(1),
                status: row.get(3),
                selection: serde_json::from_str(row.get(2)).unwrap_or_default(),
                progress: Progress::default(),
            });
            line.progress += Progress::of(&row);
        }
    }
    let mut replays: Vec<Line> = replays.into_values().collect();
    replays.sort_by(|one, other| other.began_at.cmp(&one.began_at));
    replays.truncate(arguments.limit as usize);
    if arguments.json {
        replays.iter().try_for_each(plain::json)?;
        return Ok(ExitCode::SUCCESS);
    }
    output::show(&table(&replays), "no replays")?;
    Ok(ExitCode::SUCCESS)
}

fn table(replays: &[Line]) -> comfy_table::Table {
    let mut table = output::table(&[
        ("replay", Side::Left),
        ("began at", Side::Left),
        ("by", Side::Left),
        ("status", Side::Left),
        ("letters", Side::Right),
        ("sent", Side::Right),
        ("resolved", Side::Right),
        ("failed again", Side::Right),
        ("no outcome", Side::Right),
    ]);
    for line in replays {
        let Progress { letters, sent, resolved, failed_again, outstanding, .. } = line.progress;
        let numbers = [letters, sent, resolved, failed_again, outstanding];
        let texts =
            [&line.replay, &second(&line.began_at), &brief(&line.operator, 40), &line.status];
        let texts = texts.into_iter().cloned();
        table.add_row(texts.chain(numbers.iter().map(ToString::to_string)));
    }
    table
}

/// Shows the set of a dry run, and the pin that names it.
pub(super) fn show_plan(plan: &Plan, is_json: bool) -> Result<()> {
    if is_json {
        let pin = plan.pin.to_string();
        let letters = &plan.items;
        return plain::json(&json!({"pin": pin, "letters": letters, "refused": plan.refused}));
    }
    let mut table = output::table(&[
        ("id", Side::Left),
        ("service", Side::Left),
        ("group", Side::Left),
        ("reason", Side::Left),
        ("type", Side::Left),
        ("message id", Side::Left),
    ]);
    for item in plan.items.iter().take(SHOWN) {
        let text = |text: &Option<String>| brief(text.as_deref().unwrap_or_default(), 40);
        table.add_row([
            item.id.to_string(),
            item.service.to_owned(),
            item.group.clone(),
            item.reason.clone(),
            text(&item.kind),
            text(&item.message_id),
        ]);
    }
    output::show(&table, "there is no letter to replay")?;
    if plan.items.len() > SHOWN {
        output::line(format!("... and {} more", plan.items.len() - SHOWN))?;
    }
    tell_refused(plan);
    let letters = count(plan.items.len() as u64, "letter");
    output::line(format!("{letters} would be sent; the same command with this pin sends them:"))?;
    output::line(format!("  --pin {}", plan.pin))
}

/// Says what can't be sent again as it is, and why.
pub(super) fn tell_refused(plan: &Plan) {
    for item in plan.refused.iter().take(SHOWN) {
        eprintln!("refused: {}: {}", item.id, escaped(item.refused.as_deref().unwrap_or_default()));
    }
    if plan.refused.len() > SHOWN {
        eprintln!("refused: {} more", plan.refused.len() - SHOWN);
    }
}

/// How many letters of each cause are in the set, on stderr: it stands before a question.
pub(super) fn show_summary(plan: &Plan) {
    let mut causes: BTreeMap<(&str, &str, &str), u64> = BTreeMap::new();
    for item in &plan.items {
        let kind = item.kind.as_deref().unwrap_or_default();
        *causes.entry((item.group.as_str(), item.reason.as_str(), kind)).or_default() += 1;
    }
    for ((group, reason, kind), letters) in causes {
        eprintln!("{letters:>8} {group} {reason} {}", brief(kind, 40));
    }
}

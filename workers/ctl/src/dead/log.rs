//! `orderly dead log`: who did what to which letter, when; and what became of it.

use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde::Serialize;
use tokio_postgres::Row;
use uuid::Uuid;

use super::drawer::{self, Drawer};
use super::plain::{self, brief, escaped, second};
use crate::cli::Service;
use crate::output::{self, Side, moment};
use crate::settings::Settings;

/// The arguments of `orderly dead log`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Only about these letters, or these replays
    #[arg(value_name = "ID")]
    ids: Vec<Uuid>,
    /// Look only here, rather than in all services
    #[arg(long, value_enum, visible_alias = "worker")]
    service: Option<Service>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: u32,
    /// Print a JSON line an action
    #[arg(long)]
    json: bool,
}

const ACTIONS: &str = "
    SELECT (extract(epoch FROM at) * 1000000)::bigint AS at, operator, action, letter::text,
        replay::text, details
    FROM dead_actions
    WHERE $1::uuid[] IS NULL OR letter = ANY ($1) OR replay = ANY ($1)
    ORDER BY id DESC LIMIT $2";

/// Something that was done to a letter or a replay, or that became of it.
#[derive(Debug, Serialize)]
pub(super) struct Action {
    at: String,
    operator: String,
    action: String,
    service: &'static str,
    letter: Option<String>,
    replay: Option<String>,
    details: Option<String>,
}

impl Action {
    /// The action in one line.
    pub(super) fn sentence(&self) -> String {
        let Self { at, operator, action, details, replay, .. } = self;
        let what = details.as_deref().map(|text| format!(": {}", escaped(text)));
        let replay = replay.as_deref().filter(|_| what.is_none());
        let what = what.or_else(|| replay.map(|id| format!(", replay {id}"))).unwrap_or_default();
        format!("{at} {action} by {}{what}", escaped(operator))
    }
}

/// The latest actions of one worker's letters, the latest first.
pub(super) async fn actions(
    drawer: &Drawer,
    ids: Option<&[Uuid]>,
    limit: u32,
) -> Result<Vec<Action>> {
    let rows = drawer.client.query(ACTIONS, &[&ids, &i64::from(limit)]).await?;
    let action = |row: &Row| Action {
        at: moment(row.get(0)),
        operator: row.get(1),
        action: row.get(2),
        service: drawer.party.name(),
        letter: row.get(3),
        replay: row.get(4),
        details: row.get(5),
    };
    Ok(rows.iter().map(action).collect())
}

pub(super) async fn run(arguments: &Arguments, settings: &Settings) -> Result<ExitCode> {
    let ids = (!arguments.ids.is_empty()).then_some(arguments.ids.as_slice());
    let mut all = Vec::new();
    for drawer in drawer::open(settings, arguments.service, &[]).await? {
        all.extend(actions(&drawer, ids, arguments.limit).await?);
    }
    all.sort_by(|one, other| other.at.cmp(&one.at));
    all.truncate(arguments.limit as usize);
    if arguments.json {
        all.iter().try_for_each(plain::json)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = output::table(&[
        ("at", Side::Left),
        ("by", Side::Left),
        ("action", Side::Left),
        ("letter", Side::Left),
        ("replay", Side::Left),
        ("details", Side::Left),
    ]);
    for action in all {
        table.add_row([
            second(&action.at),
            brief(&action.operator, 40),
            action.action,
            action.letter.unwrap_or_default(),
            action.replay.unwrap_or_default(),
            brief(action.details.as_deref().unwrap_or_default(), 60),
        ]);
    }
    output::show(&table, "nothing was done so far")?;
    Ok(ExitCode::SUCCESS)
}

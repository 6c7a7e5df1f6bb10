//! `orderly dead replay`: letters' messages go back to the queues they died in, as they were.
//!
//! Read [`journal`] for why nothing is lost or doubled, [`plan`] for which letters it is about,
//! [`way`] for where a message goes and [`run`] for how fast. The same message id is what makes all
//! of it harmless: a message that has had its effect has none again.

mod journal;
pub(super) mod list;
pub(super) mod plan;
mod run;
pub(super) mod way;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::json;
use uuid::Uuid;

use super::confirm::confirm;
use super::drawer::{self, Drawer};
use super::plain;
use super::selection::{Selection, Status, none};
use crate::exit::{FAILED, misuse};
use crate::operator::operator;
use crate::output::{self, count, parse_duration};
use crate::publish::sender::Sender;
use crate::settings::{Need, Settings};
pub(super) use journal::LOCK;
use journal::{Progress, Replay};
use plan::{Pin, Plan};
use run::{Manner, Run};

/// How long outcomes of a canary are waited for, unless told otherwise.
const CANARY_WAIT: Duration = Duration::from_secs(60);
/// How long an interrupted run of the same replay is given to vanish.
const LOCK_WAIT: Duration = Duration::from_secs(5);

/// The arguments of `orderly dead replay`.
#[derive(Debug, Args)]
#[command(after_help = EXAMPLES)]
pub struct Arguments {
    #[command(flatten)]
    selection: Selection,
    /// All open letters
    #[arg(long, conflicts_with_all = ["ids", "resume"])]
    all: bool,
    /// At most so many, those that died first
    #[arg(long, value_name = "N")]
    limit: Option<u32>,
    /// Show the set and its pin, and change nothing
    #[arg(long)]
    dry_run: bool,
    /// Exactly the set that `--dry-run` showed under this pin; if it is another one by now, nothing
    #[arg(long, conflicts_with = "dry_run")]
    pin: Option<Pin>,
    /// Go on with this replay
    #[arg(long, value_name = "REPLAY", conflicts_with_all = ["dry_run", "pin", "limit"])]
    resume: Option<Uuid>,
    /// At most so many a second
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    rate: Option<u32>,
    /// Send so many first; go on only if each of them turns out well, and stop at the first that
    /// fails again
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    canary: Option<u32>,
    /// Wait so long for outcomes, such as 30s; a canary is waited for by itself, for a minute
    #[arg(long, value_name = "DURATION", value_parser = parse_duration)]
    wait: Option<Duration>,
    /// Ask nothing
    #[arg(long)]
    yes: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

const EXAMPLES: &str = "\
A killed replay is continued by the same command, or by --resume. What has been sent has had its
effect once, however often it is sent.

Examples:
  orderly dead replay --group 3f9a01c2d4e5 --dry-run
  orderly dead replay --group 3f9a01c2d4e5 --canary 3
  orderly dead replay --type order.place.v1 --since 2h --rate 100 --wait 1m";

const SAME: &str = "
    SELECT id FROM dead_replays WHERE status = 'running' AND selection = $1
    ORDER BY at DESC LIMIT 1";
const KNOWN: &str = "SELECT selection, status FROM dead_replays WHERE id = $1";
const TRY_LOCK: &str = "SELECT pg_try_advisory_lock(hashtextextended($1::text, 0))";

pub(super) async fn run(arguments: &Arguments, settings: &Settings) -> Result<ExitCode> {
    let selection = &arguments.selection;
    if arguments.resume.is_some() && !selection.is_empty() {
        return Err(misuse("a replay that is resumed has its letters; select none"));
    }
    if arguments.resume.is_none() && !arguments.all && selection.is_empty() {
        return Err(misuse("say which letters: ids, --group, another filter, or --all"));
    }
    if selection.status.is_some_and(|it| matches!(it, Status::Archived | Status::All)) {
        return Err(misuse("archived letters are not sent; `orderly dead restore` opens them"));
    }
    let mut drawers = drawer::open(settings, selection.service, &[Need::Broker]).await?;
    let asked = json!({"selection": selection, "limit": arguments.limit,
                       "pin": arguments.pin.as_ref().map(ToString::to_string)});
    let asked = asked.to_string();
    if let Some(id) = arguments.resume {
        return resume(id, &mut drawers, arguments, settings).await;
    }
    if !arguments.dry_run
        && let Some(id) = find_same(&drawers, &asked).await?
    {
        note(&format!("going on with the replay {id}, which was interrupted"));
        return resume(id, &mut drawers, arguments, settings).await;
    }
    let allowed = selection.statuses(Status::Open.names());
    let filter = selection.filter(Status::Open.names())?;
    let plan = plan::choose(&drawers, filter, arguments.limit, arguments.pin.as_ref()).await?;
    if arguments.dry_run {
        list::show_plan(&plan, arguments.json)?;
        return Ok(ExitCode::SUCCESS);
    }
    list::tell_refused(&plan);
    if plan.items.is_empty() {
        bail!("{}", none(allowed));
    }
    if !is_wanted(&plan, arguments)? {
        bail!("nothing was sent");
    }
    let replay = Replay { id: Uuid::new_v4(), operator: operator(), allowed };
    lock(&drawers, replay.id).await?;
    replay.record(&mut drawers, &asked, &plan).await?;
    work_off(&replay, &mut drawers, arguments, settings, plan.refused.len()).await
}

/// Whether the operator wants it. One letter that was named is meant.
fn is_wanted(plan: &Plan, arguments: &Arguments) -> Result<bool> {
    let is_asked = plan.items.len() > 1 && !arguments.yes && arguments.pin.is_none();
    if is_asked {
        list::show_summary(plan);
    }
    let letters = count(plan.items.len() as u64, "letter");
    confirm(&format!("Replay {letters}?"), !is_asked)
}

async fn find_same(drawers: &[Drawer], asked: &str) -> Result<Option<Uuid>> {
    for drawer in drawers {
        if let Some(row) = drawer.client.query_opt(SAME, &[&asked]).await? {
            return Ok(Some(row.get(0)));
        }
    }
    Ok(None)
}

/// Goes on with a replay that was recorded before.
async fn resume(
    id: Uuid,
    drawers: &mut [Drawer],
    arguments: &Arguments,
    settings: &Settings,
) -> Result<ExitCode> {
    lock(drawers, id).await?;
    let mut known: Vec<(String, String)> = Vec::new();
    for drawer in drawers.iter() {
        let row = drawer.client.query_opt(KNOWN, &[&id]).await?;
        known.extend(row.map(|row| (row.get(0), row.get(1))));
    }
    let (asked, _) = known.first().with_context(|| format!("there is no replay {id}"))?;
    if known.iter().all(|(_, status)| status == "recording") {
        bail!("it was interrupted before its set was complete; nothing was sent, so replay anew");
    }
    let asked: serde_json::Value = serde_json::from_str(asked)?;
    let selection: Selection = serde_json::from_value(asked["selection"].clone())?;
    let allowed = selection.statuses(Status::Open.names());
    let replay = Replay { id, operator: operator(), allowed };
    replay.begin(drawers).await?;
    work_off(&replay, drawers, arguments, settings, 0).await
}

/// Two processes at the same replay would send everything twice: harmless, and of no use.
async fn lock(drawers: &[Drawer], id: Uuid) -> Result<()> {
    let deadline = std::time::Instant::now() + LOCK_WAIT;
    for drawer in drawers {
        while !drawer.client.query_one(TRY_LOCK, &[&id.to_string()]).await?.get::<_, bool>(0) {
            if std::time::Instant::now() >= deadline {
                bail!("the replay {id} is being worked off by another process");
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
    Ok(())
}

async fn work_off(
    replay: &Replay,
    drawers: &mut [Drawer],
    arguments: &Arguments,
    settings: &Settings,
    refused: usize,
) -> Result<ExitCode> {
    note(&format!("replay {}", replay.id));
    let wait = arguments.wait.or(arguments.canary.map(|_| CANARY_WAIT));
    let manner = Manner { rate: arguments.rate, canary: arguments.canary, wait };
    let mut sender = Sender::connect(settings, Duration::from_secs(60)).await?;
    let run = Run::new(replay, drawers, &mut sender, manner).await?;
    let stopped = run
        .run()
        .await
        .with_context(|| format!("`orderly dead replay --resume {}` goes on with it", replay.id))?;
    sender.close().await;
    replay.end(drawers, stopped.as_deref()).await?;
    let wait = if stopped.is_some() { None } else { wait };
    let is_over = |it: &Progress| it.outstanding == 0;
    let progress = run::wait_until(replay, drawers, wait.unwrap_or_default(), is_over).await?;
    tell(replay, &progress, refused, stopped.as_deref(), arguments.json)?;
    let is_bad =
        stopped.is_some() || progress.failed_again > 0 || progress.sent == 0 || refused > 0;
    let is_late = arguments.wait.is_some() && progress.outstanding > 0;
    Ok(if is_bad || is_late { ExitCode::from(FAILED) } else { ExitCode::SUCCESS })
}

fn tell(
    replay: &Replay,
    progress: &Progress,
    refused: usize,
    stopped: Option<&str>,
    is_json: bool,
) -> Result<()> {
    let id = replay.id;
    if is_json {
        let mut document = json!({"replay": id, "refused": refused, "stopped": stopped});
        document["progress"] = json!(progress);
        return plain::json(&document);
    }
    let Progress { letters, sent, skipped, resolved, failed_again, outstanding } = progress;
    output::line(format!(
        "{sent} of {letters} sent: {resolved} resolved, {failed_again} failed again, \
         {outstanding} without an outcome yet"
    ))?;
    if *skipped > 0 {
        note(&format!("{skipped} passed over: they were in another state by then"));
    }
    if let Some(why) = stopped {
        note(&format!("stopped: {why}"));
        note(&format!("`orderly dead replay --resume {id}` goes on with the rest"));
    }
    if *outstanding > 0 {
        note(&format!("`orderly dead list --replayed-by {id}` shows how they turn out"));
    }
    Ok(())
}

/// What is said beside the result goes to stderr.
fn note(text: &str) {
    eprintln!("orderly: {text}");
}

//! `orderly audit`: proves, per order and in sums, that nothing is lost and nothing is double.
//!
//! The three databases are read once, side by side, in the order of order ids and page by page,
//! so memory stays bounded however many orders there are ([`databases`]). Each order is judged by
//! a pure function ([`verdict`]) with rules of its own for [`order`], [`stock`] and [`money`].
//!
//! It works on a running system. The three databases are read at different moments, and whichever
//! is read first, an order may move between the reads: read before stock and payment, an order
//! that is placed in between looks like stock without an order; read after them, an order that is
//! paid in between looks confirmed without money. So there is no right order for the first
//! reading. Whatever is not clean by then is a suspect, and is read again by its id
//! ([`suspects`]): the order, then stock and payment, then the order's version once more. If the
//! version is the same, nothing the saga does happened in between and the three fit together; if
//! not, the order is read yet again. What remains is the effect of messages on their way, such as
//! a confirmed order whose stock is about to be committed: that settles, or a queue, an outbox or
//! a dead letter explains it, or it is a violation. A message in a worker's hands is in none of
//! those places for a moment, which is why `--settle` should not be shorter than that.
//!
//! Orders that are placed during the audit with an id that was passed already are not part of it.

mod arrivals;
mod articles;
pub mod books;
mod databases;
mod facts;
mod money;
mod open;
mod order;
mod report;
mod rows;
mod sql;
mod stock;
mod suspects;
mod tally;
#[cfg(test)]
mod tests;
mod verdict;
mod violation;
mod waiting;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use indicatif::{ProgressBar, ProgressStyle};
use orderly_runtime::broker::Broker as _;
use orderly_runtime::topology::WORKERS;

use crate::connections;
use crate::exit::FAILED;
use crate::output;
use crate::settings::{Need, Settings};
use arrivals::Arrivals;
use databases::Databases;
use report::{Report, Times};
use suspects::{Settling, Suspects};
use tally::Tally;
use verdict::judge;
use waiting::Waiting;

/// How many orders a page has.
const PAGE: i64 = 2_000;
/// An unsent batch older than so many times the workers' sweep was not swept.
const SWEEPS: u32 = 2;

/// The arguments of `orderly audit`.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub struct Arguments {
    /// Prove that every message in this file, as `orderly publish --receipts` wrote it, arrived
    #[arg(long, value_name = "FILE")]
    receipts: Option<PathBuf>,
    /// How long what is not clean may take to settle
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = output::parse_duration)]
    settle: Duration,
    /// The workers' `ORDERLY_SWEEP_AFTER_MS`: after twice this time an unsent batch is suspicious
    #[arg(long, value_name = "TIME", default_value = "30s", value_parser = output::parse_duration)]
    sweep_after: Duration,
    /// How many violations and open orders the JSON document names
    #[arg(long, value_name = "N", default_value_t = 1000)]
    limit: usize,
    /// Write one JSON document instead of lines and tables
    #[arg(long)]
    json: bool,
}

const HELP: &str = "\
The audit only reads, and may run at any time. Its verdict of an order is one of
  clean     it ended once, and stock and money are as they should be
  open      it waits for an answer, or a message about it waits or was given up
  violated  something is lost, double or contradictory

With --settle 0s everything has one reading alone, which is right on a system at rest; on a
running one, leave time for messages in the workers' hands. Receipts are looked for in the
inboxes, which remember for ORDERLY_INBOX_RETENTION_DAYS: older receipts count as lost.

Exit status: 0 if nothing is violated, 1 if something is or the audit failed, 2 for wrong
arguments or settings.";

/// Audits the whole system.
pub async fn run(arguments: &Arguments, settings: &Settings) -> Result<ExitCode> {
    let mut needs = vec![Need::Broker, Need::Ladder];
    needs.extend(WORKERS.map(Need::Database));
    settings.check(&needs)?;
    let ladder = settings.ladder()?;
    let clients = connections::databases(settings).await?;
    let databases = Databases::new(clients).await?;
    let broker = connections::broker(settings).await?;

    let start = Instant::now();
    let mut tally =
        Tally { names_at_once: !arguments.json, limit: arguments.limit, ..Tally::default() };
    let suspects = walk(&databases, &mut tally).await?;
    let reading = start.elapsed();
    let judged_at_once = suspects.judged_at_once;
    let articles = articles::audit_articles(&databases, &mut tally).await?;
    let mut arrivals = match &arguments.receipts {
        Some(path) => Some(Arrivals::read(path, &databases).await?),
        None => None,
    };
    let settling = Settling {
        databases: &databases,
        broker: &broker,
        ladder: &ladder,
        patience: arguments.settle,
        outbox_patience: arguments.sweep_after.saturating_mul(SWEEPS),
        receipts: arguments.receipts.as_deref(),
    };
    let waiting = settling.settle(suspects, &mut arrivals, &mut tally).await?;
    broker.close().await;
    tally.judge_money()?;

    let total = start.elapsed();
    let times = Times { reading, total };
    let report = Report::new(tally, articles, waiting, arrivals, judged_at_once, &times);
    if arguments.json {
        output::json(&report)?;
    } else {
        report.show()?;
    }
    let is_violated = report.is_violated();
    Ok(if is_violated { ExitCode::from(FAILED) } else { ExitCode::SUCCESS })
}

/// Reads every order once; what is not clean.
async fn walk(databases: &Databases, tally: &mut Tally) -> Result<Suspects> {
    let progress = progress();
    let mut suspects = Suspects::default();
    let mut after = String::new();
    loop {
        let (range, is_last) = databases.range(&after, PAGE).await?;
        let mut walk = databases.read_range(&range).await?;
        while let Some(facts) = walk.next().await? {
            let verdict = judge(&facts, &Waiting::default());
            suspects.sort(&facts, verdict, tally)?;
            progress.inc(1);
        }
        if is_last {
            progress.finish_and_clear();
            return Ok(suspects);
        }
        after = range.up_to;
    }
}

/// Shows on stderr how far it is, if people are looking.
fn progress() -> ProgressBar {
    let style = ProgressStyle::with_template("{spinner} {human_pos} orders read, {per_sec}")
        .unwrap_or_else(|_| ProgressStyle::default_spinner());
    ProgressBar::new_spinner().with_style(style)
}

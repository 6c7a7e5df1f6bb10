//! `orderly top`: the running system, live in a terminal.
//!
//! The sources (`gather`) tell what they see, each by itself and once a second; `model` keeps it,
//! `view` draws it, `keys` says what a key does. All but `gather`, `act` and `screen` are pure.
//! Everything comes from the broker and the databases, so that an operator sees the same on any
//! host that reaches them, however many replicas there are and wherever they run.

mod act;
mod gather;
mod keys;
mod model;
mod pace;
mod palette;
mod plain;
mod report;
#[cfg(test)]
mod sample;
mod screen;
mod snapshot;
mod spark;
mod tables;
mod view;
mod wrap;

use std::io::IsTerminal;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use orderly_runtime::topology::WORKERS;
use tokio::time::timeout;

use crate::dead::plain::json;
use crate::exit::{FAILED, misuse};
use crate::settings::{Need, Settings};
use crate::setup::topology;
use model::Model;
use palette::Palette;

/// The arguments of `orderly top`.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub struct Arguments {
    /// Look once and print tables
    #[arg(long)]
    once: bool,
    /// Look once and print one JSON document
    #[arg(long)]
    json: bool,
    /// Use no colours, as with `NO_COLOR` set or on a terminal that has none
    #[arg(long)]
    no_color: bool,
}

const HELP: &str = "\
The screen needs 60 columns and 16 rows, and is made for 80 x 24 and more. `?` shows the keys. A
worker is paused only after a question, and in the name of the operator, as by `orderly pause`.

With --once or --json the exit status is 1 if a server tells nothing; what is known is printed.";

/// Watches, or looks once.
pub async fn run(arguments: &Arguments, settings: &Settings) -> Result<ExitCode> {
    let databases = WORKERS.map(Need::Database);
    let others = [Need::Broker, Need::Ladder, Need::Management];
    settings.check(&[&others[..], &databases[..]].concat())?;
    let model = Model::new(
        place(settings)?,
        topology(&settings.ladder()?),
        settings.management()?.is_some(),
    );
    if arguments.once || arguments.json {
        return look_once(arguments, settings, model).await;
    }
    if !std::io::stdout().is_terminal() || !std::io::stdin().is_terminal() {
        return Err(misuse("this is no terminal; --once prints tables, and --json a document"));
    }
    let palette = match arguments.no_color {
        true => Palette::new(false),
        false => Palette::of_environment(|name| std::env::var(name).ok()),
    };
    screen::watch(settings, model, palette).await?;
    Ok(ExitCode::SUCCESS)
}

/// Where the broker is, in short.
fn place(settings: &Settings) -> Result<String> {
    let address = settings.broker()?;
    let port = address.url.port().map(|port| format!(":{port}")).unwrap_or_default();
    Ok(format!("{}{port}{}", address.host(), address.url.path()))
}

async fn look_once(
    arguments: &Arguments,
    settings: &Settings,
    mut model: Model,
) -> Result<ExitCode> {
    let mut news = gather::start(settings)?;
    // Every source tells something by then, even if it is only that it is away.
    let complete = timeout(gather::LIMIT + gather::PERIOD, async {
        while model.unheard() > 0 {
            let Some(update) = news.recv().await else { return };
            model.take(update);
        }
    });
    let is_complete = complete.await.is_ok();
    let report = model.report();
    match arguments.json {
        true => json(&report)?,
        false => plain::print(&report)?,
    }
    let is_well = is_complete && report.away.is_empty();
    Ok(if is_well { ExitCode::SUCCESS } else { ExitCode::from(FAILED) })
}

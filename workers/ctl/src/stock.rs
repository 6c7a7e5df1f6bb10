//! `orderly stock`: what lies on the shelves, who has reserved it, and how it gets there.

mod adjust;
mod seed;

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use orderly_contracts::routes::Party;
use orderly_contracts::stock::Shortage;
use serde::Serialize;
use tokio_postgres::Client;

use crate::connections;
use crate::exit::FAILED;
use crate::output::{self, Side, moment};
use crate::settings::Settings;

/// The commands about stock.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Fill the shelves for real orders, but for a part of the articles
    Seed(seed::Arguments),
    /// Show articles: how much is there, reserved and available
    Show(Show),
    /// Correct the stock of an article, by a command to the stock worker
    Adjust(adjust::Arguments),
}

/// The arguments of `orderly stock show`.
#[derive(Debug, Args)]
pub struct Show {
    /// Only these articles
    #[arg(value_name = "SKU")]
    skus: Vec<String>,
    /// At most so many, in the order of their codes
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: u32,
    /// Go on after this article
    #[arg(long, value_name = "SKU")]
    after: Option<String>,
    /// Print a JSON line an article
    #[arg(long)]
    json: bool,
}

/// Runs a command about stock.
pub async fn run(command: &Command, settings: &Settings) -> Result<ExitCode> {
    match command {
        Command::Seed(arguments) => seed::run(arguments, settings).await,
        Command::Show(arguments) => show(arguments, settings).await,
        Command::Adjust(arguments) => adjust::run(arguments, settings).await,
    }
}

const ITEMS: &str = "\
SELECT sku, on_hand, reserved, on_hand - reserved AS available FROM items
WHERE ($1::text[] IS NULL OR sku = ANY($1)) AND ($2::text IS NULL OR sku > $2)
ORDER BY sku LIMIT $3";

#[derive(Serialize)]
struct Item {
    sku: String,
    on_hand: i64,
    reserved: i64,
    available: i64,
}

async fn show(arguments: &Show, settings: &Settings) -> Result<ExitCode> {
    let client = connections::database(settings, Party::Stock).await?;
    let skus = (!arguments.skus.is_empty()).then_some(&arguments.skus);
    // Whoever names articles wants them all.
    let limit = i64::from(arguments.limit).max(arguments.skus.len() as i64);
    let rows = client.query(ITEMS, &[&skus, &arguments.after, &limit]).await?;
    let items: Vec<_> = rows
        .iter()
        .map(|row| Item {
            sku: row.get("sku"),
            on_hand: row.get("on_hand"),
            reserved: row.get("reserved"),
            available: row.get("available"),
        })
        .collect();
    if arguments.json {
        for item in &items {
            output::json(item)?;
        }
    } else {
        output::show(&table(&items), "no articles")?;
    }
    if skus.is_none() && items.len() as i64 == limit {
        let last = items.last().map(|item| item.sku.as_str());
        eprintln!("there may be more: --after {:?}", last.unwrap_or_default());
    }
    let is_there = |sku: &&String| items.iter().any(|item| item.sku == **sku);
    let missing: Vec<_> = arguments.skus.iter().filter(|sku| !is_there(sku)).collect();
    for sku in &missing {
        eprintln!("orderly: there is no article {sku:?}");
    }
    Ok(match missing.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(FAILED),
    })
}

fn table(items: &[Item]) -> comfy_table::Table {
    let mut table = output::table(&[
        ("article", Side::Left),
        ("on hand", Side::Right),
        ("reserved", Side::Right),
        ("available", Side::Right),
    ]);
    for item in items {
        table.add_row([
            item.sku.clone(),
            item.on_hand.to_string(),
            item.reserved.to_string(),
            item.available.to_string(),
        ]);
    }
    table
}

const RESERVATION: &str = "\
SELECT status, lines::text AS lines, shortages::text AS shortages,
    (extract(epoch FROM updated_at) * 1000000)::bigint AS updated_at
FROM reservations WHERE order_id = $1";

/// Where the goods of an order stand.
#[derive(Debug, Serialize)]
pub struct Goods {
    /// Where the reservation stands.
    pub status: String,
    /// Pieces by article.
    pub lines: BTreeMap<String, i64>,
    /// What was short.
    pub shortages: Vec<Shortage>,
    /// When it last changed.
    pub updated_at: String,
}

/// The goods of `order`, if they were ever asked for.
pub async fn goods(client: &Client, order: &str) -> Result<Option<Goods>> {
    let Some(row) = client.query_opt(RESERVATION, &[&order]).await? else {
        return Ok(None);
    };
    Ok(Some(Goods {
        status: row.get("status"),
        lines: serde_json::from_str(row.get("lines"))?,
        shortages: serde_json::from_str(row.get("shortages"))?,
        updated_at: moment(row.get("updated_at")),
    }))
}

impl Goods {
    /// Writes where they stand, a line for each shortage.
    pub fn print(&self) -> Result<()> {
        let pieces: i64 = self.lines.values().sum();
        let articles = output::count(self.lines.len() as u64, "article");
        let (status, updated) = (&self.status, &self.updated_at);
        let text = format!("{status}, {pieces} pieces of {articles}, since {updated}");
        output::line(format!("  {:<14} {text}", "goods"))?;
        for Shortage { sku, requested, available } in &self.shortages {
            let text = format!("{sku}: {requested} asked for, {available} available");
            output::line(format!("  {:<14} {text}", "short"))?;
        }
        Ok(())
    }
}

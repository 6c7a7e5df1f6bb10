//! `orderly order`: where orders stand, and what became of those of a transfer.

mod report;
mod show;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand, ValueEnum};
use orderly_contracts::order::OrderStatus;
use orderly_contracts::routes::Party;
use serde::Serialize;
use tokio_postgres::Row;

use crate::connections;
use crate::output::{self, Side, moment, money};
use crate::settings::Settings;

/// The commands about orders.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show one order: its lines, its history, and where its goods and its money stand
    Show(show::Arguments),
    /// List orders, in the order of their ids
    List(List),
    /// Wait until every order of a file of receipts has ended, and sum up what became of them
    Report(report::Arguments),
}

/// Runs a command about orders.
pub async fn run(command: &Command, settings: &Settings) -> Result<ExitCode> {
    match command {
        Command::Show(arguments) => show::run(arguments, settings).await,
        Command::List(arguments) => list(arguments, settings).await,
        Command::Report(arguments) => report::run(arguments, settings).await,
    }
}

/// The arguments of `orderly order list`.
#[derive(Debug, Args)]
pub struct List {
    /// Only orders in this state
    #[arg(long, value_enum)]
    status: Option<Status>,
    /// At most so many
    #[arg(long, value_name = "N", default_value_t = 50)]
    limit: u32,
    /// Go on after this order
    #[arg(long, value_name = "ID")]
    after: Option<String>,
    /// Print a JSON line an order
    #[arg(long)]
    json: bool,
}

/// The state of an order, for arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Status {
    Pending,
    Reserved,
    Cancelling,
    Confirmed,
    Rejected,
    Cancelled,
}

impl Status {
    const fn word(self) -> &'static str {
        let status = match self {
            Self::Pending => OrderStatus::Pending,
            Self::Reserved => OrderStatus::Reserved,
            Self::Cancelling => OrderStatus::Cancelling,
            Self::Confirmed => OrderStatus::Confirmed,
            Self::Rejected => OrderStatus::Rejected,
            Self::Cancelled => OrderStatus::Cancelled,
        };
        status.as_str()
    }
}

const LIST: &str = "\
SELECT order_id, status, reason, version, customer_id, jsonb_array_length(lines) AS lines, total,
    currency, (extract(epoch FROM placed_at) * 1000000)::bigint AS placed_at,
    (extract(epoch FROM ended_at) * 1000000)::bigint AS ended_at
FROM orders
WHERE ($1::text IS NULL OR status = $1) AND ($2::text IS NULL OR order_id > $2)
ORDER BY order_id LIMIT $3";

/// An order in short.
#[derive(Serialize)]
struct Summary {
    order_id: String,
    status: String,
    reason: Option<String>,
    version: i64,
    customer_id: Option<String>,
    lines: Option<i32>,
    total: Option<i64>,
    currency: Option<String>,
    placed_at: Option<String>,
    ended_at: Option<String>,
}

impl Summary {
    fn of(row: &Row) -> Self {
        Self {
            order_id: row.get("order_id"),
            status: row.get("status"),
            reason: row.get("reason"),
            version: row.get("version"),
            customer_id: row.get("customer_id"),
            lines: row.get("lines"),
            total: row.get("total"),
            currency: row.get("currency"),
            placed_at: row.get::<_, Option<i64>>("placed_at").map(moment),
            ended_at: row.get::<_, Option<i64>>("ended_at").map(moment),
        }
    }
}

async fn list(arguments: &List, settings: &Settings) -> Result<ExitCode> {
    let client = connections::database(settings, Party::Order).await?;
    let (status, limit) = (arguments.status.map(Status::word), i64::from(arguments.limit));
    let rows = client.query(LIST, &[&status, &arguments.after, &limit]).await?;
    let orders: Vec<Summary> = rows.iter().map(Summary::of).collect();
    if arguments.json {
        for order in &orders {
            output::json(order)?;
        }
    } else {
        output::show(&table(&orders), "no such orders")?;
    }
    if let Some(last) = orders.last().filter(|_| orders.len() as i64 == limit) {
        eprintln!("there may be more: --after {}", last.order_id);
    }
    Ok(ExitCode::SUCCESS)
}

fn table(orders: &[Summary]) -> comfy_table::Table {
    let mut table = output::table(&[
        ("order", Side::Left),
        ("status", Side::Left),
        ("reason", Side::Left),
        ("customer", Side::Left),
        ("lines", Side::Right),
        ("total", Side::Right),
        ("placed at", Side::Left),
        ("ended at", Side::Left),
    ]);
    for order in orders {
        let text = |text: &Option<String>| text.clone().unwrap_or_default();
        let total = order.total.zip(order.currency.as_deref());
        table.add_row([
            order.order_id.clone(),
            order.status.clone(),
            text(&order.reason),
            text(&order.customer_id),
            order.lines.map(|lines| lines.to_string()).unwrap_or_default(),
            total.map(|(total, currency)| money(total, currency)).unwrap_or_default(),
            text(&order.placed_at),
            text(&order.ended_at),
        ]);
    }
    table
}

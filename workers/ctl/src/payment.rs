//! `orderly payment`: where the money of an order stands, with every movement of it.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::{Args, Subcommand};
use orderly_contracts::routes::Party;
use serde::Serialize;
use tokio_postgres::Client;

use crate::connections;
use crate::output::{self, Side, moment, money};
use crate::settings::Settings;

/// The commands about payments.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Show the payment of one order, with its ledger
    Show(Show),
}

/// The arguments of `orderly payment show`.
#[derive(Debug, Args)]
pub struct Show {
    /// The order
    #[arg(value_name = "ORDER_ID")]
    order_id: String,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

const PAYMENT: &str = "\
SELECT status, amount, currency, refund_wanted, detail,
    (extract(epoch FROM created_at) * 1000000)::bigint AS created_at,
    (extract(epoch FROM updated_at) * 1000000)::bigint AS updated_at
FROM payments WHERE order_id = $1";

const LEDGER: &str = "\
SELECT operation, account, amount, currency, (extract(epoch FROM at) * 1000000)::bigint AS at
FROM payment_ledger WHERE order_id = $1 ORDER BY id";

/// The payment of an order.
#[derive(Debug, Serialize)]
pub struct Payment {
    /// The order.
    pub order_id: String,
    /// Where it stands.
    pub status: String,
    /// How much, in minor units; absent if only a refund was asked for.
    pub amount: Option<i64>,
    /// In which currency.
    pub currency: Option<String>,
    /// Whether a refund waits for the answer to the charge.
    pub refund_wanted: bool,
    /// The provider's words.
    pub detail: Option<String>,
    /// When it was asked for.
    pub created_at: String,
    /// When it last changed.
    pub updated_at: String,
    /// Every movement of money.
    pub ledger: Vec<Movement>,
}

/// One side of a movement of money.
#[derive(Debug, Serialize)]
pub struct Movement {
    /// `capture` or `refund`.
    pub operation: String,
    /// Which account it touches.
    pub account: String,
    /// How much, in minor units.
    pub amount: i64,
    /// In which currency.
    pub currency: String,
    /// When.
    pub at: String,
}

/// Runs a command about payments.
pub async fn run(command: &Command, settings: &Settings) -> Result<ExitCode> {
    let Command::Show(arguments) = command;
    let client = connections::database(settings, Party::Payment).await?;
    let Some(payment) = load(&client, &arguments.order_id).await? else {
        bail!("there is no payment of order {}", arguments.order_id);
    };
    if arguments.json {
        output::json(&payment)?;
    } else {
        output::line(format!("order {}", payment.order_id))?;
        payment.print()?;
        output::show(&table(&payment.ledger), "no money has moved")?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The payment of `order`, if one was ever asked for.
pub async fn load(client: &Client, order: &str) -> Result<Option<Payment>> {
    let Some(row) = client.query_opt(PAYMENT, &[&order]).await? else {
        return Ok(None);
    };
    let ledger = client.query(LEDGER, &[&order]).await?;
    Ok(Some(Payment {
        order_id: order.to_owned(),
        status: row.get("status"),
        amount: row.get("amount"),
        currency: row.get("currency"),
        refund_wanted: row.get("refund_wanted"),
        detail: row.get("detail"),
        created_at: moment(row.get("created_at")),
        updated_at: moment(row.get("updated_at")),
        ledger: ledger
            .iter()
            .map(|row| Movement {
                operation: row.get("operation"),
                account: row.get("account"),
                amount: row.get("amount"),
                currency: row.get("currency"),
                at: moment(row.get("at")),
            })
            .collect(),
    }))
}

impl Payment {
    /// Writes where it stands, in a line or two.
    pub fn print(&self) -> Result<()> {
        let amount = self.amount.zip(self.currency.as_deref());
        let amount = amount.map_or_else(
            || "nothing charged".to_owned(),
            |(amount, currency)| money(amount, currency),
        );
        let status = &self.status;
        let updated = &self.updated_at;
        output::line(format!("  {:<14} {status}, {amount}, since {updated}", "payment"))?;
        if let Some(detail) = &self.detail {
            output::line(format!("  {:<14} {detail}", "provider says"))?;
        }
        if self.refund_wanted {
            output::line("  a refund waits for the answer to the charge")?;
        }
        Ok(())
    }
}

fn table(ledger: &[Movement]) -> comfy_table::Table {
    let mut table = output::table(&[
        ("at", Side::Left),
        ("operation", Side::Left),
        ("account", Side::Left),
        ("amount", Side::Right),
    ]);
    for row in ledger {
        table.add_row([
            row.at.clone(),
            row.operation.clone(),
            row.account.clone(),
            money(row.amount, &row.currency),
        ]);
    }
    table
}

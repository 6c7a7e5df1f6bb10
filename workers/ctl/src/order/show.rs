//! `orderly order show`: everything about one order, from all three services.

use std::process::ExitCode;

use anyhow::{Result, bail};
use clap::Args;
use orderly_contracts::order::OrderLine;
use orderly_contracts::routes::Party;
use serde::Serialize;
use serde_json::Value;
use tokio_postgres::Client;

use crate::connections;
use crate::deadlines::{self, Deadline};
use crate::output::{self, Side, moment, money, shortened};
use crate::payment::{self, Payment};
use crate::settings::{Need, Settings};
use crate::stock::{self, Goods};

/// The arguments of `orderly order show`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The order
    #[arg(value_name = "ID")]
    order_id: String,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

const ORDER: &str = "\
SELECT status, reason, version, customer_id, currency, lines::text AS lines, total,
    owes_release, owes_refund, refunded,
    (extract(epoch FROM placed_at) * 1000000)::bigint AS placed_at,
    (extract(epoch FROM ended_at) * 1000000)::bigint AS ended_at
FROM orders WHERE order_id = $1";

const HISTORY: &str = "\
SELECT version, (extract(epoch FROM at) * 1000000)::bigint AS at, from_status, to_status, reason,
    cause_source, cause_id, kind, note
FROM order_history WHERE order_id = $1 ORDER BY version";

#[derive(Serialize)]
struct Order {
    order_id: String,
    status: String,
    reason: Option<String>,
    version: i64,
    customer_id: Option<String>,
    total: Option<i64>,
    currency: Option<String>,
    placed_at: Option<String>,
    ended_at: Option<String>,
    owes_release: bool,
    owes_refund: bool,
    refunded: bool,
    lines: Vec<OrderLine>,
    history: Vec<Change>,
    deadline: Option<Deadline>,
    /// Absent if there are none, or if the database is not set.
    goods: Option<Goods>,
    payment: Option<Payment>,
}

#[derive(Serialize)]
struct Change {
    version: i64,
    at: String,
    from: Option<String>,
    to: String,
    reason: Option<String>,
    kind: String,
    cause_source: String,
    cause_id: String,
    note: Option<String>,
}

pub(super) async fn run(arguments: &Arguments, settings: &Settings) -> Result<ExitCode> {
    let id = arguments.order_id.as_str();
    // The other two are asked where they are set: whoever keeps orders may see no money.
    let others = [Party::Stock, Party::Payment].map(|party| settings.is_set(party));
    let mut needs = vec![Need::Database(Party::Order)];
    for (party, is_set) in [Party::Stock, Party::Payment].into_iter().zip(others) {
        needs.extend(is_set.then_some(Need::Database(party)));
    }
    settings.check(&needs)?;
    let client = connections::database(settings, Party::Order).await?;
    let Some(mut order) = load(&client, id).await? else {
        bail!("there is no order {id}");
    };
    let [has_stock, has_payment] = others;
    if has_stock {
        let client = connections::database(settings, Party::Stock).await?;
        order.goods = stock::goods(&client, id).await?;
    }
    if has_payment {
        let client = connections::database(settings, Party::Payment).await?;
        order.payment = payment::load(&client, id).await?;
    }
    if arguments.json {
        output::json(&order)?;
    } else {
        print(&order, has_stock, has_payment)?;
    }
    Ok(ExitCode::SUCCESS)
}

async fn load(client: &Client, id: &str) -> Result<Option<Order>> {
    let Some(row) = client.query_opt(ORDER, &[&id]).await? else {
        return Ok(None);
    };
    let lines: Option<&str> = row.get("lines");
    let history = client.query(HISTORY, &[&id]).await?;
    Ok(Some(Order {
        order_id: id.to_owned(),
        status: row.get("status"),
        reason: row.get("reason"),
        version: row.get("version"),
        customer_id: row.get("customer_id"),
        total: row.get("total"),
        currency: row.get("currency"),
        placed_at: row.get::<_, Option<i64>>("placed_at").map(moment),
        ended_at: row.get::<_, Option<i64>>("ended_at").map(moment),
        owes_release: row.get("owes_release"),
        owes_refund: row.get("owes_refund"),
        refunded: row.get("refunded"),
        lines: lines.map(serde_json::from_str).transpose()?.unwrap_or_default(),
        history: history
            .iter()
            .map(|row| Change {
                version: row.get("version"),
                at: moment(row.get("at")),
                from: row.get("from_status"),
                to: row.get("to_status"),
                reason: row.get("reason"),
                kind: row.get("kind"),
                cause_source: row.get("cause_source"),
                cause_id: row.get("cause_id"),
                note: row.get("note"),
            })
            .collect(),
        deadline: deadlines::of(client, id).await?,
        goods: None,
        payment: None,
    }))
}

fn print(order: &Order, has_stock: bool, has_payment: bool) -> Result<()> {
    let reason = order.reason.as_deref().map(|reason| format!(" ({reason})"));
    let reason = reason.unwrap_or_default();
    output::line(format!("order {}: {}{reason}", order.order_id, order.status))?;
    let value = serde_json::to_value(order)?;
    for (label, field) in
        [("customer", "customer_id"), ("placed at", "placed_at"), ("ended at", "ended_at")]
    {
        if let Value::String(text) = &value[field] {
            output::line(format!("  {label:<14} {text}"))?;
        }
    }
    if let (Some(total), Some(currency)) = (order.total, &order.currency) {
        output::line(format!("  {:<14} {}", "total", money(total, currency)))?;
    }
    let owed = [(order.owes_release, "release"), (order.owes_refund, "refund")];
    for (_, what) in owed.iter().filter(|(is_owed, _)| *is_owed) {
        output::line(format!("  {:<14} {what}", "unanswered"))?;
    }
    if let Some(deadline) = &order.deadline {
        let Deadline { step, round, due_at, .. } = deadline;
        let text = format!("{step}, asked {} so far, due {due_at}", times(*round));
        output::line(format!("  {:<14} {text}", "waits for"))?;
    }
    match &order.goods {
        Some(goods) => goods.print()?,
        None if has_stock => output::line("  goods          none asked for")?,
        None => output::line("  goods          not asked: ORDERLY_STOCK_DATABASE_URL is unset")?,
    }
    match &order.payment {
        Some(payment) => payment.print()?,
        None if has_payment => output::line("  payment        none asked for")?,
        None => output::line("  payment        not asked: ORDERLY_PAYMENT_DATABASE_URL is unset")?,
    }
    output::show(&lines(order), "it has no lines: it was cancelled before it was placed")?;
    output::show(&history(order), "it has no history")
}

fn times(round: i32) -> String {
    output::count(u64::try_from(round).unwrap_or_default() + 1, "time")
}

fn lines(order: &Order) -> comfy_table::Table {
    let mut table = output::table(&[
        ("article", Side::Left),
        ("pieces", Side::Right),
        ("price", Side::Right),
        ("sum", Side::Right),
        ("", Side::Left),
    ]);
    let currency = order.currency.as_deref().unwrap_or_default();
    for line in &order.lines {
        let (pieces, price) = (line.quantity.get(), line.unit_price.get());
        table.add_row([
            line.sku.to_string(),
            pieces.to_string(),
            money(price, currency),
            money(pieces.saturating_mul(price), currency),
            if line.service { "service" } else { "" }.to_owned(),
        ]);
    }
    table
}

fn history(order: &Order) -> comfy_table::Table {
    let mut table = output::table(&[
        ("version", Side::Right),
        ("at", Side::Left),
        ("state", Side::Left),
        ("by", Side::Left),
        ("of", Side::Left),
        ("cause", Side::Left),
        ("note", Side::Left),
    ]);
    for change in &order.history {
        let reason = change.reason.as_deref().map(|reason| format!(" ({reason})"));
        table.add_row([
            change.version.to_string(),
            change.at.clone(),
            format!("{}{}", change.to, reason.unwrap_or_default()),
            change.kind.clone(),
            change.cause_source.clone(),
            change.cause_id.clone(),
            shortened(change.note.as_deref().unwrap_or_default(), 60),
        ]);
    }
    table
}

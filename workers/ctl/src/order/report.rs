//! `orderly order report`: what became of all orders of a transfer, how fast, and which are open.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::Result;
use clap::Args;
use orderly_contracts::order::OrderStatus;
use orderly_contracts::routes::Party;
use serde::Serialize;
use tokio_postgres::Client;

use crate::connections;
use crate::exit::FAILED;
use crate::output::{self, Side};
use crate::receipts;
use crate::settings::{Need, Settings};

/// The arguments of `orderly order report`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// What `orderly publish --receipts` wrote
    #[arg(long, value_name = "FILE")]
    receipts: PathBuf,
    /// How long to wait for orders that have not ended
    #[arg(long, value_name = "TIME", default_value = "0s", value_parser = output::parse_duration)]
    wait: Duration,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

/// How often to look, and how many orders to ask about at once.
const PERIOD: Duration = Duration::from_millis(300);
const CHUNK: usize = 10_000;
/// How many open orders are named.
const NAMED: usize = 10;

const STATES: &str = "\
SELECT order_id, status, reason, (extract(epoch FROM placed_at) * 1000000)::bigint AS placed_at,
    (extract(epoch FROM ended_at) * 1000000)::bigint AS ended_at
FROM orders WHERE order_id = ANY($1)";

/// What became of the orders.
#[derive(Serialize)]
struct Report {
    orders: usize,
    ended: usize,
    outcomes: Vec<Outcome>,
    /// From the first order placed to the last one ended.
    seconds: f64,
    orders_per_second: f64,
    latency_ms: Option<Latency>,
    open: usize,
    /// The first of them.
    open_orders: Vec<Open>,
}

#[derive(Serialize)]
struct Outcome {
    status: String,
    reason: Option<String>,
    orders: usize,
}

#[derive(Serialize)]
struct Latency {
    p50: f64,
    p99: f64,
    max: f64,
}

#[derive(Serialize)]
struct Open {
    order_id: String,
    status: Option<String>,
}

/// The orders so far.
#[derive(Default)]
struct Ended {
    outcomes: BTreeMap<(String, Option<String>), usize>,
    latencies: Vec<i64>,
    first: Option<i64>,
    last: Option<i64>,
}

pub(super) async fn run(arguments: &Arguments, settings: &Settings) -> Result<ExitCode> {
    settings.check(&[Need::Database(Party::Order)])?;
    let orders = receipts::orders(&arguments.receipts)?;
    let client = connections::database(settings, Party::Order).await?;
    let (total, start) = (orders.len(), Instant::now());
    let mut ended = Ended::default();
    let mut open: BTreeMap<String, Option<String>> =
        orders.into_iter().map(|order| (order, None)).collect();
    loop {
        look(&client, &mut open, &mut ended).await?;
        let left = arguments.wait.saturating_sub(start.elapsed());
        if open.is_empty() || left.is_zero() {
            break;
        }
        tokio::time::sleep(PERIOD.min(left)).await;
    }
    let report = ended.report(total, open);
    if arguments.json {
        output::json(&report)?;
    } else {
        print(&report)?;
    }
    for Open { order_id, status } in &report.open_orders {
        let status = status.as_deref().unwrap_or("not in the database");
        eprintln!("open: {order_id} ({status})");
    }
    Ok(match report.open {
        0 => ExitCode::SUCCESS,
        _ => ExitCode::from(FAILED),
    })
}

/// Moves what has ended from `open` to `ended`.
async fn look(
    client: &Client,
    open: &mut BTreeMap<String, Option<String>>,
    ended: &mut Ended,
) -> Result<()> {
    let orders: Vec<String> = open.keys().cloned().collect();
    for chunk in orders.chunks(CHUNK) {
        for row in client.query(STATES, &[&chunk]).await? {
            let (order, status): (String, String) = (row.get("order_id"), row.get("status"));
            let Some(at) = row.get::<_, Option<i64>>("ended_at") else {
                open.insert(order, Some(status));
                continue;
            };
            open.remove(&order);
            ended.add(status, row.get("reason"), row.get("placed_at"), at);
        }
    }
    Ok(())
}

impl Ended {
    fn add(&mut self, status: String, reason: Option<String>, placed: Option<i64>, at: i64) {
        *self.outcomes.entry((status, reason)).or_default() += 1;
        self.last = self.last.max(Some(at));
        // An order that was cancelled before it was placed has waited for nothing.
        if let Some(placed) = placed {
            self.first = Some(self.first.map_or(placed, |first| first.min(placed)));
            self.latencies.push(at - placed);
        }
    }

    fn report(mut self, orders: usize, open: BTreeMap<String, Option<String>>) -> Report {
        self.latencies.sort_unstable();
        let ended = orders - open.len();
        let micros = self.first.zip(self.last).map_or(0, |(first, last)| last - first);
        let seconds = micros as f64 / 1e6;
        Report {
            orders,
            ended,
            outcomes: self
                .outcomes
                .into_iter()
                .map(|((status, reason), orders)| Outcome { status, reason, orders })
                .collect(),
            seconds,
            orders_per_second: if micros > 0 { ended as f64 / seconds } else { 0.0 },
            latency_ms: latency(&self.latencies),
            open: open.len(),
            open_orders: open
                .into_iter()
                .take(NAMED)
                .map(|(order_id, status)| Open { order_id, status })
                .collect(),
        }
    }
}

/// Percentiles by nearest rank, of sorted latencies.
fn latency(sorted: &[i64]) -> Option<Latency> {
    let rank = |percent: usize| {
        let rank = (sorted.len() * percent).div_ceil(100).max(1);
        sorted.get(rank - 1).map(|micros| *micros as f64 / 1e3)
    };
    Some(Latency { p50: rank(50)?, p99: rank(99)?, max: rank(100)? })
}

fn print(report: &Report) -> Result<()> {
    let mut table = output::table(&[
        ("outcome", Side::Left),
        ("reason", Side::Left),
        ("orders", Side::Right),
        ("share", Side::Right),
    ]);
    let share = |orders: usize| {
        let percent = 100.0 * orders as f64 / report.orders.max(1) as f64;
        format!("{percent:.1} %")
    };
    // In the order of states, and not of letters: first what everybody hopes for.
    let mut rest: BTreeSet<usize> = (0..report.outcomes.len()).collect();
    for status in OrderStatus::ALL {
        for (index, outcome) in report.outcomes.iter().enumerate() {
            if outcome.status == status.as_str() && rest.remove(&index) {
                table.add_row([
                    outcome.status.clone(),
                    outcome.reason.clone().unwrap_or_default(),
                    outcome.orders.to_string(),
                    share(outcome.orders),
                ]);
            }
        }
    }
    if report.open > 0 {
        table.add_row([
            "open".to_owned(),
            String::new(),
            report.open.to_string(),
            share(report.open),
        ]);
    }
    output::show(&table, "the receipts name no order")?;
    let Report { orders, ended, seconds, orders_per_second, .. } = report;
    output::line(format!(
        "{ended} of {orders} orders have ended: {orders_per_second:.0} a second over {seconds:.1} s"
    ))?;
    if let Some(Latency { p50, p99, max }) = report.latency_ms {
        output::line(format!(
            "from placed to ended: p50 {p50:.0} ms, p99 {p99:.0} ms, max {max:.0} ms"
        ))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_occurred() {
        let sorted: Vec<i64> = (1..=200).map(|ms| ms * 1000).collect();
        let Latency { p50, p99, max } = latency(&sorted).unwrap();
        assert_eq!((p50, p99, max), (100.0, 198.0, 200.0));
        let one = latency(&[5_000]).unwrap();
        assert_eq!((one.p50, one.p99, one.max), (5.0, 5.0, 5.0));
        assert!(latency(&[]).is_none());
    }

    #[test]
    fn a_report_counts_each_order_once() {
        let mut ended = Ended::default();
        ended.add("confirmed".to_owned(), None, Some(1_000_000), 3_000_000);
        let reason = Some("cancel_requested".to_owned());
        ended.add("cancelled".to_owned(), reason, None, 2_000_000);
        let open = BTreeMap::from([("7".to_owned(), None)]);
        let report = ended.report(3, open);
        assert_eq!((report.ended, report.open, report.outcomes.len()), (2, 1, 2));
        assert_eq!((report.seconds, report.orders_per_second), (2.0, 1.0));
    }
}

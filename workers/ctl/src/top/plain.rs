//! The report as plain tables, for `--once`.

use anyhow::Result;

use super::report::{QueueLine, Report, WorkerLine};
use super::snapshot::{Group, Orders};
use crate::dead::plain::{brief, second};
use crate::output::{self, Side};

/// Prints everything that the screen shows, and what is cut short there in full.
pub(super) fn print(report: &Report) -> Result<()> {
    for alarm in &report.alarms {
        output::line(format!("ALARM  {}", brief(alarm, 300)))?;
    }
    for away in &report.away {
        output::line(format!("AWAY   {}: {}", away.source, brief(&away.why, 300)))?;
    }
    section("queues", &queues(&report.queues))?;
    section("workers", &workers(&report.workers))?;
    if let Some(orders) = &report.orders {
        section("orders", &self::orders(orders))?;
    }
    section("dead letters", &letters(&report.dead_letters))
}

fn section(title: &str, table: &comfy_table::Table) -> Result<()> {
    match table.is_empty() {
        true => output::line(format!("\n{title}: none")),
        false => output::line(format!("\n{title}\n{}", table.trim_fmt())),
    }
}

fn number(value: Option<u64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

fn rate(value: Option<f64>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| format!("{value:.1}"))
}

fn queues(lines: &[QueueLine]) -> comfy_table::Table {
    let mut table = output::table(&[
        ("queue", Side::Left),
        ("ready", Side::Right),
        ("unacked", Side::Right),
        ("in/s", Side::Right),
        ("out/s", Side::Right),
        ("consumers", Side::Right),
    ]);
    for line in lines {
        table.add_row([
            line.name.clone(),
            number(line.ready),
            number(line.unacked),
            rate(line.in_per_second),
            rate(line.out_per_second),
            number(line.consumers),
        ]);
    }
    table
}

fn workers(lines: &[WorkerLine]) -> comfy_table::Table {
    let mut table = output::table(&[
        ("worker", Side::Left),
        ("state", Side::Left),
        ("replicas", Side::Right),
        ("unsent batches", Side::Right),
        ("oldest s", Side::Right),
        ("due deadlines", Side::Right),
        ("oldest s", Side::Right),
        ("", Side::Left),
    ]);
    for line in lines {
        let pause = line.pause.as_ref().map(|pause| {
            let why = pause.why.as_deref().map(|why| format!(": {why}")).unwrap_or_default();
            brief(&format!("since {} by {}{why}", second(&pause.since), pause.by), 120)
        });
        table.add_row([
            line.worker.name().to_owned(),
            line.state.word().to_owned(),
            number(line.replicas),
            number(line.outputs),
            number(line.oldest_output_seconds),
            number(line.due),
            number(line.oldest_due_seconds),
            pause.or_else(|| line.note.clone()).unwrap_or_default(),
        ]);
    }
    table
}

fn orders(orders: &Orders) -> comfy_table::Table {
    let mut table = output::table(&[("what", Side::Left), ("value", Side::Right)]);
    let latency =
        |of: fn(&super::snapshot::Latency) -> u64| number(orders.latency.as_ref().map(of));
    for (what, value) in [
        ("open", number(Some(orders.open()))),
        ("pending", number(Some(orders.pending))),
        ("reserved", number(Some(orders.reserved))),
        ("cancelling", number(Some(orders.cancelling))),
        ("placed/s", rate(Some(orders.placed_per_second))),
        ("confirmed/s", rate(Some(orders.confirmed_per_second))),
        ("rejected/s", rate(Some(orders.rejected_per_second))),
        ("cancelled/s", rate(Some(orders.cancelled_per_second))),
        ("latency p50 ms", latency(|it| it.p50_ms)),
        ("latency p95 ms", latency(|it| it.p95_ms)),
        ("latency p99 ms", latency(|it| it.p99_ms)),
    ] {
        table.add_row([what.to_owned(), value]);
    }
    table
}

fn letters(groups: &[Group]) -> comfy_table::Table {
    let mut table = output::table(&[
        ("group", Side::Left),
        ("service", Side::Left),
        ("reason", Side::Left),
        ("type", Side::Left),
        ("letters", Side::Right),
        ("last at", Side::Left),
        ("one of them says", Side::Left),
    ]);
    for group in groups {
        table.add_row([
            group.group.clone(),
            group.service.name().to_owned(),
            group.reason.clone(),
            brief(group.kind.as_deref().unwrap_or_default(), 40),
            group.letters.to_string(),
            second(&group.last_at),
            brief(&group.text, 100),
        ]);
    }
    table
}

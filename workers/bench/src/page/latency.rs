//! The section about latency.

use crate::latency::Latency;
use crate::page::chart::{Axis, Chart, Line};
use crate::page::markdown::{heading, number, table};
use crate::results::Section;
use crate::usage::Part;

const TEXT: &str = "\
From the moment an order was due to the moment its final event arrived, in milliseconds. Orders come at a steady
rate, whether the system keeps up or not.
";

/// Latency by rate.
pub(super) fn latency(section: &Section<Vec<Latency>>, chart: &Chart) -> String {
    let row = |it: &Latency| {
        let part = it.of_saturation.map_or("–".into(), |part| format!("{:.0} %", 100.0 * part));
        let times = [it.p50, it.p95, it.p99, it.p999, it.max].map(|ms| number(ms, 1));
        let orders = number(it.orders as f64, 0);
        [number(it.rate, 0), part, orders].into_iter().chain(times).collect::<Vec<_>>()
    };
    let rows: Vec<_> = section.found.iter().map(row).collect();
    let head = ["orders/s", "of saturation", "orders", "p50", "p95", "p99", "p99.9", "max"];
    let heading = heading("Latency", &section.run);
    let parts = [heading, TEXT.to_owned(), table(&head, &rows), chart.link()];
    [parts.join("\n"), processor_time(&section.found)].join("\n\n")
}

/// What an order costs at each rate: the fewer there are at once, the less they share.
fn processor_time(found: &[Latency]) -> String {
    let row = |Latency { rate, usage, .. }: &Latency| {
        let parts = [usage.of(Part::Broker), usage.of(Part::Database), usage.workers()];
        let costs = parts.into_iter().chain([usage.of_system()]).map(|cost| number(cost, 2));
        [number(*rate, 0)].into_iter().chain(costs).collect::<Vec<_>>()
    };
    let rows: Vec<_> = found.iter().map(row).collect();
    let head =
        ["CPU milliseconds an order at orders/s", "RabbitMQ", "PostgreSQL", "workers", "all three"];
    table(&head, &rows)
}

/// The same as a chart.
pub(super) fn latency_chart(found: &[Latency]) -> Chart {
    let line = |name: &str, value: fn(&Latency) -> f64| {
        let mut points: Vec<_> = found.iter().map(|it| (it.rate, value(it))).collect();
        points.sort_by(|one, other| one.0.total_cmp(&other.0));
        Line { name: name.to_owned(), points }
    };
    Chart {
        name: "latency",
        x: Axis { label: "orders a second", is_log: true },
        y: Axis { label: "milliseconds", is_log: true },
        lines: vec![
            line("p99.9", |it| it.p999),
            line("p99", |it| it.p99),
            line("p95", |it| it.p95),
            line("p50", |it| it.p50),
        ],
    }
}

//! The section about latency.

use crate::latency::{Latency, Turn};
use crate::page::chart::{Axis, Chart, Line};
use crate::page::markdown::{heading, number, table};
use crate::results::Section;
use crate::usage::Part;

const TEXT: &str = "\
From the moment an order was due to the moment its final event arrived, in milliseconds. Orders come at a steady
rate, whether the system keeps up or not. The relay passes the same messages under the same load, by turns: that much of
it is the broker's way of putting each message on the disk before the next is sent.
";

/// Latency by rate.
pub(super) fn latency(section: &Section<Vec<Turn>>, chart: &Chart) -> String {
    let row = |Turn { saga, relay }: &Turn| {
        let part = saga.of_saturation.map_or("–".into(), |part| format!("{:.0} %", 100.0 * part));
        let times = [saga.p50, saga.p95, saga.p99, saga.p999, saga.max, relay.p50, relay.p99];
        let orders = number(saga.orders as f64, 0);
        let times = times.map(|ms| number(ms, 1));
        [number(saga.rate, 0), part, orders].into_iter().chain(times).collect::<Vec<_>>()
    };
    let rows: Vec<_> = section.found.iter().map(row).collect();
    let head = [
        "orders/s",
        "of saturation",
        "orders",
        "p50",
        "p95",
        "p99",
        "p99.9",
        "max",
        "relay: p50",
        "relay: p99",
    ];
    let heading = heading("Latency", &section.run);
    let parts = [heading, TEXT.to_owned(), table(&head, &rows), chart.link()];
    [parts.join("\n"), processor_time(&section.found)].join("\n\n")
}

/// What an order costs at each rate: the fewer there are at once, the less they share.
fn processor_time(found: &[Turn]) -> String {
    let row = |Turn { saga: Latency { rate, usage, .. }, relay }: &Turn| {
        let parts = [
            usage.of(Part::Broker),
            usage.of(Part::Database),
            usage.workers(),
            usage.of_system(),
            relay.usage.of(Part::Broker),
        ];
        let costs = parts.map(|cost| number(cost, 2));
        [number(*rate, 0)].into_iter().chain(costs).collect::<Vec<_>>()
    };
    let rows: Vec<_> = found.iter().map(row).collect();
    let head = [
        "CPU milliseconds an order at orders/s",
        "RabbitMQ",
        "PostgreSQL",
        "workers",
        "all three",
        "relay: RabbitMQ",
    ];
    table(&head, &rows)
}

/// The same as a chart.
pub(super) fn latency_chart(found: &[Turn]) -> Chart {
    let line = |name: &str, value: fn(&Turn) -> f64| {
        let mut points: Vec<_> = found.iter().map(|it| (it.saga.rate, value(it))).collect();
        points.sort_by(|one, other| one.0.total_cmp(&other.0));
        Line { name: name.to_owned(), points }
    };
    Chart {
        name: "latency",
        x: Axis { label: "orders a second", is_log: true },
        y: Axis { label: "milliseconds", is_log: true },
        lines: vec![
            line("p99.9", |it| it.saga.p999),
            line("p99", |it| it.saga.p99),
            line("p95", |it| it.saga.p95),
            line("p50", |it| it.saga.p50),
            line("relay, p50", |it| it.relay.p50),
        ],
    }
}

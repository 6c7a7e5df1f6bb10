//! The section about latency.

use crate::latency::{Loaded, Pace, Turn};
use crate::page::chart::{Axis, Chart, Line};
use crate::page::markdown::{heading, number, spread, table};
use crate::results::Section;
use crate::usage::Part;

const TEXT: &str = "\
From the moment an order was due to the moment its final event arrived, in milliseconds. Orders come at a steady
rate, whether the system keeps up or not. Each round begins with finding out how much the system works off at most,
and before each load what a higher one left behind is cleared up (`VACUUM`), as PostgreSQL does by itself within a
minute or two, and written to the disk, as the kernel does half a minute later. What is given is the median of the
rounds, with the least and the most behind it. The relay passes the same messages under the same load, by turns:
that much of it is the broker's way of putting each message on the disk before the next is sent. Half of the orders
were placed no later than what stands under \"placed late\" after they were due, and that is in the other figures.
";

/// Latency by rate.
pub(super) fn latency(section: &Section<Vec<Loaded>>, chart: &Chart) -> String {
    let rows: Vec<_> = by_rate(&section.found).into_iter().map(row).collect();
    let head = [
        "orders/s",
        "of saturation",
        "orders",
        "placed late",
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

fn row(load: &Loaded) -> Vec<String> {
    let (rate, part) = match load.pace {
        Pace::Fixed(rate) => (number(rate, 0), "–".to_owned()),
        Pace::OfSaturation(part) => {
            (spread(load.spread(rate), 0), format!("{:.0} %", 100.0 * part))
        }
    };
    let orders: usize = load.turns.iter().map(|turn| turn.saga.orders).sum();
    let ms = |of: fn(&Turn) -> f64| spread(load.spread(of), 1);
    vec![
        rate,
        part,
        number(orders as f64, 0),
        ms(|turn| turn.saga.late),
        ms(|turn| turn.saga.p50),
        ms(|turn| turn.saga.p95),
        ms(|turn| turn.saga.p99),
        ms(|turn| turn.saga.p999),
        ms(|turn| turn.saga.max),
        ms(|turn| turn.relay.p50),
        ms(|turn| turn.relay.p99),
    ]
}

/// The slowest first.
fn by_rate(found: &[Loaded]) -> Vec<&Loaded> {
    let mut loads: Vec<_> = found.iter().collect();
    let median = |load: &Loaded| load.spread(rate).median;
    loads.sort_by(|one, other| median(one).total_cmp(&median(other)));
    loads
}

fn rate(turn: &Turn) -> f64 {
    turn.saga.rate
}

/// What an order costs at each rate: the fewer there are at once, the less they share.
fn processor_time(found: &[Loaded]) -> String {
    let row = |load: &Loaded| {
        let usage = load.cost(|turn| &turn.saga);
        let parts = [
            usage.of(Part::Broker),
            usage.of(Part::Database),
            usage.workers(),
            usage.of_system(),
            load.cost(|turn| &turn.relay).of(Part::Broker),
        ];
        let rate = number(load.spread(rate).median, 0);
        [rate].into_iter().chain(parts.map(|cost| number(cost, 2))).collect::<Vec<_>>()
    };
    let rows: Vec<_> = by_rate(found).into_iter().map(row).collect();
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

/// The same as a chart, of medians.
pub(super) fn latency_chart(found: &[Loaded]) -> Chart {
    let line = |name: &str, value: fn(&Turn) -> f64| {
        let at = |load: &Loaded| (load.spread(rate).median, load.spread(value).median);
        Line { name: name.to_owned(), points: by_rate(found).into_iter().map(at).collect() }
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

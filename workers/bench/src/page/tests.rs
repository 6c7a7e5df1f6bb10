//! The page, from results that are made up.

use std::collections::BTreeMap;

use super::Page;
use crate::backlog::{self, Backlog};
use crate::costs::Work;
use crate::latency::{Latency, Loaded, Pace, Turn};
use crate::results::{About, Results, Section};
use crate::specimens::Size;
use crate::stage::Run;
use crate::sweep::Point;
use crate::throughput::{Real, Round, Throughput};
use crate::usage::{Part, Usage};
use crate::varied::Varied;
use crate::watched::{self, Scrape, Watched};

fn section<T>(found: T) -> Section<T> {
    let run = About {
        date: "2031-02-03".into(),
        command: "./scripts/bench --full".into(),
        commit: "abc1234".into(),
        machine: "2 × some processor, 8 GiB".into(),
        versions: vec!["RabbitMQ 3".into(), "PostgreSQL 15".into()],
    };
    Section { run, found }
}

/// A run of a thousand orders, each of which takes 0.0625 ms of every part.
fn run(rate: f64) -> Run {
    let usage = Usage(Part::ALL.map(|part| (part, 0.0625)).into());
    Run { orders: 1_000, seconds: 1_000.0 / rate, rate, usage }
}

fn throughput() -> Throughput {
    let round =
        |rate| Round { ceiling: run(5_000.0), ceiling_of_five: run(6_000.0), saga: run(rate) };
    Throughput {
        rounds: [2_400.0, 2_600.0, 2_500.0].map(round).into(),
        messages: vec![Size { kind: "order.place.v1".into(), body: 140 }],
        work: Work { inserted: 23.0, log_bytes: 11_204.0, ..Work::default() },
        batches: BTreeMap::from([("order.new".into(), 188.4)]),
        memory: BTreeMap::from([(Part::Order, 40 << 20), (Part::Stock, 36 << 20)]),
    }
}

/// A thousand orders under a load, each of which takes 0.0625 ms of every part.
fn latency(rate: f64, p50: f64) -> Turn {
    let of = |p50| Latency {
        rate,
        orders: 1_000,
        late: 0.1,
        p50,
        p95: 10.0,
        p99: 20.0,
        p999: 30.0,
        max: 40.0,
        usage: run(rate).usage,
    };
    Turn { saga: of(p50), relay: of(4.0) }
}

fn loaded(pace: Pace, rate: f64) -> Loaded {
    let turn = |p50| latency(rate + p50, p50);
    Loaded { pace, turns: [7.0, 8.0, 19.0].map(turn).into() }
}

fn point(at: u64, lines: usize, rate: f64) -> Point {
    Point { at, lines, runs: vec![run(rate), run(rate)] }
}

fn watched() -> Watched {
    let scrape = |milliseconds| Scrape { milliseconds, bytes: 61_440 };
    let mut turn = watched::Turn { with: run(1_990.0), without: run(2_000.0) };
    *turn.with.usage.0.entry(Part::Stock).or_default() += 0.005;
    Watched { rounds: vec![turn], scrapes: [2.0, 12.0, 3.0].map(scrape).into() }
}

fn results() -> Results {
    let latencies = vec![
        loaded(Pace::OfSaturation(0.8), 1_992.0),
        loaded(Pace::OfSaturation(0.1), 242.0),
        loaded(Pace::Fixed(50.0), 42.0),
    ];
    let turn = backlog::Turn { steady: run(2_000.0), drained: run(1_900.0) };
    let growth = vec![point(0, 1, 2_500.0), point(200_000, 1, 2_400.0)];
    let articles = vec![point(1, 1, 2_375.0), point(100, 1, 2_500.0)];
    let lines = vec![point(1, 1, 2_500.0), point(1_000, 1_000, 25.0)];
    let varied = [(Varied::Growth, growth), (Varied::Articles, articles), (Varied::Lines, lines)];
    Results {
        throughput: Some(section(throughput())),
        real: Some(section(Real { lines: 20.0, rounds: vec![run(600.0)] })),
        latency: Some(section(latencies)),
        backlog: Some(section(Backlog { waiting: 100_000, rounds: vec![turn] })),
        watched: Some(section(watched())),
        varied: varied.map(|(varied, points)| (varied, section(points))).into(),
    }
}

#[test]
fn a_page_without_results_tells_what_was_asked_and_how_to_measure_it() {
    let page = Page::of(&Results::default());
    assert!(page.text.starts_with("# Performance\n"));
    assert!(page.text.contains("./scripts/bench --full"));
    assert!(page.text.contains("| ≥ 0.40 | 0.55 | – | not measured yet |"));
    assert!(!page.text.contains("## Throughput") && !page.text.contains("Measured on"));
    assert!(page.charts.is_empty());
}

#[test]
fn the_page_begins_with_what_was_asked_and_what_was_measured() {
    let text = Page::of(&results()).text;
    for row in [
        "| Saga as part of the ceiling, single-line orders | ≥ 0.40 | 0.55 | 0.50 | yes |",
        "| Single-line orders a second | ≥ 2,200 | 3,000 | 2,500 | yes |",
        "| CPU an order, everything but the benchmark itself | ≤ 0.75 ms | 0.50 ms | 0.31 ms | yes, and the aim |",
        "| Workers as part of that | ≤ 35 % | 25 % | 60 % | **no** |",
        "| Most memory of a worker, at saturation | ≤ 64 MiB | 40 MiB | 40 MiB | yes, and the aim |",
        "| Real orders a second | ≥ 500 | 1,000 | 600 | yes |",
        "| Latency at 50 orders a second, p50 | ≤ 9.0 ms | 7.0 ms | 8.0 ms | yes |",
        "| Latency at 80 % of saturation, p99 | ≤ 500 ms | 200 ms | 20 ms | yes, and the aim |",
        // What was asked of five millions is not told by fewer.
        "| Throughput with 5 million old orders, as part of that without | ≥ 0.90 | 0.97 | – | not measured yet |",
        "| Throughput with one hot article, as part of that with 100 | ≥ 0.80 | 0.95 | 0.95 | yes, and the aim |",
        "| Draining 100,000 orders, as part of the steady rate | ≥ 0.90 | 1.00 | 0.95 | yes |",
        "| Throughput with metrics, as part of that without | ≥ 0.98 | 0.99 | 0.99 | yes, and the aim |",
        "| Processor time of metrics, as part of an order's | ≤ 2.0 % | 1.0 % | 1.6 % | yes |",
        "| A scrape at saturation, the slowest | ≤ 20.0 ms | 10.0 ms | 12.0 ms | yes |",
        "| The page of metrics | ≤ 100 KiB | 50 KiB | 60 KiB | yes |",
    ] {
        assert!(text.contains(row), "{row}\n{text}");
    }
}

#[test]
fn every_section_says_from_which_run_it_comes() {
    let text = Page::of(&results()).text;
    let about = "Measured on 2031-02-03 by `./scripts/bench --full` at commit `abc1234`, on 2 × some \
                 processor, 8 GiB; RabbitMQ 3, PostgreSQL 15.";
    let sections = [
        "Throughput",
        "Real orders",
        "Latency",
        "Old orders",
        "Hot articles",
        "Longer orders",
        "Backlog",
        "Watched",
    ];
    for title in sections {
        assert!(text.contains(&format!("## {title}\n\n{about}\n")), "{title}");
    }
    assert_eq!(text.matches(about).count(), sections.len());
}

#[test]
fn the_relay_stands_beside_what_is_measured() {
    let text = Page::of(&results()).text;
    let same = |ms: &str| format!("{ms} ({ms}–{ms})");
    let row = format!(
        "| 250 (249–261) | 10 % | 3,000 | 0.1 (0.1–0.1) | 8.0 (7.0–19.0) | {} |",
        ["10.0", "20.0", "30.0", "40.0", "4.0", "20.0"].map(same).join(" | ")
    );
    assert!(text.contains(&row), "{text}");
    let first = "---: |\n| 50 | – | 3,000 | 0.1 (0.1–0.1) | 8.0 (7.0–19.0) |";
    assert!(text.contains(first), "{text}");
    assert!(text.contains("| 250 | 0.06 | 0.06 | 0.19 | 0.31 | 0.06 |"), "{text}");
}

#[test]
fn a_point_is_compared_with_the_usual_one() {
    let text = Page::of(&results()).text;
    let cost = "0.31 | 0.38 |";
    let row = format!("| 200,000 | 2,400 (2,400–2,400) | 0.96 | {cost}");
    assert!(text.contains(&row), "{text}");
    let row = format!("| 1,000 | 25 (25–25) | 25,000 (25,000–25,000) | 0.01 | {cost}");
    assert!(text.contains(&row), "{text}");
}

#[test]
fn every_chart_of_the_page_is_linked_and_can_be_drawn() {
    let page = Page::of(&results());
    assert_eq!(page.text.matches(".svg)").count(), page.charts.len());
    for chart in page.charts {
        assert!(page.text.contains(&format!("](performance/{}.svg)", chart.name)));
        assert!(chart.draw().unwrap().contains("<circle"));
    }
}

//! The page, from results that are made up.

use std::collections::BTreeMap;

use super::Page;
use crate::costs::Work;
use crate::latency::Latency;
use crate::results::{About, Results, Section};
use crate::specimens::Size;
use crate::stage::Run;
use crate::throughput::{Real, Round, Throughput};
use crate::usage::{Part, Usage};

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

/// A run of a thousand orders, each of which takes 0.1 ms of every part.
fn run(rate: f64) -> Run {
    let usage = Usage(Part::ALL.map(|part| (part, 0.1)).into());
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

fn latency(rate: f64, of_saturation: Option<f64>) -> Latency {
    Latency {
        rate,
        of_saturation,
        orders: 1_000,
        p50: 8.0,
        p95: 10.0,
        p99: 20.0,
        p999: 30.0,
        max: 40.0,
    }
}

fn results() -> Results {
    let latencies =
        vec![latency(50.0, None), latency(250.0, Some(0.1)), latency(2_000.0, Some(0.8))];
    Results {
        throughput: Some(section(throughput())),
        real: Some(section(Real { lines: 20.0, rounds: vec![run(600.0)] })),
        latency: Some(section(latencies)),
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
        "| CPU an order, everything but the benchmark itself | ≤ 0.75 ms | 0.50 ms | 0.50 ms | yes, and the aim |",
        "| Workers as part of that | ≤ 35 % | 25 % | 60 % | **no** |",
        "| Most memory of a worker, at saturation | ≤ 64 MiB | 40 MiB | 40 MiB | yes, and the aim |",
        "| Real orders a second | ≥ 500 | 1,000 | 600 | yes |",
        "| Latency at 50 orders a second, p50 | ≤ 9.0 ms | 7.0 ms | 8.0 ms | yes |",
        "| Latency at 80 % of saturation, p99 | ≤ 500 ms | 200 ms | 20 ms | yes, and the aim |",
    ] {
        assert!(text.contains(row), "{row}\n{text}");
    }
}

#[test]
fn every_section_says_from_which_run_it_comes() {
    let text = Page::of(&results()).text;
    let about = "Measured on 2031-02-03 by `./scripts/bench --full` at commit `abc1234`, on 2 × some \
                 processor, 8 GiB; RabbitMQ 3, PostgreSQL 15.";
    let sections = ["Throughput", "Real orders", "Latency"];
    for title in sections {
        assert!(text.contains(&format!("## {title}\n\n{about}\n")), "{title}");
    }
    assert_eq!(text.matches(about).count(), sections.len());
}

#[test]
fn every_chart_of_the_page_is_linked_and_can_be_drawn() {
    let page = Page::of(&results());
    assert_eq!(page.text.matches("](performance/").count(), page.charts.len());
    for chart in page.charts {
        assert!(page.text.contains(&format!("](performance/{}.svg)", chart.name)));
        assert!(chart.draw().unwrap().contains("<circle"));
    }
}

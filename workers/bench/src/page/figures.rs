//! The figures that were asked for, and what was measured.

use crate::latency::{Loaded, Pace, Turn};
use crate::page::markdown::{number, table};
use crate::results::Results;
use crate::throughput::Throughput;
use crate::usage::Part;
use crate::varied::Varied;
use crate::watched::Watched;

const MIB: f64 = 1_048_576.0;
const KIB: f64 = 1_024.0;

/// On which side of a limit a value has to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    AtLeast,
    AtMost,
}
use Side::{AtLeast, AtMost};

/// A figure: what was asked, what was aimed at, what was found.
struct Figure {
    name: &'static str,
    side: Side,
    asked: f64,
    aim: f64,
    decimals: usize,
    unit: &'static str,
    measured: Option<f64>,
}

impl Figure {
    fn is_within(&self, limit: f64, value: f64) -> bool {
        match self.side {
            AtLeast => value >= limit,
            AtMost => value <= limit,
        }
    }

    fn verdict(&self) -> &'static str {
        match self.measured {
            None => "not measured yet",
            Some(value) if self.is_within(self.aim, value) => "yes, and the aim",
            Some(value) if self.is_within(self.asked, value) => "yes",
            Some(_) => "**no**",
        }
    }

    fn row(&self) -> Vec<String> {
        let text = |value: f64| format!("{}{}", number(value, self.decimals), self.unit);
        let sign = if self.side == AtLeast { "≥" } else { "≤" };
        vec![
            self.name.to_owned(),
            format!("{sign} {}", text(self.asked)),
            text(self.aim),
            self.measured.map_or_else(|| "–".to_owned(), text),
            self.verdict().to_owned(),
        ]
    }
}

/// The table of all figures.
pub(super) fn figures(results: &Results) -> String {
    let rows: Vec<_> = all(results).iter().map(Figure::row).collect();
    table(&["figure", "asked", "aim", "measured", "reached"], &rows)
}

fn all(results: &Results) -> Vec<Figure> {
    [of_throughput(results), of_latency(results), of_change(results), of_watching(results)]
        .into_iter()
        .flatten()
        .collect()
}

fn of_throughput(results: &Results) -> Vec<Figure> {
    let throughput = results.throughput.as_ref().map(|section| &section.found);
    let of = |value: fn(&Throughput) -> f64| throughput.map(value);
    let real = results.real.as_ref().map(|section| section.found.rate().median);
    #[rustfmt::skip]
    let figures = vec![
        figure("Saga as part of the ceiling, single-line orders", AtLeast, (0.40, 0.55), (2, ""),
            of(|it| it.ratio().median)),
        figure("Single-line orders a second", AtLeast, (2_200.0, 3_000.0), (0, ""),
            of(|it| it.rate().median)),
        figure("CPU an order, everything but the benchmark itself", AtMost, (0.75, 0.5), (2, " ms"),
            of(|it| it.cost().of_system())),
        figure("Workers as part of that", AtMost, (35.0, 25.0), (0, " %"),
            of(|it| 100.0 * it.cost().share_of_workers())),
        figure("Most memory of a worker, at saturation", AtMost, (64.0, 40.0), (0, " MiB"),
            of(|it| largest_worker(it) / MIB)),
        figure("Real orders a second", AtLeast, (500.0, 1_000.0), (0, ""), real),
    ];
    figures
}

fn of_latency(results: &Results) -> Vec<Figure> {
    let loads = results.latency.as_ref().map(|section| section.found.as_slice());
    let at = |pace: Pace, value: fn(&Turn) -> f64| {
        let load: &Loaded = loads?.iter().find(|load| load.pace == pace)?;
        Some(load.spread(value).median)
    };
    let [low, tenth, most] = [Pace::Fixed(50.0), Pace::OfSaturation(0.1), Pace::OfSaturation(0.8)];
    #[rustfmt::skip]
    let figures = vec![
        figure("Latency at 50 orders a second, p50", AtMost, (9.0, 7.0), (1, " ms"), at(low, |it| it.saga.p50)),
        figure("The same, p99", AtMost, (18.0, 12.0), (1, " ms"), at(low, |it| it.saga.p99)),
        figure("Latency at 10 % of saturation, p50", AtMost, (12.0, 9.0), (1, " ms"), at(tenth, |it| it.saga.p50)),
        figure("The same, p99", AtMost, (35.0, 20.0), (1, " ms"), at(tenth, |it| it.saga.p99)),
        figure("Latency at 80 % of saturation, p99", AtMost, (500.0, 200.0), (0, " ms"), at(most, |it| it.saga.p99)),
    ];
    figures
}

/// How throughput changes with what lies in databases and queues. A smaller trial does not count.
fn of_change(results: &Results) -> Vec<Figure> {
    let ratio = |varied: Varied, at: u64, base: u64| {
        let points = &results.varied.get(&varied)?.found;
        let point = |at| points.iter().find(|point| point.at == at);
        Some(point(at)?.ratio(point(base)?).median)
    };
    let drained = results.backlog.as_ref().map(|section| &section.found);
    let drained = drained.filter(|it| it.waiting >= 100_000).map(|it| it.ratio().median);
    #[rustfmt::skip]
    let figures = vec![
        figure("Throughput with 5 million old orders, as part of that without", AtLeast, (0.90, 0.97), (2, ""),
            ratio(Varied::Growth, 5_000_000, 0)),
        figure("Throughput with one hot article, as part of that with 100", AtLeast, (0.80, 0.95), (2, ""),
            ratio(Varied::Articles, 1, 100)),
        figure("Draining 100,000 orders, as part of the steady rate", AtLeast, (0.90, 1.0), (2, ""), drained),
    ];
    figures
}

/// What it costs to be watched.
fn of_watching(results: &Results) -> Vec<Figure> {
    let watched = results.watched.as_ref().map(|section| &section.found);
    let of = |value: fn(&Watched) -> f64| watched.map(value);
    #[rustfmt::skip]
    let figures = vec![
        figure("Throughput with metrics, as part of that without", AtLeast, (0.98, 0.99), (2, ""),
            of(|it| it.ratio().median)),
        figure("Processor time of metrics, as part of an order's", AtMost, (2.0, 1.0), (1, " %"),
            of(|it| it.cost().median)),
        figure("A scrape at saturation, the slowest", AtMost, (20.0, 10.0), (1, " ms"),
            of(|it| it.scrape_milliseconds().most)),
        figure("The page of metrics", AtMost, (100.0, 50.0), (0, " KiB"),
            of(|it| it.page_bytes() as f64 / KIB)),
    ];
    figures
}

fn largest_worker(throughput: &Throughput) -> f64 {
    let of = |part: Part| throughput.memory.get(&part).copied().unwrap_or_default();
    Part::WORKERS.map(of).into_iter().max().unwrap_or_default() as f64
}

fn figure(
    name: &'static str,
    side: Side,
    (asked, aim): (f64, f64),
    (decimals, unit): (usize, &'static str),
    measured: Option<f64>,
) -> Figure {
    Figure { name, side, asked, aim, decimals, unit, measured }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_tells_whether_it_is_reached() {
        let at_most = |measured| figure("p50", AtMost, (9.0, 7.0), (1, " ms"), measured);
        assert_eq!(at_most(Some(7.0)).verdict(), "yes, and the aim");
        assert_eq!(at_most(Some(9.0)).verdict(), "yes");
        assert_eq!(at_most(Some(9.1)).verdict(), "**no**");
        assert_eq!(at_most(None).verdict(), "not measured yet");
        assert_eq!(at_most(Some(8.0)).row(), ["p50", "≤ 9.0 ms", "7.0 ms", "8.0 ms", "yes"]);
        assert_eq!(figure("n", AtLeast, (2.0, 3.0), (0, ""), Some(1.0)).verdict(), "**no**");
    }
}

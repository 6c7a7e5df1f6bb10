//! The sections in which one thing is varied.

use crate::backlog::{Backlog, Turn};
use crate::page::chart::{Axis, Chart, Line};
use crate::page::markdown::{by_turns, heading, number, spread, table};
use crate::results::{Section, Spread};
use crate::stage::Run;
use crate::sweep::Point;
use crate::usage::Usage;
use crate::varied::Varied;

impl Varied {
    fn title(self) -> &'static str {
        match self {
            Self::Growth => "Old orders",
            Self::Replicas => "More workers",
            Self::Articles => "Hot articles",
            Self::Lines => "Longer orders",
            Self::Batches => "Smaller batches",
        }
    }

    /// What is varied, as the head of a column.
    fn value(self) -> &'static str {
        match self {
            Self::Growth => "old orders",
            Self::Replicas => "workers a service",
            Self::Articles => "articles",
            Self::Lines => "lines an order",
            Self::Batches => "messages a batch",
        }
    }

    fn text(self) -> &'static str {
        match self {
            Self::Growth => {
                "\
Orders that were worked off before lie in all three databases with everything the saga leaves behind: history,
reservations, ledgers, inboxes, outboxes. They are put in by SQL, row by row like real ones, and the audit reads them
like real ones. An empty system stands beside it and takes turns.
"
            }
            Self::Replicas => {
                "\
All on one machine: more workers share the same processors.
"
            }
            Self::Articles => {
                "\
Every order takes one article. With one in all, every reservation changes the same row.
"
            }
            Self::Lines => {
                "\
Lines are spread over 10,000 articles.
"
            }
            Self::Batches => {
                "\
`ORDERLY_BATCH_MESSAGES`, with an `ORDERLY_PREFETCH` of twice as many, and as many orders under way as fill that.
"
            }
        }
    }

    /// The point that the others are compared with.
    fn base(self, points: &[Point]) -> Option<&Point> {
        let at = match self {
            Self::Growth => 0,
            Self::Replicas | Self::Lines => 1,
            Self::Articles => 100,
            Self::Batches => 500,
        };
        points.iter().find(|point| point.at == at)
    }
}

/// The section about `varied`.
pub(super) fn varied(varied: Varied, section: &Section<Vec<Point>>, chart: &Chart) -> String {
    let Section { run, found } = section;
    let base = varied.base(found);
    let row = |point: &Point| {
        let ratio = base.map(|base| point.ratio(base).median);
        let cost = Run::cost(&point.runs);
        let lines = Spread::of(point.runs.iter().map(|run| run.rate * point.lines as f64));
        let mut row = vec![
            number(point.at as f64, 0),
            spread(point.rate(), 0),
            number(ratio.unwrap_or(f64::NAN), 2),
            number(cost.of_system(), 2),
            number(cost.total(), 2),
        ];
        if varied == Varied::Lines {
            row.insert(2, spread(lines, 0));
        }
        row
    };
    let rows: Vec<_> = found.iter().map(row).collect();
    let base = base.map_or("–".into(), |base| number(base.at as f64, 0));
    let against = format!("against {base}");
    let mut head = vec![
        varied.value(),
        "orders/s (spread)",
        &against,
        "CPU ms an order",
        "with the benchmark's",
    ];
    if varied == Varied::Lines {
        head.insert(2, "lines/s (spread)");
    }
    let text = varied.text().to_owned();
    [heading(varied.title(), run), text, table(&head, &rows), chart.link()].join("\n")
}

/// The same as a chart.
pub(super) fn varied_chart(varied: Varied, points: &[Point]) -> Chart {
    let line = |name: &str, value: fn(&Point) -> f64| {
        let points = points.iter().map(|point| (point.at as f64, value(point))).collect();
        Line { name: name.to_owned(), points }
    };
    let mut lines = vec![line("orders a second", |point| point.rate().median)];
    let (name, is_log_x, is_log_y) = match varied {
        Varied::Growth => ("growth", false, false),
        Varied::Replicas => ("replicas", false, false),
        Varied::Articles => ("articles", true, false),
        Varied::Lines => ("lines", true, true),
        Varied::Batches => ("batches", true, true),
    };
    let mut label = "orders a second";
    if varied == Varied::Lines {
        label = "a second";
        lines.push(line("lines a second", |point| point.rate().median * point.lines as f64));
    }
    Chart {
        name,
        x: Axis { label: varied.value(), is_log: is_log_x },
        y: Axis { label, is_log: is_log_y },
        lines,
    }
}

/// The section about a backlog.
pub(super) fn backlog(section: &Section<Backlog>) -> String {
    let Section { run, found } = section;
    let cost = |run: fn(&Turn) -> &Run| -> Usage { Run::cost(found.rounds.iter().map(run)) };
    let (drained, steady) = (cost(|turn| &turn.drained), cost(|turn| &turn.steady));
    let text = format!(
        "{} orders are published while the workers are paused (`orderly pause`), and worked off when they go on, by\n\
         turns with a steady flow. Draining takes {} ms of processor time an order, the steady flow {} ms, without\n\
         the benchmark's own; with it, {} ms and {} ms: the shop's publishing is no part of draining.\n",
        number(found.waiting as f64, 0),
        number(drained.of_system(), 2),
        number(steady.of_system(), 2),
        number(drained.total(), 2),
        number(steady.total(), 2)
    );
    let turns = found.rounds.iter().map(|turn| (&turn.drained, &turn.steady));
    let head = ["round", "drained, orders/s", "steady, orders/s", "drained / steady"];
    [heading("Backlog", run), text, by_turns(head, turns, found.ratio())].join("\n")
}

//! The page about metrics, as it stands in `docs/metrics.md`.

use std::collections::BTreeSet;
use std::fmt::Write;

use orderly_contracts::routes::Party;

use super::catalogue::{CATALOGUE, EVERY};
use super::metric::{Label, Metric, Place, Shape};

/// The text of the page.
pub fn page() -> String {
    let mut text = INTRODUCTION.to_owned();
    for (title, shape) in [
        ("Counters", Shape::Counter),
        ("Histograms", Shape::Histogram(&[])),
        ("Gauges", Shape::Gauge),
    ] {
        write!(
            text,
            "\n## {title}\n\n| name | labels | unit | workers | meaning |\n|---|---|---|---|---|\n"
        )
        .expect("a text takes everything");
        for metric in CATALOGUE.iter().filter(|metric| is_alike(metric.shape, shape)) {
            text.push_str(&row(metric));
        }
    }
    text
}

const INTRODUCTION: &str = "\
# Metrics

Every worker tells its metrics at `/metrics`, in the text format of Prometheus. This page follows from
`workers/runtime/src/metrics/catalogue.rs`, and a test holds it to that.

Every series has the label `worker` as well: `order`, `stock` or `payment`. Labels come from closed sets, so the
number of series does not grow with orders; each of them is there, at zero, from the start.
With `ORDERLY_METRICS=false` nothing is counted, and `/metrics` is not found.

What comes \"from the database\" is read there every five seconds by every replica of a worker, and each of them tells the
same: take `max by (worker)`, never a sum. `orderly_census_timestamp_seconds` says when it was read.
";

fn is_alike(one: Shape, other: Shape) -> bool {
    std::mem::discriminant(&one) == std::mem::discriminant(&other)
}

fn row(metric: &Metric) -> String {
    let Metric { name, unit, labels, of, meaning, shape, .. } = metric;
    let labels: Vec<_> = labels.iter().map(|label| told(label, metric)).collect();
    let workers = match of.len() == EVERY.len() {
        true => "all".to_owned(),
        false => of.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    };
    let bounds = match shape {
        Shape::Histogram(bounds) => {
            let bounds: Vec<_> = bounds.iter().map(ToString::to_string).collect();
            format!("<br>Bounds: {}.", bounds.join(", "))
        }
        Shape::Counter | Shape::Gauge => String::new(),
    };
    format!("| `{name}` | {} | {unit} | {workers} | {meaning}{bounds} |\n", labels.join("<br>"))
}

/// The label with what its values are, or all of them where they are few.
fn told(label: &Label, metric: &Metric) -> String {
    let Label { name, meaning, values } = label;
    if !meaning.is_empty() {
        return format!("`{name}`: {meaning}");
    }
    let of = |party: &Party| values(&Place { party: *party, rungs: 0 });
    let values: BTreeSet<_> = metric.of.iter().flat_map(of).collect();
    let values: Vec<_> = values.iter().map(|value| format!("`{value}`")).collect();
    format!("`{name}`: {}", values.join(", "))
}

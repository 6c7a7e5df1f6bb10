//! A metric: what it is called, what it means, and the series it has, which are known in advance.

use std::borrow::Cow;
use std::sync::OnceLock;

use metrics::{Counter, Gauge, Histogram, Unit};
use orderly_contracts::routes::Party;

use super::catalogue::EVERY;

/// A metric of the catalogue. It records nothing until it is [installed](Self::install).
#[derive(Debug)]
pub struct Metric {
    /// Its name.
    pub name: &'static str,
    /// How it is counted.
    pub shape: Shape,
    /// What its numbers count, in words.
    pub unit: &'static str,
    /// Its labels, in the order in which their values are given.
    pub labels: &'static [Label],
    /// The workers that have it.
    pub of: &'static [Party],
    /// What it means, in a sentence or two.
    pub meaning: &'static str,
    /// Which combinations of values, each of its label's set, there are.
    is_possible: fn(&[&str]) -> bool,
    series: OnceLock<Series>,
}

/// How a metric is counted.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Shape {
    /// It only grows, but for a restart.
    Counter,
    /// It goes up and down.
    Gauge,
    /// It counts observations up to each of these bounds.
    Histogram(&'static [f64]),
}

/// A label, and the closed set of its values.
#[derive(Debug, Clone, Copy)]
pub struct Label {
    /// Its name.
    pub name: &'static str,
    /// What its values are; empty where they are few and speak for themselves.
    pub meaning: &'static str,
    /// All its values in a worker.
    pub values: fn(&Place) -> Vec<Cow<'static, str>>,
}

/// Where metrics are recorded: what their sets of values depend on.
#[derive(Debug, Clone, Copy)]
pub struct Place {
    /// Which worker it is.
    pub party: Party,
    /// How many rungs its retry ladder has.
    pub rungs: usize,
}

/// The value that stands for all that are in no set of their own.
pub const OTHER: &str = "other";

impl Metric {
    pub(super) const fn new(
        shape: Shape,
        name: &'static str,
        unit: &'static str,
        labels: &'static [Label],
        meaning: &'static str,
    ) -> Self {
        Self {
            name,
            shape,
            unit,
            labels,
            of: &EVERY,
            meaning,
            is_possible: always,
            series: OnceLock::new(),
        }
    }

    /// The same, for these workers alone.
    pub(super) const fn only(mut self, of: &'static [Party]) -> Self {
        self.of = of;
        self
    }

    /// The same, without the combinations of values that can't be.
    pub(super) const fn with(mut self, is_possible: fn(&[&str]) -> bool) -> Self {
        self.is_possible = is_possible;
        self
    }

    /// Adds to a counter, under these values of its labels.
    pub fn add(&self, values: &[&str], by: u64) {
        if let Some(series) = self.series(values) {
            series.add(values, by);
        }
    }

    /// Sets a counter to a sum that somebody else keeps.
    pub fn add_up_to(&self, values: &[&str], sum: u64) {
        if let Some(Handle::Counter(counter)) = self.handle(values) {
            counter.absolute(sum);
        }
    }

    /// Sets a gauge.
    pub fn set(&self, values: &[&str], value: f64) {
        if let Some(Handle::Gauge(gauge)) = self.handle(values) {
            gauge.set(value);
        }
    }

    /// Observes a value in a histogram.
    pub fn observe(&self, values: &[&str], observed: f64) {
        self.observe_all(values, [observed]);
    }

    /// Observes several values in a histogram.
    pub fn observe_all(&self, values: &[&str], observed: impl IntoIterator<Item = f64>) {
        if let Some(Handle::Histogram(histogram)) = self.handle(values) {
            observed.into_iter().for_each(|observed| histogram.record(observed));
        }
    }

    /// Whether it records.
    pub(super) fn is_installed(&self) -> bool {
        self.series.get().is_some()
    }

    /// Makes all its series in the recorder that is installed, at zero, and keeps them, so that
    /// recording looks nothing up there. Does nothing in a worker that does not have it.
    pub fn install(&'static self, place: &Place) {
        if self.of.contains(&place.party) {
            self.describe();
            self.series.get_or_init(|| self.register(place));
        }
    }

    /// Tells the recorder what it means.
    pub(super) fn describe(&'static self) {
        let unit = match self.unit {
            "seconds" => Unit::Seconds,
            "bytes" => Unit::Bytes,
            _ => Unit::Count,
        };
        match self.shape {
            Shape::Counter => metrics::describe_counter!(self.name, unit, self.meaning),
            Shape::Gauge => metrics::describe_gauge!(self.name, unit, self.meaning),
            Shape::Histogram(_) => metrics::describe_histogram!(self.name, unit, self.meaning),
        }
    }

    /// All its series, made in the recorder of this moment.
    pub(super) fn register(&self, place: &Place) -> Series {
        let values: Vec<_> = self.labels.iter().map(|label| (label.values)(place)).collect();
        let combinations = values.iter().fold(vec![vec![]], |combinations, values| {
            let with_each = |one: Vec<Cow<'static, str>>| {
                values
                    .iter()
                    .map(move |value| [one.as_slice(), std::slice::from_ref(value)].concat())
            };
            combinations.into_iter().flat_map(with_each).collect()
        });
        let handles = combinations.into_iter().map(|values| self.make(values)).collect();
        Series { values, handles }
    }

    fn make(&self, values: Vec<Cow<'static, str>>) -> Option<Handle> {
        let texts: Vec<&str> = values.iter().map(|value| &**value).collect();
        if !(self.is_possible)(&texts) {
            return None;
        }
        let labels: Vec<_> = self.labels.iter().map(|label| label.name).zip(values).collect();
        Some(match self.shape {
            Shape::Counter => Handle::Counter(metrics::counter!(self.name, &labels)),
            Shape::Gauge => Handle::Gauge(metrics::gauge!(self.name, &labels)),
            Shape::Histogram(_) => Handle::Histogram(metrics::histogram!(self.name, &labels)),
        })
    }

    fn handle(&self, values: &[&str]) -> Option<&Handle> {
        self.series(values)?.handle(values)
    }

    fn series(&self, values: &[&str]) -> Option<&Series> {
        debug_assert_eq!(values.len(), self.labels.len(), "{}: {values:?}", self.name);
        self.series.get()
    }
}

fn always(_: &[&str]) -> bool {
    true
}

/// The series of a metric: a handle for every combination of values, in their order.
///
/// The sets are small, so that comparing texts is faster than hashing them.
#[derive(Debug)]
pub(super) struct Series {
    values: Vec<Vec<Cow<'static, str>>>,
    handles: Vec<Option<Handle>>,
}

#[derive(Debug)]
enum Handle {
    Counter(Counter),
    Gauge(Gauge),
    Histogram(Histogram),
}

impl Series {
    pub(super) fn add(&self, values: &[&str], by: u64) {
        if let Some(Handle::Counter(counter)) = self.handle(values) {
            counter.increment(by);
        }
    }

    /// The handle under these values; none if one of them is in no set and there is no other.
    fn handle(&self, values: &[&str]) -> Option<&Handle> {
        let mut index = 0;
        for (known, value) in self.values.iter().zip(values) {
            let place = |wanted: &str| known.iter().position(|one| one == wanted);
            index = index * known.len() + place(value).or_else(|| place(OTHER))?;
        }
        self.handles.get(index)?.as_ref()
    }
}

//! What was measured, section by section, and in which run: kept as JSON beside the page.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};
use orderly_devstack::Endpoints;
use serde::{Deserialize, Serialize};

use crate::backlog::Backlog;
use crate::latency::Loaded;
use crate::sweep::Point;
use crate::throughput::{Real, Throughput};
use crate::varied::Varied;
use crate::watched::Watched;

/// All sections. One that was not measured yet is missing; a run replaces those it measures.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct Results {
    /// Saga against ceiling.
    pub throughput: Option<Section<Throughput>>,
    /// Real orders.
    pub real: Option<Section<Real>>,
    /// Latency at several rates.
    pub latency: Option<Section<Vec<Loaded>>>,
    /// Draining a backlog.
    pub backlog: Option<Section<Backlog>>,
    /// With metrics and without.
    pub watched: Option<Section<Watched>>,
    /// Throughput where one thing is varied.
    pub varied: BTreeMap<Varied, Section<Vec<Point>>>,
}

/// A section with the run that it comes from.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Section<T> {
    /// The run.
    pub run: About,
    /// What was found.
    pub found: T,
}

/// When, where and with what it was measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct About {
    /// The day, in UTC.
    pub date: String,
    /// The command.
    pub command: String,
    /// The commit, with `+` if something was changed since.
    pub commit: String,
    /// Processors and memory.
    pub machine: String,
    /// The versions of everything that matters.
    pub versions: Vec<String>,
}

impl About {
    /// This run, which `script` started with the arguments of this process.
    pub fn this_run(script: &str, servers: Vec<String>) -> Self {
        let words = [script.to_owned()].into_iter().chain(std::env::args().skip(1));
        let rustc = said("rustc", &["--version"]);
        let commit = said("git", &["rev-parse", "--short", "HEAD"]);
        // What this program writes itself does not count.
        let status = ["status", "--porcelain", "--untracked-files=no", "--", ":(exclude)docs"];
        let is_changed = !said("git", &status).is_empty();
        Self {
            date: jiff::Timestamp::now().strftime("%Y-%m-%d").to_string(),
            command: words.collect::<Vec<_>>().join(" "),
            commit: commit + if is_changed { "+" } else { "" },
            machine: orderly_devstack::machine(),
            versions: servers.into_iter().chain([rustc, said("uname", &["-sr"])]).collect(),
        }
    }
}

impl About {
    /// Whether both are known to have measured the same thing.
    pub fn is_same_commit(&self, other: &Self) -> bool {
        let is_known = !self.commit.is_empty() && !self.commit.ends_with('+');
        is_known && self.commit == other.commit
    }
}

/// The versions of the servers, as they tell them.
pub fn versions(endpoints: &Endpoints) -> Result<Vec<String>> {
    let overview = endpoints.management_get("/api/overview")?;
    let of_broker = |name| overview[name].as_str().unwrap_or("of unknown version").to_owned();
    let postgresql = endpoints.query("postgres", "SHOW server_version")?;
    Ok(vec![
        format!("RabbitMQ {}", of_broker("rabbitmq_version")),
        format!("Erlang/OTP {}", of_broker("erlang_version")),
        format!("PostgreSQL {postgresql}"),
    ])
}

impl Results {
    /// What earlier runs left in `path`, if anything.
    pub fn read(path: &Path) -> Result<Self> {
        match fs::read(path) {
            Ok(text) => serde_json::from_slice(&text)
                .with_context(|| format!("{} was not written by this program", path.display())),
            Err(_) => Ok(Self::default()),
        }
    }

    /// Keeps it in `path`.
    pub fn write(&self, path: &Path) -> Result<()> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let text = serde_json::to_string_pretty(self)? + "\n";
        fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
    }
}

/// The middle of `values`, the smallest and the largest.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Spread {
    /// The smallest.
    pub least: f64,
    /// The median.
    pub median: f64,
    /// The largest.
    pub most: f64,
}

impl Spread {
    /// Of at least one value.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().collect();
        values.sort_by(f64::total_cmp);
        let at = |n: usize| values.get(n).copied().unwrap_or(f64::NAN);
        let middle = values.len() / 2;
        let is_even = values.len().is_multiple_of(2);
        let below = if is_even { middle.saturating_sub(1) } else { middle };
        Self {
            least: at(0),
            median: f64::midpoint(at(below), at(middle)),
            most: at(values.len().saturating_sub(1)),
        }
    }
}

fn said(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output();
    let text = output.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    text.unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_changed_is_no_commit() {
        let of = |commit: &str| About {
            date: String::new(),
            command: String::new(),
            commit: commit.to_owned(),
            machine: String::new(),
            versions: vec![],
        };
        assert!(of("abc").is_same_commit(&of("abc")));
        assert!(!of("abc").is_same_commit(&of("def")));
        assert!(!of("abc+").is_same_commit(&of("abc+")));
        assert!(!of("").is_same_commit(&of("")));
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(Spread::of([3.0, 1.0, 2.0]), Spread { least: 1.0, median: 2.0, most: 3.0 });
        assert_eq!(Spread::of([4.0, 1.0, 3.0, 2.0]).median, 2.5);
        assert!(Spread::of([]).median.is_nan());
    }
}

//! What processes use: seconds of processor time and memory, as Linux counts them (`proc(5)`).

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// A clock tick of `/proc`: a hundred a second on every architecture that Rust's Linux runs on.
const TICK: Duration = Duration::from_millis(10);

/// A part of the system that spends processor time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// RabbitMQ.
    Broker,
    /// PostgreSQL.
    Database,
    /// All order workers.
    Order,
    /// All stock workers.
    Stock,
    /// All payment workers.
    Payment,
    /// The benchmark itself: the shop and, where it runs, the relay.
    Bench,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 6] =
        [Self::Broker, Self::Database, Self::Order, Self::Stock, Self::Payment, Self::Bench];
    /// The three workers.
    pub const WORKERS: [Self; 3] = [Self::Order, Self::Stock, Self::Payment];

    /// What it is called.
    pub fn name(self) -> &'static str {
        match self {
            Self::Broker => "RabbitMQ",
            Self::Database => "PostgreSQL",
            Self::Order => "order worker",
            Self::Stock => "stock worker",
            Self::Payment => "payment worker",
            Self::Bench => "the benchmark itself",
        }
    }

    fn of(process: &str) -> Option<Self> {
        // Linux cuts names after fifteen bytes.
        Some(match process {
            "beam.smp" => Self::Broker,
            "postgres" => Self::Database,
            "order-worker" => Self::Order,
            "stock-worker" => Self::Stock,
            "payment-worker" => Self::Payment,
            "bench" | "profile" => Self::Bench,
            _ => return None,
        })
    }
}

/// Processor time by part, in seconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage(pub BTreeMap<Part, f64>);

impl Usage {
    /// What this process and everything that it started has used until now.
    pub fn now() -> Result<Self> {
        let mut usage = Self::default();
        for (part, process) in parts()? {
            *usage.0.entry(part).or_default() += process.time.as_secs_f64();
        }
        Ok(usage)
    }

    /// What was used since `before`.
    #[must_use]
    pub fn since(&self, before: &Self) -> Self {
        Self(self.0.iter().map(|(part, now)| (*part, now - before.of(*part))).collect())
    }

    /// What a part has used.
    pub fn of(&self, part: Part) -> f64 {
        self.0.get(&part).copied().unwrap_or_default()
    }

    /// The sum of all parts.
    pub fn total(&self) -> f64 {
        self.0.values().sum()
    }

    /// The sum of all parts but the benchmark itself, which is not part of the system.
    pub fn of_system(&self) -> f64 {
        self.total() - self.of(Part::Bench)
    }

    /// The workers as part of the whole system.
    pub fn share_of_workers(&self) -> f64 {
        self.workers() / self.of_system()
    }

    /// The same as milliseconds for each of so many orders.
    #[must_use]
    pub fn milliseconds_an_order(&self, orders: usize) -> Self {
        Self(self.0.iter().map(|(part, time)| (*part, time * 1e3 / orders as f64)).collect())
    }

    /// The sum of the three workers.
    pub fn workers(&self) -> f64 {
        Part::WORKERS.iter().map(|part| self.of(*part)).sum()
    }
}

impl std::ops::AddAssign<&Self> for Usage {
    fn add_assign(&mut self, other: &Self) {
        for (part, time) in &other.0 {
            *self.0.entry(*part).or_default() += *time;
        }
    }
}

/// The most memory that each part has had resident, in bytes; the largest of its processes.
pub fn peak_memory() -> Result<BTreeMap<Part, u64>> {
    let mut peaks = BTreeMap::new();
    for (part, process) in parts()? {
        let Ok(status) = fs::read_to_string(format!("/proc/{}/status", process.pid)) else {
            continue;
        };
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kibibytes: u64 = line
            .and_then(|rest| rest.trim().strip_suffix(" kB"))
            .and_then(|number| number.trim().parse().ok())
            .unwrap_or_default();
        let peak = peaks.entry(part).or_default();
        *peak = kibibytes.saturating_mul(1_024).max(*peak);
    }
    Ok(peaks)
}

/// The processes of each part.
pub fn processes() -> Result<BTreeMap<Part, Vec<u32>>> {
    let mut processes: BTreeMap<Part, Vec<u32>> = BTreeMap::new();
    for (part, process) in parts()? {
        processes.entry(part).or_default().push(process.pid);
    }
    Ok(processes)
}

struct Entry {
    pid: u32,
    parent: u32,
    name: String,
    time: Duration,
}

/// The processes that belong to a part.
fn parts() -> Result<impl Iterator<Item = (Part, Entry)>> {
    let part = |process: Entry| Some((Part::of(&process.name)?, process));
    Ok(descendants()?.into_iter().filter_map(part))
}

/// This process and all that it started, directly or not.
fn descendants() -> Result<Vec<Entry>> {
    let mut all: Vec<Entry> = fs::read_dir("/proc")
        .context("there is no /proc")?
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u32>().ok())
        // A process may end while it is looked at.
        .filter_map(|pid| read_stat(pid, &fs::read_to_string(format!("/proc/{pid}/stat")).ok()?))
        .collect();
    let mut found = vec![std::process::id()];
    let mut next = 0;
    while let Some(parent) = found.get(next).copied() {
        found.extend(all.iter().filter(|entry| entry.parent == parent).map(|entry| entry.pid));
        next += 1;
    }
    all.retain(|entry| found.contains(&entry.pid));
    Ok(all)
}

/// Time includes that of children which have ended and were waited for, as PostgreSQL's are.
fn read_stat(pid: u32, stat: &str) -> Option<Entry> {
    // The name stands in parentheses and may hold any character.
    let (name, rest) = stat.split_once('(')?.1.rsplit_once(')')?;
    let fields: Vec<&str> = rest.split_whitespace().collect();
    let ticks = fields.get(11..15)?.iter().map(|field| field.parse::<u32>().ok());
    let ticks: u32 = ticks.sum::<Option<u32>>()?;
    Some(Entry {
        pid,
        parent: fields.get(1)?.parse().ok()?,
        name: name.to_owned(),
        time: TICK * ticks,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_proc_is_read() {
        let line = "42 (a) b (c) S 7 42 42 0 -1 4194560 1 2 3 4 100 20 3 1 20 0 9 0 1 2 3";
        let entry = read_stat(42, line).unwrap();
        assert_eq!((entry.pid, entry.parent, entry.name.as_str()), (42, 7, "a) b (c"));
        assert_eq!(entry.time, Duration::from_millis(1_240));
    }

    #[test]
    fn what_was_used_is_the_difference() {
        let of = |seconds| Usage([(Part::Broker, seconds)].into());
        assert_eq!(of(5.0).since(&of(3.0)), of(2.0));
        assert_eq!(of(5.0).since(&Usage::default()), of(5.0));
        assert_eq!((of(5.0).total(), of(5.0).workers()), (5.0, 0.0));
    }

    #[test]
    fn the_benchmark_is_no_part_of_the_system() {
        let parts =
            [(Part::Broker, 5.0), (Part::Order, 2.0), (Part::Stock, 1.0), (Part::Bench, 4.0)];
        let usage = Usage(parts.into());
        assert_eq!((usage.total(), usage.of_system(), usage.workers()), (12.0, 8.0, 3.0));
        assert_eq!(usage.share_of_workers(), 0.375);
        assert_eq!(usage.milliseconds_an_order(1_000), usage);
    }
}

//! RabbitMQ's own account: what Erlang's threads did with their time, by `msacc`.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use orderly_devstack::Nodes;
use serde::Deserialize;

/// What all threads of a kind did.
#[derive(Debug, Clone, PartialEq)]
pub struct Scheduler {
    /// Their kind, as Erlang calls it: `scheduler`, `dirty_io_scheduler`, and so on.
    pub kind: String,
    /// How many they are.
    pub threads: usize,
    /// Which part of their time they were in each state, by Erlang's name of it; `sleep` is one.
    pub states: BTreeMap<String, f64>,
}

/// One thread, as Erlang tells it.
#[derive(Debug, Clone, Deserialize)]
struct Thread {
    kind: String,
    counters: BTreeMap<String, f64>,
}

/// Watches RabbitMQ's threads for `span`.
pub fn watch(nodes: &Nodes, span: Duration) -> Result<Vec<Scheduler>> {
    // The folder of the server that writes it: no other may it write to.
    let file = nodes.folder().join("broker/threads.json");
    let watching = format!(
        "msacc:start({}), file:write_file(\"{}\", rabbit_json:encode([#{{kind => Kind, counters => Counters}} \
         || #{{type := Kind, counters := Counters}} <- msacc:stats()])).",
        span.as_millis(),
        file.display()
    );
    nodes.rabbitmqctl(&["eval", &watching])?;
    let json = fs::read(&file).context("RabbitMQ tells nothing of its threads")?;
    Ok(by_kind(serde_json::from_slice(&json)?))
}

fn by_kind(threads: Vec<Thread>) -> Vec<Scheduler> {
    let mut kinds: BTreeMap<String, (usize, BTreeMap<String, f64>)> = BTreeMap::new();
    for Thread { kind, counters } in threads {
        let (threads, states) = kinds.entry(kind).or_default();
        *threads += 1;
        for (state, time) in counters {
            *states.entry(state).or_default() += time;
        }
    }
    let scheduler = |(kind, (threads, mut states)): (String, (usize, BTreeMap<String, f64>))| {
        let all: f64 = states.values().sum();
        states.values_mut().for_each(|time| *time /= all.max(f64::MIN_POSITIVE));
        Scheduler { kind, threads, states }
    };
    kinds.into_iter().map(scheduler).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn threads_of_a_kind_are_one() {
        let json = r#"[{"kind": "scheduler", "counters": {"sleep": 30, "emulator": 10}},
                       {"kind": "aux", "counters": {"sleep": 0}},
                       {"kind": "scheduler", "counters": {"sleep": 30, "emulator": 30}}]"#;
        let found = by_kind(serde_json::from_str(json).unwrap());
        let of = |kind: &str, threads, states: &[(&str, f64)]| Scheduler {
            kind: kind.to_owned(),
            threads,
            states: states.iter().map(|(state, part)| ((*state).to_owned(), *part)).collect(),
        };
        let expected = [
            of("aux", 1, &[("sleep", 0.0)]),
            of("scheduler", 2, &[("emulator", 0.4), ("sleep", 0.6)]),
        ];
        assert_eq!(found, expected);
    }
}

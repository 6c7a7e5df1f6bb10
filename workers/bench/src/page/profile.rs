//! The page of a profile.

use std::path::Path;

use crate::page::markdown::{heading, number, table};
use crate::profile::Profile;
use crate::profile::perf::picture;
use crate::profile::schedulers::Scheduler;
use crate::profile::statements::Statement;
use crate::results::About;
use crate::stage::Run;
use crate::usage::Part;

/// A statement is told up to here.
const LONGEST: usize = 90;
/// The states of Erlang's threads, in the order of its own manual.
const STATES: [&str; 7] = ["aux", "check_io", "emulator", "gc", "other", "port", "sleep"];

const TITLE: &str = "\
# Where the time goes

Written by `./scripts/profile`.
";
const PICTURES: &str = "\
## By `perf`

One picture a part. What is wide was found often; what stands on something was called by it. They are zoomed by a click
when opened by themselves.
";
const PARTS: &str = "\
## By part

Processor time of an order, in milliseconds.
";
const STATEMENTS: &str = "\
## PostgreSQL by `pg_stat_statements`

An order's part of each statement; the time is from begin to end, with whatever it waited for.
";
const SCHEDULERS: &str = "\
## RabbitMQ by `msacc`

What Erlang's threads did, in percent of their time.
";

/// The page about `profile`, found by `run`.
pub fn profile(profile: &Profile, run: &About) -> String {
    let Profile { run: load, drawn, statements, schedulers } = profile;
    let pictures: String = drawn
        .iter()
        .map(|part| {
            let file = picture(Path::new(""), *part);
            format!("\n![{}]({})\n", part.name(), file.display())
        })
        .collect();
    let found = format!(
        "{} single-line orders were worked off meanwhile, {} a second: to be looked at takes time as well.\n",
        number(load.orders as f64, 0),
        number(load.rate, 0)
    );
    [
        format!("{TITLE}\n{}", heading("The load", run)),
        found,
        PICTURES.to_owned() + &pictures,
        format!("{PARTS}\n{}", parts_table(load)),
        format!("{STATEMENTS}\n{}", statements_table(statements)),
        format!("{SCHEDULERS}\n{}", schedulers_table(schedulers)),
    ]
    .join("\n")
}

fn parts_table(load: &Run) -> String {
    let cost = Run::cost([load]);
    let row = |part: &Part| vec![part.name().to_owned(), number(cost.of(*part), 3)];
    // What looks on is a child of the benchmark's.
    let in_system = Part::ALL.iter().filter(|part| **part != Part::Bench);
    table(&["part", "ms"], &in_system.map(row).collect::<Vec<_>>())
}

fn statements_table(statements: &[Statement]) -> String {
    let head = ["service", "statement", "calls", "ms", "rows", "pages", "bytes of log"];
    let row = |statement: &Statement| {
        let Statement { service, text, calls, milliseconds, rows, pages, log_bytes } = statement;
        vec![
            service.clone(),
            format!("`{}`", summary(text)),
            number(*calls, 4),
            number(*milliseconds, 4),
            number(*rows, 2),
            number(*pages, 1),
            number(*log_bytes, 0),
        ]
    };
    table(&head, &statements.iter().map(row).collect::<Vec<_>>())
}

/// What a statement writes, or else its beginning, on one line and in one cell.
fn summary(statement: &str) -> String {
    let is_between = |c: char| c.is_whitespace() || c == '(';
    let words: Vec<&str> = statement.split(is_between).filter(|word| !word.is_empty()).collect();
    let writes: Vec<String> = words
        .windows(3)
        .filter_map(|words| match words {
            ["INSERT", "INTO", table] => Some(format!("INSERT {table}")),
            ["UPDATE", table, "SET"] => Some(format!("UPDATE {table}")),
            ["DELETE", "FROM", table] => Some(format!("DELETE {table}")),
            _ => None,
        })
        .collect();
    if !writes.is_empty() {
        return writes.join("; ");
    }
    let words = statement.split_whitespace().collect::<Vec<_>>().join(" ").replace('|', "\\|");
    match words.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{} …", words[..end].trim_end_matches(['\\', ' '])),
        None => words,
    }
}

fn schedulers_table(schedulers: &[Scheduler]) -> String {
    let head = ["threads", "how many"].into_iter().chain(STATES).collect::<Vec<_>>();
    let row = |Scheduler { kind, threads, states }: &Scheduler| {
        let part =
            |state: &&str| number(100.0 * states.get(*state).copied().unwrap_or_default(), 1);
        [format!("`{kind}`"), threads.to_string()]
            .into_iter()
            .chain(STATES.iter().map(part))
            .collect()
    };
    table(&head, &schedulers.iter().map(row).collect::<Vec<_>>())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_statement_is_told_by_what_it_writes_or_its_beginning() {
        let writing = "WITH a AS (UPDATE orders SET x = 1), b AS (\n INSERT INTO inbox (y) SELECT 1)\n SELECT";
        assert_eq!(summary(writing), "UPDATE orders; INSERT inbox");
        assert_eq!(summary("SELECT\n  a || b\n FROM c"), "SELECT a \\|\\| b FROM c");
        let long = summary(&"ü".repeat(LONGEST + 1));
        assert_eq!(long.chars().filter(|char| *char == 'ü').count(), LONGEST);
        assert!(long.ends_with(" …"));
    }
}

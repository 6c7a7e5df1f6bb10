//! `orderly doctor`: looks at everything that has to be right, and says what is not and how to
//! mend it.
//!
//! `gather` reads and changes nothing; every check is a pure function from what was read
//! (`reading`) to findings. Each server has a time limit of its own, and is asked beside the
//! others, so that one that is away does not hide what is wrong elsewhere.

mod broker;
mod clock;
mod database;
mod finding;
mod gather;
mod queues;
pub(crate) mod reading;
#[cfg(test)]
mod sample;
mod tables;
mod topology;
mod work;
mod workers;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use orderly_runtime::topology::WORKERS;
use serde::Serialize;

use crate::exit::FAILED;
use crate::output;
use crate::settings::{Need, Settings};
use finding::{Finding, State};
use reading::Reading;

/// The arguments of `orderly doctor`.
#[derive(Debug, Args)]
#[command(after_long_help = HELP)]
pub struct Arguments {
    /// How long a server may take to answer
    #[arg(long, value_name = "TIME", default_value = "5s", value_parser = output::parse_duration)]
    timeout: Duration,
    /// Fail on warnings as well
    #[arg(long)]
    strict: bool,
    /// Show only what is not as it should be
    #[arg(long, conflicts_with = "json")]
    quiet: bool,
    /// Print everything as one JSON document
    #[arg(long)]
    json: bool,
}

const HELP: &str = "\
Nothing is declared, consumed or written: it is safe at any time, on any system.

A failure means that work does not go on as it should; a warning, that somebody should look: a
worker is paused, dead letters are open, little room is left. What could not be looked at counts as
a failure. The exit status is 0 if there is neither, and with --strict no warning either.";

/// Everything that was found, for programs.
#[derive(Serialize)]
struct Report<'a> {
    verdict: State,
    findings: &'a [Finding],
}

/// Looks, judges, tells.
pub async fn run(arguments: &Arguments, settings: &Settings) -> Result<ExitCode> {
    let databases = WORKERS.map(Need::Database);
    let others = [Need::Broker, Need::Ladder, Need::Management];
    settings.check(&[&others[..], &databases[..]].concat())?;
    let reading = gather::gather(settings, arguments.timeout).await?;
    let findings = diagnose(&reading);
    let verdict = findings.iter().map(|it| it.state).max().unwrap_or(State::Ok);
    if arguments.json {
        output::json(&Report { verdict, findings: &findings })?;
    } else {
        tell(&findings, arguments.quiet)?;
    }
    let least = if arguments.strict { State::Warning } else { State::Unknown };
    Ok(if verdict >= least { ExitCode::from(FAILED) } else { ExitCode::SUCCESS })
}

/// All findings, in the order in which one would look.
fn diagnose(reading: &Reading) -> Vec<Finding> {
    let checks = [
        broker::check,
        topology::check,
        queues::check,
        workers::check,
        database::check,
        work::check,
    ];
    checks.into_iter().flat_map(|check| check(reading)).collect()
}

/// A line a finding, and another with its cure.
fn tell(findings: &[Finding], quiet: bool) -> Result<()> {
    let mut shown = findings.iter().filter(|it| !quiet || it.state != State::Ok);
    let width = findings.iter().map(|it| it.check.len()).max().unwrap_or_default();
    shown.try_for_each(|finding| {
        let Finding { check, state, text, mend } = finding;
        output::line(format!("{:<14}  {check:<width$}  {text}", state.word()))?;
        match mend {
            Some(mend) => output::line(format!("{:<14}  {:<width$}  -> {mend}", "", "")),
            None => Ok(()),
        }
    })?;
    output::line(sum(findings))
}

/// The whole in one sentence.
fn sum(findings: &[Finding]) -> String {
    let of = |state| findings.iter().filter(|it| it.state == state).count() as u64;
    let parts = [
        (of(State::Failure), "failure"),
        (of(State::Warning), "warning"),
        (of(State::Unknown), "blind spot"),
    ];
    let parts = parts.into_iter().filter(|(count, _)| *count > 0);
    let parts: Vec<_> = parts.map(|(count, what)| output::count(count, what)).collect();
    match parts.is_empty() {
        true => format!("all is well: {} findings", findings.len()),
        false => format!("{} in {} findings", parts.join(", "), findings.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_healthy_system_has_nothing_wrong() {
        let findings = diagnose(&sample::healthy());
        let wrong: Vec<_> = findings.iter().filter(|it| it.state != State::Ok).collect();
        assert!(wrong.is_empty(), "{wrong:?}");
        assert!(sum(&findings).starts_with("all is well"), "{}", sum(&findings));
    }

    #[test]
    fn with_every_server_away_each_is_named_once() {
        let mut reading = sample::healthy();
        reading.amqp = Err("the broker can't be reached".to_owned());
        reading.management = None;
        for database in reading.databases.values_mut() {
            *database = Err("no answer within 5s".to_owned());
        }
        let findings = diagnose(&reading);
        let checks: Vec<_> = findings.iter().map(|it| it.check.as_str()).collect();
        let expected = [
            "broker.amqp",
            "broker.management",
            "queues.consumers",
            "order.database",
            "stock.database",
            "payment.database",
        ];
        assert_eq!(checks, expected);
        assert_eq!(sum(&findings), "4 failures, 2 blind spots in 6 findings");
    }
}

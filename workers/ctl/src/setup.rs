//! `orderly setup`: declares the topology, then checks that what is in effect is what was meant.

pub(crate) mod effects;
pub(crate) mod expected;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, anyhow};
use clap::Args;
use orderly_runtime::amqp::broker::AmqpBroker;
use orderly_runtime::amqp::declare;
use orderly_runtime::broker::{Broker, BrokerError};
use orderly_runtime::retry::Ladder;
use orderly_runtime::topology::{EXCHANGES, Queue, WORKERS, queues};
use serde::Serialize;

use crate::connections;
use crate::exit::FAILED;
use crate::management::Management;
use crate::output;
use crate::settings::{Need, Settings};

/// How long an answer of the management API may take.
const LIMIT: Duration = Duration::from_secs(10);

/// The arguments of `orderly setup`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

/// What was declared and what was found.
#[derive(Serialize)]
struct Outcome {
    exchanges: Vec<&'static str>,
    queues: Vec<String>,
    bindings: usize,
    /// Whether policies and bindings were looked at, which needs the management API.
    effects_checked: bool,
    problems: Vec<String>,
}

/// Declares and verifies. Running it again changes nothing.
pub async fn run(arguments: &Arguments, settings: &Settings) -> Result<ExitCode> {
    settings.check(&[Need::Broker, Need::Ladder, Need::Management])?;
    let ladder = settings.ladder()?;
    let management = settings.management()?;
    let broker = connections::broker(settings).await?;
    let declared = declare::declare(&broker, &ladder).await.map_err(explained);
    let verified = match declared {
        Ok(()) if management.is_none() => verify(&broker, &ladder).await,
        other => other,
    };
    broker.close().await;
    verified?;

    let topology = topology(&ladder);
    let mut problems = Vec::new();
    let effects_checked = management.is_some();
    if let Some(api) = management {
        let management = Management::new(api, &settings.broker()?, LIMIT);
        let found = effects::effects(&management, &topology);
        problems = found.context("the values in effect can't be checked")?;
    }
    let outcome = Outcome {
        exchanges: EXCHANGES.iter().map(|exchange| exchange.name).collect(),
        bindings: topology.iter().map(|queue| queue.bindings.len()).sum(),
        queues: topology.into_iter().map(|queue| queue.name).collect(),
        effects_checked,
        problems,
    };
    tell(&outcome, arguments.json)?;
    Ok(match outcome.problems.is_empty() {
        true => ExitCode::SUCCESS,
        false => ExitCode::from(FAILED),
    })
}

/// All queues of all workers, worker by worker.
pub(crate) fn topology(ladder: &Ladder) -> Vec<Queue> {
    WORKERS.into_iter().flat_map(|party| queues(party, ladder)).collect()
}

/// Says what to do about a queue or an exchange that is there and is different.
fn explained(error: BrokerError) -> anyhow::Error {
    let text = error.to_string();
    if text.contains("PRECONDITION_FAILED") || text.contains("PRECONDITION-FAILED") {
        return anyhow!(
            "it exists with other arguments, which can't be changed: {text}. Let the workers empty \
             it, delete it, and run `orderly setup` again"
        );
    }
    anyhow!("the topology can't be declared: {text}")
}

async fn verify(broker: &AmqpBroker, ladder: &Ladder) -> Result<()> {
    for party in WORKERS {
        declare::verify(broker, party, ladder).await?;
    }
    Ok(())
}

fn tell(outcome: &Outcome, as_json: bool) -> Result<()> {
    if as_json {
        output::json(outcome)?;
    } else {
        output::line(format!("exchanges  {}", outcome.exchanges.join(", ")))?;
        for party in WORKERS.map(|party| party.name()) {
            let is_theirs = |queue: &&String| queue.split('.').next() == Some(party);
            let names: Vec<_> = outcome.queues.iter().filter(is_theirs).cloned().collect();
            output::line(format!("queues     {}", names.join(", ")))?;
        }
        let (queues, bindings) = (outcome.queues.len(), outcome.bindings);
        let checked = match outcome.effects_checked {
            true => "verified with policies and bindings",
            false => "verified to be there",
        };
        output::line(format!("{queues} queues with {bindings} bindings: {checked}"))?;
    }
    if !outcome.effects_checked {
        eprintln!(
            "orderly: policies, which may override what was declared, are unchecked: set \
             ORDERLY_MANAGEMENT_URL to have them checked"
        );
    }
    for problem in &outcome.problems {
        eprintln!("orderly: {problem}");
    }
    Ok(())
}

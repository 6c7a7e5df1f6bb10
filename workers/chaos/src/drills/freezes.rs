//! Zombies: a worker that stops at a step, is taken for dead, and goes on when others did its work.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use orderly_devstack::Worker;
use orderly_e2e::eventually;
use orderly_faults::step::Step;
use orderly_runtime::broker::Broker;
use orderly_runtime::topology::{WORKERS, dead_queue};

use crate::drills::failing::Failing;
use crate::drills::kills::warm;
use crate::load::{Load, Measure};
use crate::target::Target;
use crate::verdict::{Verdict, judge};

/// Where they stop: with a message in hand, with locks in a transaction, with a commit that nobody
/// heard of, with outputs to be sent, with an ack to be sent.
pub const STEPS: [Step; 5] =
    [Step::Delivered, Step::AfterSave, Step::InCommit, Step::AfterCommit, Step::BeforeAck];
/// How long the system may take to come to rest afterwards.
const RESTS: Duration = Duration::from_secs(90);

/// How many, how long.
#[derive(Debug, Clone, Copy)]
pub struct Freezes {
    /// The load is derived from it.
    pub seed: u64,
    /// The heartbeat that is asked for, in seconds: the broker drops a silent worker after two.
    pub heartbeat: u32,
    /// How long they stay stopped.
    pub pause: Duration,
}

/// What was done and found.
#[derive(Debug)]
pub struct Frozen {
    /// How many workers were stopped.
    pub count: usize,
    /// What the system was like afterwards.
    pub verdict: Verdict,
}

/// Stops workers of all services at all steps at the same time, beside others that go on, until the
/// broker has given up all of them; lets them go on; judges.
pub async fn run(freezes: Freezes) -> Result<Frozen> {
    let mut target = Target::prepare(&[]).await?;
    target.employ_all().await?;
    target.stock_up().await?;
    let measure = Measure { seed: freezes.seed, rate: 40, most: usize::MAX, unpaid: 10 };
    let load = Load::begin(target.system().environment(), measure).await?;
    warm(&target).await?;
    let broker = &target.system().environment()["ORDERLY_BROKER_URL"];
    let broker = format!("{broker}?heartbeat={}", freezes.heartbeat);
    let mut zombies = Vec::new();
    for party in WORKERS {
        for step in STEPS {
            let failing = Failing { party, step, time: 1, how: "stop" };
            // A statement's time is what bounds a transaction that nobody goes on with.
            let extra =
                [("ORDERLY_BROKER_URL", broker.as_str()), ("ORDERLY_STATEMENT_TIMEOUT_MS", "1500")];
            let is_stopped = |worker: &mut Worker| Ok(is_stopped(worker)?.then_some(()));
            zombies.push((party, failing.run(&target, &load, &extra, is_stopped).await?.0));
        }
    }
    tokio::time::sleep(freezes.pause).await;
    for party in WORKERS {
        let queue = dead_queue(party);
        let what = format!("the broker to know only one consumer of {queue}");
        eventually(&what, async || {
            let depth = target.system().client.broker().depth(&queue).await?;
            Ok((depth.consumers == 1).then_some(()))
        })
        .await?;
    }
    let count = zombies.len();
    for (party, mut zombie) in zombies {
        zombie.process.signal("CONT")?;
        target.take_on(party, zombie).await?;
    }
    let book = load.end().await?;
    let verdict = judge(&mut target, &book, RESTS).await?;
    Ok(Frozen { count, verdict })
}

/// Whether a process is stopped by a signal.
fn is_stopped(worker: &mut Worker) -> Result<bool> {
    worker.process.expect_running()?;
    let path = format!("/proc/{}/stat", worker.process.pid());
    let stat = fs::read_to_string(&path).with_context(|| path.clone())?;
    // The name, in brackets, may hold anything.
    let state = stat.rsplit_once(") ").map(|(_, rest)| rest);
    Ok(state.is_some_and(|state| state.starts_with('T')))
}

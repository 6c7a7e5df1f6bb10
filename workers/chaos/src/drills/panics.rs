//! Panics at steps: a panic ends the session and not the process, which goes on as after a crash.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use orderly_contracts::routes::Party;
use orderly_devstack::Worker;
use orderly_faults::step::Step;
use orderly_runtime::topology::WORKERS;

use crate::drills::failing::Failing;
use crate::drills::kills::warm;
use crate::load::{Load, Measure};
use crate::target::{Target, ended, ready};
use crate::verdict::{Verdict, judge};

/// Where they panic: before, in and after the transaction, in and after each hand-over.
const STEPS: [Step; 9] = [
    Step::Delivered,
    Step::AfterClaim,
    Step::AfterSave,
    Step::InCommit,
    Step::AfterCommit,
    Step::InPublish,
    Step::AfterRetry,
    Step::BeforeAck,
    Step::AfterFile,
];
/// What a failpoint says when it panics.
const WORDS: &str = "a failpoint was reached";
/// How long the system may take to come to rest afterwards.
const RESTS: Duration = Duration::from_secs(60);

/// What was done and found.
#[derive(Debug)]
pub struct Panicked {
    /// How many panics.
    pub count: usize,
    /// The longest time from a panic until the worker was ready again.
    pub longest: Duration,
    /// What the system was like afterwards.
    pub verdict: Verdict,
}

/// Makes each worker panic at each of the steps, and judges.
pub async fn run(seed: u64, rate: u32) -> Result<Panicked> {
    let mut target = Target::prepare(&[]).await?;
    target.employ_all().await?;
    target.stock_up().await?;
    let measure = Measure { seed, rate, most: usize::MAX, unpaid: 10 };
    let load = Load::begin(target.system().environment(), measure).await?;
    warm(&target).await?;
    target.dismiss_all().await?;
    let [order, stock, payment] = WORKERS;
    let (order, stock, payment) = tokio::try_join!(
        series(&target, &load, order),
        series(&target, &load, stock),
        series(&target, &load, payment),
    )?;
    let book = load.end().await?;
    let mut times = Vec::new();
    for (party, (took, successor)) in WORKERS.into_iter().zip([order, stock, payment]) {
        times.extend(took);
        target.take_on(party, successor).await?;
    }
    let verdict = judge(&mut target, &book, RESTS).await?;
    let longest = times.iter().max().copied().unwrap_or_default();
    Ok(Panicked { count: times.len(), longest, verdict })
}

/// How long it took after each panic, and a worker that goes on where the others still need one.
async fn series(target: &Target, load: &Load, party: Party) -> Result<(Vec<Duration>, Worker)> {
    let mut times = Vec::new();
    for step in STEPS {
        // The log goes on from worker to worker.
        let mut said = None;
        let failing = Failing { party, step, time: 1, how: "panic" };
        let (mut worker, ()) = failing
            .run(target, load, &[], |worker| {
                worker.process.expect_running()?;
                let now = worker.process.output().matches(WORDS).count();
                let before = *said.get_or_insert(now);
                Ok((now > before).then_some(()))
            })
            .await?;
        let begun = Instant::now();
        ready(&mut worker).await?;
        times.push(begun.elapsed());
        worker.process.signal("TERM")?;
        let status = ended(&mut worker, "stop", Duration::from_secs(20)).await?;
        ensure!(status.success(), "{party} after a panic at {step}: {status}");
    }
    Ok((times, target.recruit(party, &[])?))
}

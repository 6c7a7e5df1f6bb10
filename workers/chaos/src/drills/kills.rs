//! A rolling series of SIGKILLs: every worker is killed at every step that it comes to, while the
//! load goes on.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use fastrand::Rng;
use orderly_contracts::routes::Party;
use orderly_devstack::Worker;
use orderly_faults::step::Step;
use orderly_runtime::topology::WORKERS;

use crate::drills::failing::Failing;
use crate::load::{Load, Measure};
use crate::need::{Need, need, reachable};
use crate::target::{Target, expect_killed};
use crate::verdict::{Verdict, judge};

/// So many times a message has to come back before it is run alone.
const RETURNS: u32 = 3;
/// How long the system may take to come to rest afterwards.
const RESTS: Duration = Duration::from_secs(120);

/// How many kills, from which seed.
#[derive(Debug, Clone, Copy)]
pub struct Kills {
    /// The order of the steps and the times at each are derived from it.
    pub seed: u64,
    /// At least so many kills over the three workers; every worker and step has its turn anyway.
    pub size: usize,
    /// New orders a second.
    pub rate: u32,
}

/// What was done and found.
#[derive(Debug)]
pub struct Killed {
    /// Kills by worker and step.
    pub at: BTreeMap<(Party, Step), u32>,
    /// How long the killing took.
    pub took: Duration,
    /// What the system was like afterwards.
    pub verdict: Verdict,
}

impl Killed {
    /// All kills.
    pub fn count(&self) -> u32 {
        self.at.values().sum()
    }
}

/// Kills, and judges.
pub async fn run(kills: Kills) -> Result<Killed> {
    let mut target = Target::prepare(&[]).await?;
    target.employ_all().await?;
    target.stock_up().await?;
    let measure = Measure { seed: kills.seed, rate: kills.rate, most: usize::MAX, unpaid: 10 };
    let load = Load::begin(target.system().environment(), measure).await?;
    warm(&target).await?;
    target.dismiss_all().await?;

    let begun = Instant::now();
    let series = WORKERS.map(|party| series(kills, party));
    let (order, stock, payment) = tokio::try_join!(
        roll(&target, &load, WORKERS[0], &series[0]),
        roll(&target, &load, WORKERS[1], &series[1]),
        roll(&target, &load, WORKERS[2], &series[2]),
    )?;
    let took = begun.elapsed();
    let mut at = BTreeMap::new();
    for (party, (steps, successor)) in WORKERS.into_iter().zip([order, stock, payment]) {
        target.take_on(party, successor).await?;
        for step in steps {
            *at.entry((party, step)).or_default() += 1;
        }
    }
    let book = load.end().await?;
    let verdict = judge(&mut target, &book, RESTS).await?;
    Ok(Killed { at, took, verdict })
}

/// Waits until orders have gone all the way, so that there is something to be locked and left over.
pub(super) async fn warm(target: &Target) -> Result<()> {
    let databases = target.databases().await?;
    orderly_e2e::eventually("the first orders to be confirmed", async || {
        let outcomes = databases.outcomes().await?;
        Ok(outcomes.get("confirmed").filter(|count| **count > 20).map(|_| ()))
    })
    .await
}

/// The steps at which one worker is killed, in order, each with which time there.
fn series(Kills { seed, size, .. }: Kills, party: Party) -> Vec<(Step, u32)> {
    let mut rng = Rng::with_seed(seed ^ party as u64);
    let rounds = size.div_ceil(reachable().len()).max(1);
    let mut series = Vec::new();
    for _ in 0..rounds {
        let mut steps: Vec<Step> =
            Step::ALL.iter().copied().filter(|step| need(party, *step).is_ok()).collect();
        rng.shuffle(&mut steps);
        series.extend(steps.into_iter().map(|step| {
            // What comes by with every batch may be let pass a few times.
            let most = if need(party, step) == Ok(Need::Load) { 6 } else { 2 };
            let first_alone = step == Step::AfterNote;
            (step, if first_alone { 1 } else { rng.u32(1..=most) })
        }));
    }
    series
}

/// Kills one worker after the other; where each was killed, and the worker that comes after all of
/// them: the others need it for as long as they are not through.
async fn roll(
    target: &Target,
    load: &Load,
    party: Party,
    series: &[(Step, u32)],
) -> Result<(Vec<Step>, Worker)> {
    let mut killed = Vec::new();
    for (step, time) in series.iter().copied() {
        if need(party, step) == Ok(Need::Returned) {
            // Messages come back, and with them those that are about to be suspects.
            for _ in 0..RETURNS {
                kill_at(target, load, party, Step::BeforeBegin, 1).await?;
                killed.push(Step::BeforeBegin);
            }
        }
        kill_at(target, load, party, step, time).await?;
        killed.push(step);
    }
    Ok((killed, target.recruit(party, &[])?))
}

/// Starts a worker that dies at the `time`th time it comes to `step`, and feeds it until it does.
async fn kill_at(target: &Target, load: &Load, party: Party, step: Step, time: u32) -> Result<()> {
    let failing = Failing { party, step, time, how: "kill" };
    let (worker, status) = failing.run(target, load, &[], |worker| worker.process.status()).await?;
    expect_killed(&worker, status).with_context(|| format!("{party} at {step}:{time}"))
}

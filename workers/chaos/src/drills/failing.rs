//! A worker that is to fail at a step, fed until it does.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail};
use orderly_contracts::routes::Party;
use orderly_devstack::Worker;
use orderly_faults::kill::{FAIL_AT, FAIL_HOW};
use orderly_faults::step::Step;

use crate::feed::Feed;
use crate::load::Load;
use crate::need::need;
use crate::target::{LOOK, Target};

/// How long a worker may take to come to its step.
const COMES_THERE: Duration = Duration::from_secs(45);

/// Where and how a worker is to fail.
#[derive(Debug, Clone, Copy)]
pub struct Failing {
    /// Which worker.
    pub party: Party,
    /// At which step.
    pub step: Step,
    /// The how-manieth time it comes there.
    pub time: u32,
    /// In which way: `kill`, `panic` or `stop`.
    pub how: &'static str,
}

impl Failing {
    /// Starts such a worker with further variables and waits until it `has_failed`; what that told.
    /// Fails by the step's name, if the worker does not come there.
    pub async fn run<T>(
        self,
        target: &Target,
        load: &Load,
        extra: &[(&str, &str)],
        mut has_failed: impl FnMut(&mut Worker) -> Result<Option<T>>,
    ) -> Result<(Worker, T)> {
        let Self { party, step, time, how } = self;
        let need = need(party, step).map_err(|why| anyhow!("{party} {step}: {why}"))?;
        let mut feed = Feed::begin(target, load, party, need).await?;
        let at = format!("{step}:{time}");
        let mut variables = vec![(FAIL_AT, at.as_str()), (FAIL_HOW, how)];
        variables.extend(feed.settings());
        variables.extend(extra);
        let mut worker = target.recruit(party, &variables)?;
        let begun = Instant::now();
        let mut next = begun;
        let found = loop {
            if let Some(found) = has_failed(&mut worker).with_context(|| format!("{party} {at}"))? {
                break found;
            }
            if begun.elapsed() > COMES_THERE {
                let log = worker.process.tail(20);
                bail!("the {party} worker did not come to {at} within {COMES_THERE:?}:\n{log}");
            }
            if Instant::now() >= next {
                feed.serve().await?;
                next = Instant::now() + feed.period();
            }
            tokio::time::sleep(LOOK).await;
        };
        feed.end().await?;
        Ok((worker, found))
    }
}

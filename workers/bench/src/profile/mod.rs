//! A profile: where the time of the whole system goes while it works off as many orders as it can.
//!
//! [`perf`] draws a flame graph of each part, [`statements`] is PostgreSQL's own account, and [`schedulers`]
//! that of RabbitMQ.

pub mod perf;
pub mod schedulers;
pub mod statements;

use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Result, anyhow};
use orderly_devstack::Nodes;
use tokio::runtime::Runtime;

use crate::orders::Shape;
use crate::profile::perf::Recording;
use crate::profile::schedulers::Scheduler;
use crate::profile::statements::{Statement, Statements};
use crate::stage::{Run, Saga};
use crate::throughput::OPEN;
use crate::usage::{Part, processes};

/// How long a load has lasted when it is looked at.
const SETTLED: Duration = Duration::from_secs(2);
/// How many orders come before those that are measured.
const WARM_UP: usize = 5_000;

/// What is looked at.
#[derive(Debug, Clone, Copy)]
pub struct Look {
    /// For how long.
    pub span: Duration,
    /// How many workers of each service there are.
    pub replicas: usize,
}

/// What was found.
#[derive(Debug)]
pub struct Profile {
    /// What was worked off meanwhile. To be looked at takes time too, so this is no figure of how fast it is.
    pub run: Run,
    /// The parts of which a picture was drawn.
    pub drawn: Vec<Part>,
    /// What took PostgreSQL the longest, most of it first.
    pub statements: Vec<Statement>,
    /// What RabbitMQ's schedulers did.
    pub schedulers: Vec<Scheduler>,
}

/// Looks at a system on `nodes`, which have to be those of `Insight::Profiled`, and draws what it sees into
/// `folder`.
pub fn profile(runtime: &Runtime, nodes: &Nodes, look: Look, folder: &Path) -> Result<Profile> {
    let Look { span, replicas } = look;
    let (mut saga, rate) = runtime.block_on(warm(nodes, replicas))?;
    // Enough for a while before and behind, whatever being looked at costs.
    let count = (rate * (span + 2 * SETTLED).as_secs_f64()) as usize;
    let orders = Shape::SINGLE.series("profiled", count);
    let statements = Statements::begin(nodes.endpoints())?;
    let (run, recorded, schedulers) = thread::scope(|scope| -> Result<_> {
        let recorded = scope.spawn(|| {
            thread::sleep(SETTLED);
            let mut system = processes()?;
            system.remove(&Part::Bench);
            Recording::make(&system, span, nodes.folder())
        });
        let schedulers = scope.spawn(|| {
            thread::sleep(SETTLED);
            schedulers::watch(nodes, span)
        });
        let run = runtime.block_on(saga.run(orders, OPEN))?;
        let panicked = |_| anyhow!("whoever looked at it panicked");
        Ok((run, recorded.join().map_err(panicked)??, schedulers.join().map_err(panicked)??))
    })?;
    let statements = statements.end(run.orders)?;
    runtime.block_on(saga.expect_clean_audit())?;
    let drawn = recorded.draw(folder)?;
    Ok(Profile { run, drawn, statements, schedulers })
}

/// A system at its pace, and how many orders a second that is.
async fn warm(nodes: &Nodes, replicas: usize) -> Result<(Saga, f64)> {
    let mut saga = Saga::start(nodes.endpoints(), &[], replicas).await?;
    saga.stock_up(&Shape::SINGLE.skus()).await?;
    saga.run(Shape::SINGLE.series("warm", WARM_UP), OPEN).await?;
    let pace = saga.run(Shape::SINGLE.series("pace", 2 * WARM_UP), OPEN).await?;
    Ok((saga, pace.rate))
}

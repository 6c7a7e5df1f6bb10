//! A backlog: orders come while the workers are paused, and are worked off when they go on.

use anyhow::{Result, ensure};
use orderly_contracts::routes::{ORDER_NEW, PAYMENT_COMMANDS, STOCK_COMMANDS};
use orderly_devstack::{Endpoints, SERVICES};
use orderly_e2e::eventually;
use serde::{Deserialize, Serialize};

use crate::orders::Shape;
use crate::results::Spread;
use crate::stage::{Run, Saga};
use crate::throughput::{Extent, OPEN};

/// What was measured.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Backlog {
    /// How many orders were waiting.
    pub waiting: usize,
    /// The rounds, one after the other.
    pub rounds: Vec<Turn>,
}

/// One turn of both.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Turn {
    /// Orders that come as others end.
    pub steady: Run,
    /// Orders that were all there.
    pub drained: Run,
}

impl Backlog {
    /// The rate of draining as part of the steady one, round by round.
    pub fn ratio(&self) -> Spread {
        Spread::of(self.rounds.iter().map(|turn| turn.drained.rate / turn.steady.rate))
    }
}

/// Measures the draining of `waiting` orders against a steady flow of `extent.orders`, by turns.
pub async fn backlog(
    endpoints: &Endpoints,
    waiting: usize,
    extent: Extent,
    say: &mut impl FnMut(String),
) -> Result<Backlog> {
    let mut saga = Saga::start(endpoints, &[], 1).await?;
    saga.stock_up(&Shape::SINGLE.skus()).await?;
    let series = |name: String, count| Shape::SINGLE.series(&name, count);
    saga.run(series("warm".into(), extent.orders / 4), OPEN).await?;
    let mut rounds = Vec::new();
    for n in 1..=extent.rounds {
        let steady = saga.run(series(format!("s{n:03}"), extent.orders), OPEN).await?;
        command(&saga, "pause")?;
        wait_until_paused(&saga).await?;
        let orders = series(format!("b{n:03}"), waiting);
        for some in orders.chunks(1_000) {
            saga.shop.counter.place(some).await?;
        }
        ensure!(saga.shop.heard.is_empty(), "a paused worker worked");
        command(&saga, "resume")?;
        let drained = saga.drain(waiting).await?;
        say(format!("round {n}: drained {:.0}, steady {:.0} orders/s", drained.rate, steady.rate));
        rounds.push(Turn { steady, drained });
    }
    saga.expect_clean_audit().await?;
    Ok(Backlog { waiting, rounds })
}

/// Pauses or resumes all workers.
fn command(saga: &Saga, command: &str) -> Result<()> {
    for service in SERVICES {
        let (is_done, said) = saga.system.orderly(&[command, service])?;
        ensure!(is_done, "`orderly {command} {service}` failed: {said}");
    }
    Ok(())
}

/// Workers look for a pause every second.
async fn wait_until_paused(saga: &Saga) -> Result<()> {
    eventually("the workers to pause", async || {
        for queue in [ORDER_NEW, STOCK_COMMANDS, PAYMENT_COMMANDS] {
            if saga.system.client.consumers(queue).await? > 0 {
                return Ok(None);
            }
        }
        Ok(Some(()))
    })
    .await
}

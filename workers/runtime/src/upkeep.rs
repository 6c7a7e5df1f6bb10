//! Upkeep: publishes what a crash left behind, and forgets what is old.

use std::sync::Arc;
use std::time::Duration;

use crate::broker::Broker;
use crate::clock::Clock;
use crate::domain::Domain;
use crate::metrics;
use crate::outlet::publish_all;
use crate::stop::Stop;
use crate::store::{Store, StoreError};
use crate::trouble::Trouble;

/// How many batches are swept at once.
const SWEEP_BATCHES: usize = 20;
/// How many inbox rows are forgotten at once, and how many batches: each may have outputs of a megabyte.
const PURGE_ROWS: usize = 500;
/// How many dead letters are looked through at once.
const LETTERS: usize = 1_000;

/// The loop of upkeep.
pub struct Upkeep<B, S> {
    /// The broker.
    pub broker: Arc<B>,
    /// The worker's database.
    pub store: Arc<S>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// How long outputs may be on their way before they are swept.
    pub sweep_after: Duration,
    /// How long inbox rows are kept.
    pub retention: Duration,
    /// How long dead letters are kept that are resolved or archived.
    pub letter_retention: Duration,
    /// Ends the loop.
    pub stop: Stop,
}

impl<B: Broker, S> Upkeep<B, S> {
    /// Runs until stopped or in trouble.
    pub async fn run<D: Domain>(self) -> Result<(), Trouble>
    where
        S: Store<D>,
    {
        let mut publisher = self.broker.publisher().await?;
        let period = (self.sweep_after / 3).max(Duration::from_millis(100));
        while !self.stop.is_requested() {
            let unsent = later(self.store.unsent(self.sweep_after, SWEEP_BATCHES).await)?;
            for (batch, outgoing) in &unsent {
                publish_all(&mut publisher, outgoing).await?;
                self.store.mark_sent(&[*batch]).await?;
                metrics::swept(outgoing.len());
                tracing::warn!(%batch, messages = outgoing.len(), "published what had been left");
            }
            let purged = later(self.store.purge(self.retention, PURGE_ROWS).await)?;
            let tended = later(self.store.tend_letters(self.letter_retention, LETTERS).await)?;
            let is_more = unsent.len() == SWEEP_BATCHES
                || purged >= PURGE_ROWS as u64
                || tended >= LETTERS as u64;
            if !is_more {
                tokio::select! {
                    biased;
                    () = self.clock.sleep(period) => {}
                    () = self.stop.requested() => {}
                }
            }
        }
        Ok(())
    }
}

/// Upkeep that is in somebody's way, or takes too long, is done later: no reason for a worker to
/// begin anew.
fn later<T: Default>(outcome: Result<T, StoreError>) -> Result<T, StoreError> {
    match outcome {
        Err(StoreError::Conflict(why)) => {
            tracing::warn!(why, "upkeep put off");
            Ok(T::default())
        }
        outcome => outcome,
    }
}

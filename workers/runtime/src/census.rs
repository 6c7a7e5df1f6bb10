//! The census: reads from the database, every few seconds, what only the database knows.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::domain::Domain;
use crate::metrics;
use crate::stop::Stop;
use crate::store::Store;
use crate::trouble::Trouble;

/// How often the database is asked.
const PERIOD: Duration = Duration::from_secs(5);
/// Every so often it is asked for what takes long, too: once a minute.
const FULL: usize = 12;

/// The loop of the census.
pub(crate) struct Census<S> {
    pub(crate) store: Arc<S>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) stop: Stop,
}

impl<S> Census<S> {
    /// Runs until stopped, or not at all where nobody could look at what it reads.
    pub(crate) async fn run<D: Domain>(self) -> Result<(), Trouble>
    where
        S: Store<D>,
    {
        if !metrics::is_installed() {
            return Ok(());
        }
        for round in 0.. {
            match self.store.census(round % FULL == 0).await {
                Ok(readings) => metrics::census(&readings, self.clock.now()),
                // Whoever works with the database will say so; that nobody counts is no trouble.
                Err(error) => tracing::debug!(%error, "the gauges of the database are not read"),
            }
            tokio::select! {
                biased;
                () = self.clock.sleep(PERIOD) => {}
                () = self.stop.requested() => break,
            }
        }
        Ok(())
    }
}

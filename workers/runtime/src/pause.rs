//! The pause an operator may give a worker, all replicas of it; it outlives restarts.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, Micros};
use crate::domain::Domain;
use crate::gate::GateKeeper;
use crate::health::Health;
use crate::stop::Stop;
use crate::store::Store;
use crate::trouble::Trouble;

/// How often the database is asked.
const PERIOD: Duration = Duration::from_secs(1);

/// A pause, as it stands in the worker's database.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pause {
    /// Who paused the worker.
    pub by: String,
    /// Why, if they said so.
    pub why: Option<String>,
    /// Since when.
    pub since: Micros,
}

/// Heeds the pause. Asking for it shows as well, to an idle worker, that its database is there.
pub(crate) struct PauseWatch<S> {
    pub(crate) store: Arc<S>,
    pub(crate) keeper: GateKeeper,
    pub(crate) health: Health,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) stop: Stop,
}

impl<S> PauseWatch<S> {
    /// Runs until stopped or in trouble.
    pub(crate) async fn run<D: Domain>(self) -> Result<(), Trouble>
    where
        S: Store<D>,
    {
        while !self.stop.is_requested() {
            self.look().await?;
            tokio::select! {
                biased;
                () = self.clock.sleep(PERIOD) => {}
                () = self.stop.requested() => {}
            }
        }
        Ok(())
    }

    /// Opens or closes the gate as the database says.
    pub(crate) async fn look<D: Domain>(&self) -> Result<(), Trouble>
    where
        S: Store<D>,
    {
        let pause = self.store.pause().await?;
        if self.keeper.set_open(pause.is_none()) {
            match &pause {
                Some(Pause { by, why, .. }) => tracing::warn!(by, why, "paused"),
                None => tracing::info!("resumed"),
            }
        }
        self.health.paused(pause);
        Ok(())
    }
}

//! The gate before work: closed while too much is in progress, whoever of the replicas did it, or
//! while the worker is paused.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Clock;
use crate::domain::Domain;
use crate::flag::Flag;
use crate::metrics;
use crate::stop::Stop;
use crate::store::Store;
use crate::trouble::Trouble;

/// How often the work in progress is counted.
const PERIOD: Duration = Duration::from_millis(100);

/// Lets work in, or not. Closing it ends consuming; it never holds deliveries back.
#[derive(Debug, Clone, Default)]
pub struct Gate(Vec<Flag>);

/// Moves a gate.
#[derive(Debug)]
pub struct GateKeeper(Flag);

impl Gate {
    /// A gate, open at first, and what moves it.
    pub fn new() -> (Self, GateKeeper) {
        let flag = Flag::new(true);
        (Self(vec![flag.clone()]), GateKeeper(flag))
    }

    /// A gate that is always open.
    pub fn always_open() -> Self {
        Self::default()
    }

    /// A gate that is open while both are.
    pub fn and(&self, other: &Self) -> Self {
        Self(self.0.iter().chain(&other.0).cloned().collect())
    }

    /// Whether work may come in.
    pub fn is_open(&self) -> bool {
        self.0.iter().all(Flag::is_up)
    }

    /// Returns once the gate is open.
    pub async fn opened(&self) {
        while !self.is_open() {
            for part in &self.0 {
                part.raised().await;
            }
        }
    }
}

impl GateKeeper {
    /// Opens or closes the gate; whether that moved it.
    pub(crate) fn set_open(&self, is_open: bool) -> bool {
        self.0.set(is_open)
    }

    /// Counts the work in progress, again and again, and moves the gate: closed from `limit` on,
    /// open again below four fifths of it.
    pub async fn run<D: Domain, S: Store<D>>(
        self,
        store: Arc<S>,
        clock: Arc<dyn Clock>,
        limit: u32,
        stop: Stop,
    ) -> Result<(), Trouble> {
        while !stop.is_requested() {
            let in_progress = store.in_progress(limit).await?;
            metrics::in_progress(in_progress);
            let is_open = self.0.is_up();
            let opens = in_progress < if is_open { limit } else { limit / 5 * 4 };
            if opens != is_open {
                tracing::info!(in_progress, limit, "intake of new work: open = {opens}");
                self.0.set(opens);
            }
            tokio::select! {
                biased;
                () = clock.sleep(PERIOD) => {}
                () = stop.requested() => {}
            }
        }
        Ok(())
    }
}

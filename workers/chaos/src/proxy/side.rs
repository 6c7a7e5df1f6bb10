//! What the pumps of one direction share: what is wrong with it, its traps and taps, and what went through.

use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::watch;

use super::tap::{Passed, Tap};
use super::toxics::Toxics;
use super::trap::Trap;
use super::units::Unit;

/// One direction of all connections of a proxy.
pub(crate) struct Side {
    pub(crate) toxics: watch::Sender<Toxics>,
    pub(crate) forwarded: AtomicU64,
    traps: Mutex<Vec<Arc<Trap>>>,
    taps: Mutex<Vec<Arc<Tap>>>,
}

impl Default for Side {
    fn default() -> Self {
        let (toxics, _) = watch::channel(Toxics::default());
        Self {
            toxics,
            forwarded: AtomicU64::new(0),
            traps: Mutex::default(),
            taps: Mutex::default(),
        }
    }
}

impl Side {
    pub(crate) fn lay(&self, trap: Arc<Trap>) {
        self.traps().push(trap);
    }

    pub(crate) fn tap(&self, tap: Arc<Tap>) {
        self.taps().push(tap);
    }

    /// Whether anybody listens in.
    pub(crate) fn is_tapped(&self) -> bool {
        !self.taps().is_empty()
    }

    /// Tells whoever listens in.
    pub(crate) fn hear(&self, passed: &Passed) {
        self.taps().iter().for_each(|tap| tap.hear(passed.clone()));
    }

    /// Takes all traps away and lets go what they hold.
    pub(crate) fn clear(&self) {
        self.traps().drain(..).for_each(|trap| trap.release());
        self.toxics.send_replace(Toxics::default());
    }

    /// The traps that spring at `unit`, and how many of its bytes pass before.
    pub(crate) fn springing(&self, unit: &Unit) -> Vec<(usize, Arc<Trap>)> {
        let traps = self.traps();
        traps.iter().filter_map(|trap| Some((trap.passing(unit)?, trap.clone()))).collect()
    }

    fn taps(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Tap>>> {
        self.taps.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn traps(&self) -> std::sync::MutexGuard<'_, Vec<Arc<Trap>>> {
        self.traps.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

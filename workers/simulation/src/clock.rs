//! Time that passes only when nothing else is to do, and randomness from a seed.

use std::pin::Pin;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use fastrand::Rng;
use orderly_runtime::clock::{Clock, Entropy, Micros};
use tokio::time::Instant;

/// When every simulation begins: a Tuesday in 2026.
const BEGIN: Micros = Micros(1_790_000_000_000_000);

/// The virtual clock of a paused runtime.
#[derive(Debug, Clone, Copy)]
pub struct VirtualClock(Instant);

impl VirtualClock {
    /// A clock that begins now; there must be a runtime.
    pub fn begin() -> Self {
        Self(Instant::now())
    }

    /// How long it has run.
    pub fn elapsed(&self) -> Duration {
        self.0.elapsed()
    }
}

impl Clock for VirtualClock {
    fn now(&self) -> Micros {
        BEGIN + self.0.elapsed()
    }

    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// Random numbers from a seed.
#[derive(Debug)]
pub struct Seeded(Mutex<Rng>);

impl Seeded {
    /// The numbers that follow from `seed`.
    pub fn new(seed: u64) -> Self {
        Self(Mutex::new(Rng::with_seed(seed)))
    }
}

impl Entropy for Seeded {
    fn next(&self) -> u64 {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).u64(..)
    }
}

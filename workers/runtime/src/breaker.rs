//! The circuit breaker of the effect runner: after too many failures in a row, a pause.

use std::time::Duration;

use crate::clock::{Clock, Micros};

/// This many failures in a row open the breaker.
const FAILURES_MAX: u32 = 20;
/// How long it stays open. Short against the acknowledgement timeout of the broker.
const PAUSE: Duration = Duration::from_secs(5);

/// Counts failures in a row, and makes callers wait when there are too many.
#[derive(Debug, Default)]
pub struct Breaker {
    failures: u32,
    open_until: Micros,
}

impl Breaker {
    /// Notes how a call ended. One success closes the breaker.
    pub fn note(&mut self, has_failed: bool, now: Micros) {
        if !has_failed {
            self.failures = 0;
            return;
        }
        self.failures += 1;
        if self.failures >= FAILURES_MAX {
            self.open_until = now + PAUSE;
        }
    }

    /// Returns when calls are allowed: at once, or after the pause, and then for a single failure
    /// to open it again.
    pub async fn wait(&mut self, clock: &dyn Clock) {
        let left = self.open_until - clock.now();
        if !left.is_zero() {
            tracing::warn!(pause_ms = left.as_millis(), "too many failures in a row, pausing");
            clock.sleep(left).await;
        }
    }
}

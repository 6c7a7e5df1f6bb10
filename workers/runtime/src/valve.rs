//! The valve before a loop over a queue: whether it may take deliveries now.

use std::sync::Arc;

use crate::breaker::{Breaker, BreakerLimits};
use crate::clock::Clock;
use crate::gate::Gate;
use crate::health::Health;
use crate::metrics;
use crate::stop::Stop;

/// Closed by a stop, by a gate, or by too many failures.
pub(crate) struct Valve {
    queue: &'static str,
    gate: Gate,
    breaker: Breaker,
    health: Health,
    clock: Arc<dyn Clock>,
    stop: Stop,
}

/// The session may end in the middle of a pause.
impl Drop for Valve {
    fn drop(&mut self) {
        metrics::breaker_open(self.queue, false);
    }
}

impl Valve {
    /// A valve for the loop over `queue`.
    pub(crate) fn new(
        queue: &'static str,
        gate: Gate,
        limits: BreakerLimits,
        health: Health,
        clock: Arc<dyn Clock>,
        stop: Stop,
    ) -> Self {
        Self { queue, gate, breaker: Breaker::new(limits), health, clock, stop }
    }

    /// Whether deliveries may be taken. Those that are here already may be finished even if not,
    /// unless it [`has_tripped`](Self::has_tripped).
    pub(crate) fn is_open(&self) -> bool {
        self.gate.is_open() && !self.stop.is_requested() && !self.has_tripped()
    }

    /// Whether failures closed it: going on with what is here would only make more of them.
    pub(crate) fn has_tripped(&self) -> bool {
        !self.breaker.pause_left(self.clock.now()).is_zero()
    }

    /// Whether it was closed by failures and has not seen yet that things go well again.
    pub(crate) fn is_half_open(&self) -> bool {
        self.breaker.is_half_open()
    }

    /// Notes how attempts ended; it may close.
    pub(crate) fn note(&mut self, failed: usize, total: usize) {
        self.breaker.note(failed, total, self.clock.now());
    }

    /// Closes it for a while.
    pub(crate) fn trip(&mut self) {
        self.breaker.trip(self.clock.now());
    }

    /// Returns once it is open: true; or once a stop is requested: false.
    pub(crate) async fn opened(&self) -> bool {
        let pause = self.breaker.pause_left(self.clock.now());
        if !pause.is_zero() {
            let (queue, ms) = (self.queue, pause.as_millis());
            tracing::warn!(queue, pause_ms = ms, "too much fails: this queue is left alone");
            metrics::breaker_open(queue, true);
            self.health.halted(queue, true);
            tokio::select! {
                biased;
                () = self.clock.sleep(pause) => {}
                () = self.stop.requested() => {}
            }
            self.health.halted(queue, false);
            metrics::breaker_open(queue, false);
        }
        tokio::select! {
            biased;
            () = self.gate.opened() => {}
            () = self.stop.requested() => {}
        }
        !self.stop.is_requested()
    }
}

//! The intake of a lane: which deliveries become a batch, and how long they wait for each other.

use std::sync::Arc;
use std::time::Duration;

use crate::broker::{BrokerError, Deliveries};
use crate::clock::{Clock, Micros};
use crate::convoy;
use crate::message::Delivery;
use crate::stop::Stop;

/// How long the next of a convoy is waited for. Others may have got it, where there are replicas.
const GAP: Duration = Duration::from_millis(5);
/// How long a convoy is waited for in all, whatever was announced.
const CONVOY_MAX: Duration = Duration::from_millis(20);
/// The longest rest, however long a batch took.
const REST_MAX: Duration = Duration::from_millis(50);

/// The bounds of a batch.
#[derive(Debug, Clone, Copy)]
pub struct BatchLimits {
    /// The most messages in a batch.
    pub messages: usize,
    /// The most bytes of bodies in a batch; a larger single message is a batch of its own.
    pub bytes: usize,
    /// The most unsettled deliveries: a batch at least, and with two of them the next is here in time.
    pub prefetch: u16,
    /// How long the first message of a batch waits for others, where they are in no hurry.
    pub patience: Duration,
    /// How many times as long as a batch took the lane rests after it, where work is new, so that the busier
    /// the system is, the more of it goes together. A full batch goes at once.
    pub rest: u32,
}

/// The deliveries of one channel.
pub(crate) struct Intake<T> {
    deliveries: T,
    limits: BatchLimits,
    clock: Arc<dyn Clock>,
    stop: Stop,
    rests_until: Micros,
    /// Whether we asked for no more.
    is_cancelled: bool,
}

impl<T: Deliveries> Intake<T> {
    /// An intake of `deliveries`, of which `limits.prefetch` can be in hand.
    pub(crate) fn new(
        deliveries: T,
        limits: BatchLimits,
        clock: Arc<dyn Clock>,
        stop: Stop,
    ) -> Self {
        let messages = limits.messages.min(limits.prefetch.into());
        let limits = BatchLimits { messages, ..limits };
        Self { deliveries, limits, clock, stop, rests_until: Micros(0), is_cancelled: false }
    }

    /// Asks for no more deliveries: those that are here already are the last.
    pub(crate) async fn cancel(&mut self) -> Result<(), BrokerError> {
        if !self.is_cancelled {
            self.deliveries.cancel().await?;
            self.is_cancelled = true;
        }
        Ok(())
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.is_cancelled
    }

    /// The next delivery; none once the last is taken.
    pub(crate) async fn next(&mut self) -> Result<Option<Delivery>, BrokerError> {
        self.deliveries.next().await
    }

    /// Rests, after a batch that took so long.
    pub(crate) fn rest_after(&mut self, took: Duration) {
        self.rests_until = self.clock.now() + (took * self.limits.rest).min(REST_MAX);
    }

    /// Takes what is here already, and what was announced. Else it waits only if it is patient, or rests: so low
    /// load has no added latency, and under load the next batch has gathered while this one was processed.
    pub(crate) async fn gather(&mut self, first: Delivery) -> Result<Vec<Delivery>, BrokerError> {
        let here = self.clock.now();
        let rested = self.rests_until.min(here + REST_MAX);
        let starts = (here + self.limits.patience).max(rested);
        let latest = starts.max(here + CONVOY_MAX);
        let mut announced = convoy::followers(&first);
        let mut bytes = first.body.len();
        let mut gathered = vec![first];
        while gathered.len() < self.limits.messages && bytes < self.limits.bytes {
            let until = |now: Micros| match announced {
                // A clock that was put back would hold it up for as long.
                _ if now < here => now,
                0 => starts,
                _ => starts.max(now + GAP).min(latest),
            };
            let Some(delivery) = self.before(until).await? else { break };
            // The next convoy shows that the one before it is over.
            announced = match convoy::followers(&delivery) {
                0 => announced.saturating_sub(1),
                followers => followers,
            };
            bytes += delivery.body.len();
            gathered.push(delivery);
        }
        Ok(gathered)
    }

    /// A delivery that is here already, or comes before the moment that `until` gives, told the time.
    async fn before(
        &mut self,
        until: impl FnOnce(Micros) -> Micros,
    ) -> Result<Option<Delivery>, BrokerError> {
        if let Some(delivery) = self.deliveries.buffered()? {
            return Ok(Some(delivery));
        }
        let now = self.clock.now();
        let wait = until(now) - now;
        if wait.is_zero() || self.is_cancelled {
            return Ok(None);
        }
        tokio::select! {
            biased;
            delivery = self.deliveries.next() => delivery,
            () = self.stop.requested() => Ok(None),
            () = self.clock.sleep(wait) => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests;

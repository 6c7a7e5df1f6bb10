//! The way out of a batch: publish everything, wait for every confirm, then acknowledge.

use uuid::Uuid;

use crate::batch::Processed;
use crate::broker::{Acks, BrokerError, Confirmation, Publisher};
use crate::clock::{Clock, Micros, SystemClock};
use crate::message::Outgoing;
use crate::metrics;
use crate::settlement::Settlement;
use crate::trace;

/// The most messages that wait for their confirms at once; beyond it, only latency grows.
const WINDOW: usize = 1_000;

/// Publishes and acknowledges for one channel of deliveries.
pub struct Outlet<P, A> {
    publisher: P,
    acks: A,
    settlement: Settlement,
    /// How many settled deliveries are enough to be acknowledged at once.
    enough: usize,
}

impl<P: Publisher, A: Acks> Outlet<P, A> {
    /// An outlet for the deliveries that `acks` settles. Fewer than `enough` of them wait for
    /// [`Outlet::acknowledge`]: together they cost the broker one entry in its log instead of one each.
    pub fn new(publisher: P, acks: A, enough: usize) -> Self {
        Self { publisher, acks, settlement: Settlement::default(), enough }
    }

    /// Publishes what was processed and settles its deliveries; the batches that are out.
    pub async fn deliver(
        &mut self,
        processed: Option<Processed>,
    ) -> Result<Vec<Uuid>, BrokerError> {
        let Some(Processed { outgoing, tags, batches, waits, .. }) = processed else {
            return Ok(vec![]);
        };
        publish_all(&mut self.publisher, &outgoing).await?;
        for tag in tags {
            self.settlement.settle(tag);
        }
        if self.settlement.ackable() >= self.enough {
            self.acknowledge().await?;
        }
        waits.end();
        Ok(batches)
    }

    /// Whether settled deliveries wait to be acknowledged.
    pub fn owes_acks(&self) -> bool {
        self.settlement.ackable() > 0
    }

    /// Acknowledges everything up to the first delivery that is not settled.
    pub async fn acknowledge(&mut self) -> Result<(), BrokerError> {
        match self.settlement.take_ackable() {
            Some(tag) => self.acks.ack_up_to(tag).await,
            None => Ok(()),
        }
    }

    /// Acknowledges what is settled and closes the channel, which proves that every ack has arrived.
    pub async fn close(mut self) -> Result<(), BrokerError> {
        self.acknowledge().await?;
        self.acks.close().await
    }
}

/// Publishes all messages; an error unless the broker has confirmed every one of them.
pub async fn publish_all<P: Publisher>(
    publisher: &mut P,
    outgoing: &[Outgoing],
) -> Result<(), BrokerError> {
    for window in outgoing.chunks(WINDOW) {
        let started = std::time::Instant::now();
        let confirmations = publisher.publish(window).await?;
        metrics::published(window.len(), started.elapsed());
        for (message, confirmation) in window.iter().zip(&confirmations) {
            let to = || format!("publishing {} to {}", message.routing_key, message.exchange);
            return Err(match confirmation {
                Confirmation::Confirmed => continue,
                Confirmation::Returned => BrokerError::Misconfigured(format!(
                    "{} failed: no queue is bound for it; run `orderly setup`",
                    to()
                )),
                Confirmation::Refused => BrokerError::Unavailable(format!(
                    "{} failed: the broker refused it; a queue may be full",
                    to()
                )),
            });
        }
        if confirmations.len() != window.len() {
            return Err(BrokerError::Unavailable("fewer confirms than publishes".to_owned()));
        }
        trace::record(|tracer| {
            let ended = SystemClock.now();
            let took = i64::try_from(started.elapsed().as_micros()).unwrap_or_default();
            tracer.published(window, (Micros(ended.0 - took), ended))
        });
    }
    Ok(())
}

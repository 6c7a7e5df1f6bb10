//! The drain: files dead letters from the queue into the worker's database.
//!
//! The queue stays the durable hand-over. Looking into a quorum queue in place would count against
//! the delivery limit of what lies there; rows can be looked at for ever.

use std::sync::Arc;

use orderly_contracts::Reason;

use crate::broker::{Acks, Broker, BrokerError, Deliveries};
use crate::clock::Clock;
use crate::domain::Domain;
use crate::health::Health;
use crate::letter::Letter;
use crate::metrics;
use crate::stop::Stop;
use crate::store::{Store, StoreError};
use crate::topology::dead_queue;
use crate::trouble::Trouble;

/// The most letters in hand. Each may be more than 2 MiB long, so they are few.
const BATCH: usize = 16;

/// The loop over the dead-letter queue.
pub struct Drain<B, S> {
    /// The broker.
    pub broker: Arc<B>,
    /// Whether it takes one letter at a time.
    pub is_careful: bool,
    /// The worker's database.
    pub store: Arc<S>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// The worker's name and version.
    pub worker: String,
    /// Tells whether this loop consumes.
    pub health: Health,
    /// Ends the loop.
    pub stop: Stop,
}

impl<B: Broker, S> Drain<B, S> {
    /// Runs until stopped or in trouble.
    pub async fn run<D: Domain>(self) -> Result<(), Trouble>
    where
        S: Store<D>,
    {
        let queue = dead_queue(D::PARTY);
        let prefetch = if self.is_careful { 1 } else { BATCH as u16 };
        let (mut deliveries, mut acks) = self.broker.consume(&queue, prefetch).await?;
        self.health.lane_open(&queue);
        loop {
            let first = tokio::select! {
                biased;
                () = self.stop.requested() => break,
                delivery = deliveries.next() => delivery?,
            };
            let Some(first) = first else {
                return Err(BrokerError::Unavailable(format!(
                    "the broker ended the consumer of {queue}"
                ))
                .into());
            };
            let mut last = first.tag;
            let mut letters = vec![Letter::read(first, &self.worker, self.clock.now())];
            while letters.len() < BATCH
                && let Some(delivery) = deliveries.buffered()?
            {
                last = delivery.tag;
                letters.push(Letter::read(delivery, &self.worker, self.clock.now()));
            }
            file(&*self.store, &letters).await?;
            given_up_by_the_broker(&letters).for_each(|queue| {
                metrics::dead_letter(queue, Reason::DeliveryLimit);
            });
            acks.ack_up_to(last).await?;
        }
        Ok(acks.close().await?)
    }
}

/// The queues of letters that no worker has counted.
fn given_up_by_the_broker(letters: &[Letter]) -> impl Iterator<Item = &str> {
    let explanations = letters.iter().map(|letter| &letter.explanation);
    let theirs = explanations.filter(|one| one.reason == Reason::DeliveryLimit);
    theirs.map(|one| one.queue.as_str())
}

/// Files letters. If the database refuses one of them for what is in it, each is tried again by itself, and
/// what is refused still is filed without what it could be refused for: whatever a sender wrote, it must not
/// lie in the way of all others.
async fn file<D: Domain>(store: &impl Store<D>, letters: &[Letter]) -> Result<(), StoreError> {
    match store.file_letters(letters).await {
        Err(StoreError::Data(_)) => {}
        outcome => return outcome,
    }
    for letter in letters {
        match store.file_letters(std::slice::from_ref(letter)).await {
            Err(StoreError::Data(why)) => {
                tracing::warn!(letter = %letter.explanation.id, why, "filed without its headers");
                store.file_letters(&[letter.bare(&why)]).await?;
            }
            outcome => outcome?,
        }
    }
    Ok(())
}

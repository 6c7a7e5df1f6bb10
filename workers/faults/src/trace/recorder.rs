//! The recorder: writes down what crosses a worker's seams, and changes nothing.

use std::sync::atomic::{AtomicU64, Ordering};

use orderly_runtime::broker::{Acks, BrokerError, Confirmation, Publisher};
use orderly_runtime::clock::Micros;
use orderly_runtime::domain::{Cause, Domain};
use orderly_runtime::letter::Letter;
use orderly_runtime::message::{Delivery, Outgoing, Tag};
use orderly_runtime::store::{Claim, Standing, Store, StoreError, Unit, Work};
use orderly_runtime::topology::{DEAD, RETRY};
use uuid::Uuid;

use crate::between::Between;
use crate::trace::event::{
    Arrived, Effects, Event, Name, Published, Sent, attempts, beginning, causation, hash,
};

/// Where events go.
pub trait Sink: Send + Sync + 'static {
    /// Takes note of what just happened.
    fn note(&self, event: Event);
}

/// Writes down what crosses the seams.
pub struct Recorder<S> {
    sink: S,
    process: u64,
    channels: AtomicU64,
}

impl<S: Sink> Recorder<S> {
    /// A recorder that tells `sink` what `process` does; no two in a trace may have the same number.
    pub fn new(sink: S, process: u64) -> Self {
        Self { sink, process, channels: AtomicU64::new(0) }
    }
}

/// A channel of deliveries.
pub struct Channel {
    id: Uuid,
    queue: String,
}

/// A transaction, as far as it has come.
#[derive(Default)]
pub struct Seen {
    claimed: Vec<(Cause, u64)>,
    effects: Effects,
}

impl<D: Domain, S: Sink> Between<D> for Recorder<S> {
    type Unit = Seen;
    type Channel = Channel;

    fn channel(&self, queue: &str) -> Channel {
        let number = self.channels.fetch_add(1, Ordering::Relaxed);
        let id = Uuid::from_u64_pair(self.process, number);
        Channel { id, queue: queue.to_owned() }
    }

    fn saw(&self, channel: &Channel, delivery: &Delivery) {
        let is_letter = channel.queue.ends_with(".dead");
        let letter = is_letter
            .then(|| Letter::read(delivery.clone(), "trace", Micros(i64::MAX / 2)).explanation.id);
        self.sink.note(Event::Delivered {
            channel: channel.id,
            queue: channel.queue.clone(),
            tag: delivery.tag,
            copy: Arrived::of(delivery),
            letter,
        });
    }

    async fn ack<A: Acks>(
        &self,
        channel: &Channel,
        acks: &mut A,
        tag: Tag,
    ) -> Result<(), BrokerError> {
        self.sink.note(Event::Acking { channel: channel.id, up_to: tag });
        acks.ack_up_to(tag).await
    }

    async fn publish<P: Publisher>(
        &self,
        publisher: &mut P,
        messages: &[Outgoing],
    ) -> Result<Vec<Confirmation>, BrokerError> {
        let confirmations = publisher.publish(messages).await?;
        let published = messages.iter().zip(&confirmations);
        self.sink.note(Event::Published(
            published.map(|(message, taken)| (published_as(message), taken.into())).collect(),
        ));
        Ok(confirmations)
    }

    async fn claim<U: Unit<D>>(
        &self,
        unit: &mut U,
        own: &mut Seen,
        batch: Uuid,
        claims: &[Claim],
    ) -> Result<Vec<Standing>, StoreError> {
        let standings = unit.claim(batch, claims).await?;
        let mut known = Vec::new();
        for (Claim { cause, body_hash, .. }, standing) in claims.iter().zip(&standings) {
            match standing {
                Standing::Fresh => own.claimed.push((cause.clone(), beginning(body_hash))),
                Standing::Known { .. } => known.push(cause.into()),
            }
        }
        if !known.is_empty() {
            self.sink.note(Event::Known(known));
        }
        Ok(standings)
    }

    async fn save<U: Unit<D>>(
        &self,
        unit: &mut U,
        own: &mut Seen,
        work: &Work<D>,
    ) -> Result<(), StoreError> {
        let kept = own.claimed.iter().filter(|(cause, _)| !work.disclaimed.contains(cause));
        own.effects = Effects {
            of: kept.map(|(cause, body)| (Name::from(cause), *body)).collect(),
            outputs: work
                .outputs
                .iter()
                .map(|(cause, outputs)| (cause.into(), outputs.iter().map(Sent::of).collect()))
                .collect(),
        };
        unit.save(work).await
    }

    async fn commit<U: Unit<D>>(&self, unit: U, own: Seen) -> Result<(), StoreError> {
        self.sink.note(Event::Committing(own.effects.clone()));
        unit.commit().await?;
        self.sink.note(Event::Committed(own.effects));
        Ok(())
    }

    async fn file_letters<T: Store<D>>(
        &self,
        store: &T,
        letters: &[Letter],
    ) -> Result<(), StoreError> {
        store.file_letters(letters).await?;
        self.sink.note(Event::Filed(letters.iter().map(|one| one.explanation.id).collect()));
        Ok(())
    }
}

fn published_as(message: &Outgoing) -> Published {
    match message.exchange.as_str() {
        RETRY => {
            let (_, queue) = message.routing_key.split_once('.').unwrap_or_default();
            Published::Retry { copy: copy(message), queue: queue.to_owned() }
        }
        DEAD => {
            let letter = Letter::read(as_delivered(message), "trace", Micros(i64::MAX / 2));
            let properties = &letter.explanation.properties;
            let kind = properties.kind.clone().unwrap_or_default();
            let id = properties.message_id.as_deref().unwrap_or_default();
            let copy = Arrived {
                name: Name::of(&kind, id),
                kind,
                body: hash(&letter.body),
                attempts: letter.explanation.attempts,
            };
            let queue = letter.explanation.queue;
            let reason = letter.explanation.reason.code().to_owned();
            Published::Letter { letter: letter.explanation.id, copy, queue, reason }
        }
        _ => Published::Output { sent: Sent::of(message), cause: causation(&message.properties) },
    }
}

fn copy(message: &Outgoing) -> Arrived {
    let kind = message.properties.kind.clone().unwrap_or_default();
    let attempts = attempts(&message.properties);
    Arrived { name: Name::of(&kind, message.id()), kind, body: hash(&message.body), attempts }
}

fn as_delivered(message: &Outgoing) -> Delivery {
    let Outgoing { exchange, routing_key, properties, body, .. } = message.clone();
    Delivery { tag: 0, returns: 0, exchange, routing_key, properties, body }
}

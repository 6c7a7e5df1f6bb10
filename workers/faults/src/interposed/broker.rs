//! A broker with something in between.

use std::marker::PhantomData;
use std::sync::Arc;

use orderly_runtime::broker::{
    Acks, Broker, BrokerError, Confirmation, Deliveries, Depth, Publisher,
};
use orderly_runtime::domain::Domain;
use orderly_runtime::health::Health;
use orderly_runtime::message::{Delivery, Outgoing, Tag};
use tokio::sync::Mutex;

use crate::between::Between;

/// A connection to a broker.
pub struct InterposedBroker<D, B, A> {
    broker: B,
    between: Arc<A>,
    domain: PhantomData<D>,
}

impl<D, B, A> InterposedBroker<D, B, A> {
    /// Puts `between` before `broker`.
    pub fn new(broker: B, between: Arc<A>) -> Self {
        Self { broker, between, domain: PhantomData }
    }
}

impl<D: Domain, B: Broker, A: Between<D>> Broker for InterposedBroker<D, B, A> {
    type Deliveries = InterposedDeliveries<D, B::Deliveries, B::Acks, A>;
    type Acks = InterposedAcks<D, B::Acks, A>;
    type Publisher = InterposedPublisher<D, B::Publisher, A>;

    async fn consume(
        &self,
        queue: &str,
        prefetch: u16,
    ) -> Result<(Self::Deliveries, Self::Acks), BrokerError> {
        let (deliveries, acks) = self.broker.consume(queue, prefetch).await?;
        let between = self.between.clone();
        let channel = Arc::new(between.channel(queue));
        let acks = Arc::new(Mutex::new(Some(acks)));
        Ok((
            InterposedDeliveries {
                deliveries,
                acks: acks.clone(),
                between: between.clone(),
                channel: channel.clone(),
            },
            InterposedAcks { acks, between, channel },
        ))
    }

    async fn publisher(&self) -> Result<Self::Publisher, BrokerError> {
        let publisher = self.broker.publisher().await?;
        Ok(InterposedPublisher { publisher, between: self.between.clone(), domain: PhantomData })
    }

    async fn depth(&self, queue: &str) -> Result<Depth, BrokerError> {
        self.broker.depth(queue).await
    }

    async fn watch(&self, health: &Health) -> BrokerError {
        self.broker.watch(health).await
    }

    async fn close(&self) {
        self.broker.close().await;
    }
}

/// The deliveries of one queue.
pub struct InterposedDeliveries<D: Domain, T, K, A: Between<D>> {
    deliveries: T,
    acks: Arc<Mutex<Option<K>>>,
    between: Arc<A>,
    channel: Arc<A::Channel>,
}

impl<D: Domain, T, K, A: Between<D>> InterposedDeliveries<D, T, K, A> {
    fn seen(&self, delivery: Option<Delivery>) -> Option<Delivery> {
        if let Some(delivery) = &delivery {
            self.between.saw(&self.channel, delivery);
        }
        delivery
    }
}

impl<D, T, K, A> Deliveries for InterposedDeliveries<D, T, K, A>
where
    D: Domain,
    T: Deliveries,
    K: Acks,
    A: Between<D>,
{
    async fn next(&mut self) -> Result<Option<Delivery>, BrokerError> {
        let next = self.deliveries.next().await?;
        let next = self.seen(next);
        if let Some(delivery) = &next
            && let Ok(mut acks) = self.acks.try_lock()
            && let Some(acks) = acks.as_mut()
        {
            self.between.arrived(&self.channel, acks, delivery).await;
        }
        Ok(next)
    }

    fn buffered(&mut self) -> Result<Option<Delivery>, BrokerError> {
        let next = self.deliveries.buffered()?;
        Ok(self.seen(next))
    }

    async fn cancel(&mut self) -> Result<(), BrokerError> {
        self.deliveries.cancel().await
    }
}

/// Settles the deliveries of one channel.
pub struct InterposedAcks<D: Domain, T, A: Between<D>> {
    /// There until it is closed.
    acks: Arc<Mutex<Option<T>>>,
    between: Arc<A>,
    channel: Arc<A::Channel>,
}

impl<D: Domain, T: Acks, A: Between<D>> Acks for InterposedAcks<D, T, A> {
    async fn ack_up_to(&mut self, tag: Tag) -> Result<(), BrokerError> {
        match self.acks.lock().await.as_mut() {
            Some(acks) => self.between.ack(&self.channel, acks, tag).await,
            None => Ok(()),
        }
    }

    async fn close(self) -> Result<(), BrokerError> {
        let acks = self.acks.lock().await.take();
        match acks {
            Some(acks) => acks.close().await,
            None => Ok(()),
        }
    }
}

/// Publishes.
pub struct InterposedPublisher<D, T, A> {
    publisher: T,
    between: Arc<A>,
    domain: PhantomData<D>,
}

impl<D: Domain, T: Publisher, A: Between<D>> Publisher for InterposedPublisher<D, T, A> {
    async fn publish(&mut self, messages: &[Outgoing]) -> Result<Vec<Confirmation>, BrokerError> {
        self.between.publish(&mut self.publisher, messages).await
    }
}

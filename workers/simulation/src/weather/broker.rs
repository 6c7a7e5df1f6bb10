//! A broker under a sky: slow, cut off at any moment, and silent about what it did.

use std::sync::Arc;

use orderly_runtime::broker::{
    Acks, Broker, BrokerError, Confirmation, Deliveries, Depth, Publisher,
};
use orderly_runtime::health::Health;
use orderly_runtime::memory::broker::MemoryBroker;
use orderly_runtime::message::{Delivery, Outgoing, Tag};

use crate::sky::{Sky, Strike};

/// A connection to a broker.
pub struct WeatherBroker<B> {
    broker: B,
    line: Line,
}

/// What can be cut.
#[derive(Clone)]
struct Line {
    line: MemoryBroker,
    sky: Arc<Sky>,
}

impl Line {
    /// Waits as long as an answer takes; an error if the connection is cut meanwhile.
    async fn answer(&self) -> Result<(), BrokerError> {
        self.sky.delay().await;
        if self.sky.strikes(Strike::Cut) {
            return Err(self.cut());
        }
        Ok(())
    }

    fn cut(&self) -> BrokerError {
        self.line.cut();
        BrokerError::Unavailable("connection reset by peer".to_owned())
    }
}

impl<B> WeatherBroker<B> {
    /// `broker` under `sky`, over a connection that can be cut.
    pub fn new(broker: B, line: MemoryBroker, sky: Arc<Sky>) -> Self {
        Self { broker, line: Line { line, sky } }
    }
}

impl<B: Broker> Broker for WeatherBroker<B> {
    type Deliveries = WeatherDeliveries<B::Deliveries>;
    type Acks = WeatherAcks<B::Acks>;
    type Publisher = WeatherPublisher<B::Publisher>;

    async fn consume(
        &self,
        queue: &str,
        prefetch: u16,
    ) -> Result<(Self::Deliveries, Self::Acks), BrokerError> {
        self.line.answer().await?;
        let (deliveries, acks) = self.broker.consume(queue, prefetch).await?;
        let line = self.line.clone();
        Ok((WeatherDeliveries { deliveries, line: line.clone() }, WeatherAcks { acks, line }))
    }

    async fn publisher(&self) -> Result<Self::Publisher, BrokerError> {
        self.line.answer().await?;
        let publisher = self.broker.publisher().await?;
        Ok(WeatherPublisher { publisher, line: self.line.clone() })
    }

    async fn depth(&self, queue: &str) -> Result<Depth, BrokerError> {
        self.line.answer().await?;
        self.broker.depth(queue).await
    }

    /// A cut is noticed when the heartbeat stays away, not at once.
    async fn watch(&self, health: &Health) -> BrokerError {
        let error = self.broker.watch(health).await;
        for _ in 0..4 {
            self.line.sky.delay().await;
        }
        error
    }

    async fn close(&self) {
        self.broker.close().await;
    }
}

/// The deliveries of one queue.
pub struct WeatherDeliveries<T> {
    deliveries: T,
    line: Line,
}

impl<T> WeatherDeliveries<T> {
    /// The delivery as this broker hands it out: some don't tell how often it came back.
    fn as_told(&self, mut delivery: Delivery) -> Delivery {
        if !self.line.sky.counts_returns() {
            delivery.returns = 0;
            delivery.properties.remove_header("x-delivery-count");
        }
        delivery
    }
}

impl<T: Deliveries> Deliveries for WeatherDeliveries<T> {
    async fn next(&mut self) -> Result<Option<Delivery>, BrokerError> {
        self.line.answer().await?;
        // Nothing may be waited for after it is here: whoever drops this would lose it.
        let next = self.deliveries.next().await?;
        Ok(next.map(|delivery| self.as_told(delivery)))
    }

    fn buffered(&mut self) -> Result<Option<Delivery>, BrokerError> {
        if self.line.sky.strikes(Strike::Late) {
            return Ok(None);
        }
        let next = self.deliveries.buffered()?;
        Ok(next.map(|delivery| self.as_told(delivery)))
    }

    async fn cancel(&mut self) -> Result<(), BrokerError> {
        self.line.answer().await?;
        self.deliveries.cancel().await
    }
}

/// Settles the deliveries of one channel.
pub struct WeatherAcks<T> {
    acks: T,
    line: Line,
}

impl<T: Acks> Acks for WeatherAcks<T> {
    async fn ack_up_to(&mut self, tag: Tag) -> Result<(), BrokerError> {
        self.line.answer().await?;
        if self.line.sky.strikes(Strike::AckLost) {
            // It was written, and that is all a client ever knows of an ack.
            self.line.cut();
            return Ok(());
        }
        self.acks.ack_up_to(tag).await
    }

    async fn close(self) -> Result<(), BrokerError> {
        self.line.answer().await?;
        self.acks.close().await
    }
}

/// Publishes.
pub struct WeatherPublisher<T> {
    publisher: T,
    line: Line,
}

impl<T: Publisher> Publisher for WeatherPublisher<T> {
    async fn publish(&mut self, messages: &[Outgoing]) -> Result<Vec<Confirmation>, BrokerError> {
        let Line { sky, .. } = &self.line;
        sky.delay().await;
        if sky.strikes(Strike::PublishLost) {
            return Err(self.line.cut());
        }
        if sky.strikes(Strike::PublishPartly) {
            let part = sky.below(messages.len());
            self.publisher.publish(&messages[..part]).await?;
            return Err(self.line.cut());
        }
        let confirmations = match self.unlucky(messages) {
            None => self.publisher.publish(messages).await?,
            Some((place, unlucky)) => {
                let mut others = messages.to_vec();
                others.remove(place);
                let mut confirmations = self.publisher.publish(&others).await?;
                confirmations.insert(place, unlucky);
                confirmations
            }
        };
        if sky.strikes(Strike::ConfirmLost) {
            return Err(self.line.cut());
        }
        self.line.sky.delay().await;
        Ok(confirmations)
    }
}

impl<T> WeatherPublisher<T> {
    /// A message that the broker does not take, and what it says of it.
    fn unlucky(&self, messages: &[Outgoing]) -> Option<(usize, Confirmation)> {
        let sky = &self.line.sky;
        let kind = if sky.strikes(Strike::Refused) {
            Confirmation::Refused
        } else if sky.strikes(Strike::Returned) {
            Confirmation::Returned
        } else {
            return None;
        };
        (!messages.is_empty()).then(|| (sky.below(messages.len()), kind))
    }
}

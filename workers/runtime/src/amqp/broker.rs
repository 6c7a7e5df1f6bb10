//! The broker seam on RabbitMQ: two connections, a channel a task, a deadline on every wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::future::join_all;
use futures_util::{FutureExt, StreamExt};
use lapin::options::{
    BasicAckOptions, BasicCancelOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions, QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{Channel, Confirmation as Confirm, Connection, Consumer, ErrorKind, Event};

use crate::amqp::connect::connect;
use crate::amqp::convert;
use crate::broker::{Acks, Broker, BrokerError, Confirmation, Deliveries, Depth, Publisher};
use crate::config::Address;
use crate::health::Health;
use crate::message::{Delivery, Outgoing, Tag};

/// How long the broker may take to answer anything but a publish.
const REPLY_TIMEOUT: Duration = Duration::from_secs(10);
/// How long a window of publishes may take until the last confirm.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(30);

impl From<lapin::Error> for BrokerError {
    fn from(error: lapin::Error) -> Self {
        let text = error.to_string();
        match error.kind() {
            // Refused, not found, not as declared, not allowed.
            ErrorKind::ProtocolError(amqp) if matches!(amqp.get_id(), 403 | 404 | 406 | 530) => {
                Self::Misconfigured(text)
            }
            _ => Self::Unavailable(text),
        }
    }
}

async fn within<T, E: Into<BrokerError>>(
    limit: Duration,
    what: &str,
    wait: impl Future<Output = Result<T, E>>,
) -> Result<T, BrokerError> {
    match tokio::time::timeout(limit, wait).await {
        Ok(outcome) => outcome.map_err(Into::into),
        Err(_) => Err(BrokerError::Unavailable(format!("no answer to {what} within {limit:?}"))),
    }
}

/// Connections to a RabbitMQ broker.
///
/// Consuming and publishing have one each: a broker short of memory blocks the connections that
/// publish, and acks must not be stuck behind that.
pub struct AmqpBroker {
    consuming: Connection,
    publishing: Connection,
    /// Whether the broker takes no publishes for now, short of memory or disk.
    is_blocked: Arc<AtomicBool>,
}

impl AmqpBroker {
    /// Connects; `name` shows up on the broker's management page.
    pub async fn connect(address: &Address, name: &str) -> Result<Self, BrokerError> {
        let (consuming, publishing) = (format!("{name} consuming"), format!("{name} publishing"));
        let (consuming, publishing) =
            tokio::try_join!(connect(address, &consuming), connect(address, &publishing))?;
        Ok(Self { consuming, publishing, is_blocked: Arc::default() })
    }

    /// How full these queues are. Whoever asks for many at once asks on one channel; if one of them
    /// is missing, that is the answer.
    pub async fn depths(&self, queues: &[&str]) -> Result<Vec<Depth>, BrokerError> {
        // A channel of its own: asking for a missing queue kills the channel that asks.
        let channel = self.channel().await?;
        let options = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::default() };
        let mut depths = Vec::with_capacity(queues.len());
        for queue in queues {
            let declare = channel.queue_declare((*queue).into(), options, FieldTable::default());
            let found = within(REPLY_TIMEOUT, "queue.declare", declare).await?;
            depths.push(Depth { ready: found.message_count(), consumers: found.consumer_count() });
        }
        within(REPLY_TIMEOUT, "channel.close", channel.close(200, "done".into())).await?;
        Ok(depths)
    }

    /// A channel of its own for whatever needs one, such as declaring.
    pub async fn channel(&self) -> Result<Channel, BrokerError> {
        within(REPLY_TIMEOUT, "channel.open", self.consuming.create_channel()).await
    }
}

impl Broker for AmqpBroker {
    type Deliveries = AmqpDeliveries;
    type Acks = AmqpAcks;
    type Publisher = AmqpPublisher;

    async fn consume(
        &self,
        queue: &str,
        prefetch: u16,
    ) -> Result<(AmqpDeliveries, AmqpAcks), BrokerError> {
        let channel = self.channel().await?;
        let qos = channel.basic_qos(prefetch, BasicQosOptions::default());
        within(REPLY_TIMEOUT, "basic.qos", qos).await?;
        let consume = channel.basic_consume(
            queue.into(),
            "".into(),
            BasicConsumeOptions::default(),
            FieldTable::default(),
        );
        let consumer = within(REPLY_TIMEOUT, "basic.consume", consume).await?;
        let deliveries = AmqpDeliveries { channel: channel.clone(), consumer, has_ended: false };
        Ok((deliveries, AmqpAcks { channel }))
    }

    async fn publisher(&self) -> Result<AmqpPublisher, BrokerError> {
        let create = self.publishing.create_channel();
        let channel = within(REPLY_TIMEOUT, "channel.open", create).await?;
        let select = channel.confirm_select(ConfirmSelectOptions::default());
        within(REPLY_TIMEOUT, "confirm.select", select).await?;
        Ok(AmqpPublisher { channel, is_blocked: self.is_blocked.clone() })
    }

    async fn depth(&self, queue: &str) -> Result<Depth, BrokerError> {
        let depths = self.depths(&[queue]).await?;
        depths.first().copied().ok_or_else(|| BrokerError::Unavailable("no answer".to_owned()))
    }

    async fn watch(&self, health: &Health) -> BrokerError {
        let consuming = self.consuming.events_listener().map(|event| (event, false));
        let publishing = self.publishing.events_listener().map(|event| (event, true));
        let mut events = futures_util::stream::select(consuming, publishing);
        while let Some((event, is_publishing)) = events.next().await {
            match event {
                Event::ConnectionBlocked(_) if is_publishing => {
                    self.is_blocked.store(true, Ordering::Relaxed);
                    health.blocked(true);
                }
                Event::ConnectionUnblocked if is_publishing => {
                    self.is_blocked.store(false, Ordering::Relaxed);
                    health.blocked(false);
                }
                Event::Error(error) => return error.into(),
                _ => {}
            }
        }
        BrokerError::Unavailable("the connection ended".to_owned())
    }

    async fn close(&self) {
        for connection in [&self.consuming, &self.publishing] {
            let close = connection.close(200, "done".into());
            let _ = within(Duration::from_secs(2), "connection.close", close).await;
        }
    }
}

/// The deliveries of one queue.
pub struct AmqpDeliveries {
    channel: Channel,
    consumer: Consumer,
    /// The stream tells its end once, and says nothing at all when asked again.
    has_ended: bool,
}

impl Deliveries for AmqpDeliveries {
    async fn next(&mut self) -> Result<Option<Delivery>, BrokerError> {
        if self.has_ended {
            return Ok(None);
        }
        let next = self.consumer.next().await;
        self.take(next)
    }

    fn buffered(&mut self) -> Result<Option<Delivery>, BrokerError> {
        if self.has_ended {
            return Ok(None);
        }
        match self.consumer.next().now_or_never() {
            Some(next) => self.take(next),
            None => Ok(None),
        }
    }

    async fn cancel(&mut self) -> Result<(), BrokerError> {
        let cancel = self.channel.basic_cancel(self.consumer.tag(), BasicCancelOptions::default());
        within(REPLY_TIMEOUT, "basic.cancel", cancel).await
    }
}

impl AmqpDeliveries {
    fn take(
        &mut self,
        next: Option<lapin::Result<lapin::message::Delivery>>,
    ) -> Result<Option<Delivery>, BrokerError> {
        self.has_ended = next.is_none();
        Ok(next.transpose()?.map(convert::delivery))
    }
}

/// Settles the deliveries of one channel.
pub struct AmqpAcks {
    channel: Channel,
}

impl Acks for AmqpAcks {
    async fn ack_up_to(&mut self, tag: Tag) -> Result<(), BrokerError> {
        let ack = self.channel.basic_ack(tag, BasicAckOptions { multiple: true });
        within(REPLY_TIMEOUT, "basic.ack", ack).await
    }

    async fn close(self) -> Result<(), BrokerError> {
        let close = self.channel.close(200, "done".into());
        within(REPLY_TIMEOUT, "channel.close", close).await
    }
}

/// Publishes with confirms. Not shared: concurrent publishes on one channel swap their confirms.
pub struct AmqpPublisher {
    channel: Channel,
    is_blocked: Arc<AtomicBool>,
}

impl Publisher for AmqpPublisher {
    async fn publish(&mut self, messages: &[Outgoing]) -> Result<Vec<Confirmation>, BrokerError> {
        let is_blocked = self.is_blocked.clone();
        let mut window = std::pin::pin!(self.publish_window(messages));
        loop {
            match tokio::time::timeout(CONFIRM_TIMEOUT, &mut window).await {
                Ok(outcome) => return outcome,
                // Connecting anew would not be let in either, and send everything twice.
                Err(_) if is_blocked.load(Ordering::Relaxed) => {}
                Err(_) => {
                    let text = format!("no confirms of a window within {CONFIRM_TIMEOUT:?}");
                    return Err(BrokerError::Unavailable(text));
                }
            }
        }
    }
}

impl AmqpPublisher {
    async fn publish_window(
        &mut self,
        messages: &[Outgoing],
    ) -> Result<Vec<Confirmation>, BrokerError> {
        let properties: Result<Vec<_>, BrokerError> =
            messages.iter().map(|message| convert::basic_properties(&message.properties)).collect();
        // All publishes are polled together, so that they leave in few writes.
        let publishes = messages.iter().zip(properties?).map(|(message, properties)| {
            self.channel.basic_publish(
                message.exchange.as_str().into(),
                message.routing_key.as_str().into(),
                BasicPublishOptions { mandatory: message.mandatory, immediate: false },
                &message.body,
                properties,
            )
        });
        let confirms: Result<Vec<_>, lapin::Error> =
            join_all(publishes).await.into_iter().collect();
        let mut confirmations = Vec::with_capacity(messages.len());
        let mut returned = Vec::new();
        for confirm in join_all(confirms?).await {
            let (confirmation, returning) = match confirm? {
                Confirm::Ack(returning) => (Confirmation::Confirmed, returning),
                Confirm::Nack(returning) => (Confirmation::Refused, returning),
                Confirm::NotRequested => {
                    return Err(BrokerError::Unavailable("confirms are off".to_owned()));
                }
            };
            confirmations.push(confirmation);
            returned.extend(
                returning.map(|message| {
                    message.properties.message_id().as_ref().map(ToString::to_string)
                }),
            );
        }
        // A return may come attached to the confirm of another message: the id tells whose it is.
        for id in returned {
            let index = messages.iter().position(|message| Some(message.id()) == id.as_deref());
            let index = index
                .ok_or_else(|| BrokerError::Unavailable("a foreign message returned".to_owned()))?;
            confirmations[index] = Confirmation::Returned;
        }
        Ok(confirmations)
    }
}

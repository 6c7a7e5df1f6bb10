//! A client of the system: publishes commands and listens to events, as anybody outside does.

use anyhow::{Result, ensure};
use orderly_contracts::routes::route;
use orderly_runtime::amqp::broker::{AmqpBroker, AmqpPublisher};
use orderly_runtime::broker::{Broker, Confirmation, Publisher};
use orderly_runtime::config::Address;
use orderly_runtime::message::{Outgoing, Properties};
use orderly_runtime::topology::{WORKERS, dead_queue, work_queues};
use serde_json::{Value, json};

/// A message to publish, good or bad.
#[derive(Debug, Clone)]
pub struct Message {
    /// Where it goes.
    pub exchange: String,
    /// With which key.
    pub routing_key: String,
    /// With which properties.
    pub properties: Properties,
    /// With which body.
    pub body: Vec<u8>,
}

impl Message {
    /// A proper message of `kind` with this id and body.
    pub fn new(kind: &str, id: &str, body: &Value) -> Self {
        Self::raw(kind, id, body.to_string().into_bytes())
    }

    /// A message of `kind` with proper properties and any bytes as its body.
    pub fn raw(kind: &str, id: &str, body: impl Into<Vec<u8>>) -> Self {
        let exchange = route(kind).map_or("orderly.commands", |route| route.exchange);
        Self {
            exchange: exchange.to_owned(),
            routing_key: kind.to_owned(),
            properties: Properties::of(kind, id),
            body: body.into(),
        }
    }

    /// The same message with other properties.
    #[must_use]
    pub fn with(mut self, change: impl FnOnce(&mut Properties)) -> Self {
        change(&mut self.properties);
        self
    }
}

/// An order of one line under the message id `place-<order>`.
pub fn place(order: &str, sku: &str, quantity: i64, token: &str) -> Message {
    let body = json!({
        "order_id": order,
        "lines": [{ "sku": sku, "quantity": quantity, "unit_price": 250 }],
        "currency": "GBP",
        "payment_token": token,
    });
    Message::new("order.place.v1", &format!("place-{order}"), &body)
}

/// A connection to the broker.
pub struct Client {
    broker: AmqpBroker,
    publisher: tokio::sync::Mutex<AmqpPublisher>,
}

impl Client {
    /// Connects.
    pub async fn connect(address: &Address) -> Result<Self> {
        let broker = AmqpBroker::connect(address, "test client").await?;
        let publisher = tokio::sync::Mutex::new(broker.publisher().await?);
        Ok(Self { broker, publisher })
    }

    /// Publishes all messages and waits for their confirms.
    pub async fn publish(&self, messages: impl IntoIterator<Item = Message>) -> Result<()> {
        let outgoing: Vec<Outgoing> = messages
            .into_iter()
            .map(|message| Outgoing {
                exchange: message.exchange,
                routing_key: message.routing_key,
                mandatory: true,
                properties: message.properties,
                body: message.body,
            })
            .collect();
        for window in outgoing.chunks(500) {
            let confirmations = self.publisher.lock().await.publish(window).await?;
            let is_confirmed = |one: &Confirmation| *one == Confirmation::Confirmed;
            ensure!(confirmations.iter().all(is_confirmed), "not confirmed: {confirmations:?}");
        }
        Ok(())
    }

    /// Puts `pieces` of each article into the stock.
    pub async fn stock_up(&self, articles: &[(&str, i64)]) -> Result<()> {
        let adjust = |(sku, pieces): &(&str, i64)| {
            // Unlike an article, an id has no spaces.
            let id = format!("goods-in-{}", sku.replace(' ', "_"));
            let body = json!({ "adjustment_id": id, "sku": sku, "delta": pieces });
            Message::new("stock.adjust.v1", &id, &body)
        };
        self.publish(articles.iter().map(adjust)).await
    }

    /// How many messages wait in `queue`.
    pub async fn ready(&self, queue: &str) -> Result<u32> {
        Ok(self.broker.depth(queue).await?.ready)
    }

    /// How many consumers `queue` has.
    pub async fn consumers(&self, queue: &str) -> Result<u32> {
        Ok(self.broker.depth(queue).await?.consumers)
    }

    /// How many messages wait in all work and dead-letter queues of all workers together.
    pub async fn waiting(&self) -> Result<u32> {
        let mut waiting = 0;
        for party in WORKERS {
            for queue in work_queues(party) {
                waiting += self.ready(queue).await?;
            }
            waiting += self.ready(&dead_queue(party)).await?;
        }
        Ok(waiting)
    }

    /// The broker itself, for what a client seldom does.
    pub fn broker(&self) -> &AmqpBroker {
        &self.broker
    }
}

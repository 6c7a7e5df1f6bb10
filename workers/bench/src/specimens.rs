//! One message of each kind, as it really travels: what the relay of the ceiling passes on.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Result, bail};
use futures_util::StreamExt;
use lapin::options::{BasicConsumeOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Connection, ConnectionProperties};
use orderly_contracts::routes::{COMMANDS, EVENTS};
use serde::{Deserialize, Serialize};

use crate::shop::{Counter, Place};

/// The messages of the happy path, in the order in which they travel.
pub const HAPPY_PATH: [&str; 6] = [
    "order.place.v1",
    "stock.reserve.v1",
    "stock.reserved.v1",
    "payment.charge.v1",
    "payment.charged.v1",
    "order.confirmed.v1",
];

/// A message as it was seen.
#[derive(Debug, Clone)]
pub struct Specimen {
    /// Its exchange.
    pub exchange: String,
    /// Its properties with all headers.
    pub properties: BasicProperties,
    /// Its body.
    pub body: Vec<u8>,
}

/// How long a kind of message is.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Size {
    /// Which kind.
    pub kind: String,
    /// Bytes of its body.
    pub body: usize,
}

/// The messages of an order, by kind.
#[derive(Debug, Clone)]
pub struct Specimens(BTreeMap<String, Specimen>);

impl Specimens {
    /// Lets a running system work off `order`, and keeps a copy of every message on the way.
    pub async fn collect(url: &str, counter: &Counter, order: Place) -> Result<Self> {
        let connection = Connection::connect(url, ConnectionProperties::default()).await?;
        let channel = connection.create_channel().await?;
        let options = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
        let queue = channel.queue_declare("".into(), options, FieldTable::default()).await?;
        for exchange in [COMMANDS, EVENTS] {
            let (name, bind) = (queue.name().clone(), QueueBindOptions::default());
            let every = "#".into();
            channel.queue_bind(name, exchange.into(), every, bind, FieldTable::default()).await?;
        }
        let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
        let name = queue.name().clone();
        let mut seen =
            channel.basic_consume(name, "".into(), options, FieldTable::default()).await?;
        counter.place(&[order]).await?;
        let mut specimens = BTreeMap::new();
        while HAPPY_PATH.iter().any(|kind| !specimens.contains_key(*kind)) {
            let next = tokio::time::timeout(Duration::from_secs(10), seen.next()).await;
            let Ok(Some(message)) = next else {
                bail!("an order was not worked off: seen were only {:?}", specimens.keys());
            };
            let message = message?;
            let specimen = Specimen {
                exchange: message.exchange.to_string(),
                properties: message.properties.clone(),
                body: message.data.clone(),
            };
            specimens.insert(message.routing_key.to_string(), specimen);
        }
        Ok(Self(specimens))
    }

    /// The message of a kind of [`HAPPY_PATH`].
    pub fn of(&self, kind: &str) -> &Specimen {
        &self.0[kind]
    }

    /// How long the messages of the happy path are.
    pub fn sizes(&self) -> Vec<Size> {
        let size = |kind: &str| Size { kind: kind.to_owned(), body: self.of(kind).body.len() };
        HAPPY_PATH.iter().map(|kind| size(kind)).collect()
    }
}

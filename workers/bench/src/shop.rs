//! A shop: publishes orders and hears how they end, over connections of its own.

use std::time::Instant;

use anyhow::{Context, Result, ensure};
use futures_util::StreamExt;
use futures_util::future::join_all;
use lapin::options::{
    BasicConsumeOptions, BasicPublishOptions, ConfirmSelectOptions, QueueBindOptions,
    QueueDeclareOptions,
};
use lapin::types::FieldTable;
use lapin::{BasicProperties, Channel, Confirmation, Connection, ConnectionProperties};
use orderly_contracts::envelope::CONTENT_TYPE;
use orderly_contracts::routes::{COMMANDS, EVENTS};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

/// The events that end an order.
pub const ENDS: [&str; 3] = ["order.confirmed.v1", "order.rejected.v1", "order.cancelled.v1"];

/// An order to be placed.
#[derive(Debug, Clone)]
pub struct Place {
    /// The order id.
    pub order: String,
    /// The JSON body.
    pub body: Vec<u8>,
}

/// An event that was heard.
#[derive(Debug)]
pub struct Heard {
    /// The order it is about.
    pub order: String,
    /// When it arrived.
    pub at: Instant,
}

/// Both sides of a shop.
pub struct Shop {
    /// Places orders.
    pub counter: Counter,
    /// What was heard, in order.
    pub heard: UnboundedReceiver<Heard>,
    // Connections end when they are dropped.
    _connections: [Connection; 2],
}

/// Where orders are placed.
#[derive(Clone)]
pub struct Counter {
    channel: Channel,
}

impl Shop {
    /// Opens a shop that hears events of these kinds.
    pub async fn open(url: &str, kinds: &[&str]) -> Result<Self> {
        let connect = || Connection::connect(url, ConnectionProperties::default());
        let (publishing, consuming) = tokio::try_join!(connect(), connect())?;
        let channel = publishing.create_channel().await?;
        channel.confirm_select(ConfirmSelectOptions::default()).await?;
        let (tell, heard) = unbounded_channel();
        listen(&consuming, kinds, tell).await?;
        Ok(Self { counter: Counter { channel }, heard, _connections: [publishing, consuming] })
    }
}

/// Hears events in a queue of its own, which costs the broker as little as a queue can.
async fn listen(
    connection: &Connection,
    kinds: &[&str],
    tell: UnboundedSender<Heard>,
) -> Result<()> {
    let channel = connection.create_channel().await?;
    let options = QueueDeclareOptions {
        exclusive: true,
        auto_delete: true,
        ..QueueDeclareOptions::default()
    };
    let queue = channel.queue_declare("".into(), options, FieldTable::default()).await?;
    for kind in kinds {
        let bind = QueueBindOptions::default();
        let name = queue.name().clone();
        channel
            .queue_bind(name, EVENTS.into(), (*kind).into(), bind, FieldTable::default())
            .await?;
    }
    let options = BasicConsumeOptions { no_ack: true, ..BasicConsumeOptions::default() };
    let name = queue.name().clone();
    let mut events = channel.basic_consume(name, "".into(), options, FieldTable::default()).await?;
    tokio::spawn(async move {
        while let Some(Ok(event)) = events.next().await {
            let at = Instant::now();
            let order = event.properties.correlation_id().as_ref().map(ToString::to_string);
            if tell.send(Heard { order: order.unwrap_or_default(), at }).is_err() {
                return;
            }
        }
    });
    Ok(())
}

impl Counter {
    /// Places orders together and waits until the broker has confirmed all of them.
    pub async fn place(&self, orders: &[Place]) -> Result<()> {
        let written = join_all(orders.iter().map(|order| self.publish(order))).await;
        let confirms = written.into_iter().collect::<lapin::Result<Vec<_>>>()?;
        for confirm in join_all(confirms).await {
            ensure!(matches!(confirm?, Confirmation::Ack(None)), "an order was not taken");
        }
        Ok(())
    }

    /// Places an order now; the returned future waits for the broker's confirm.
    pub async fn place_one(
        &self,
        order: &Place,
    ) -> Result<impl Future<Output = Result<()>> + Send + use<>> {
        let confirm = self.publish(order).await?;
        Ok(async move {
            let taken = confirm.await.context("no confirm")?;
            ensure!(matches!(taken, Confirmation::Ack(None)), "an order was not taken");
            Ok(())
        })
    }

    fn publish<'a>(
        &'a self,
        order: &'a Place,
    ) -> impl Future<
        Output = lapin::Result<impl Future<Output = lapin::Result<Confirmation>> + Send + use<>>,
    > + Send
    + use<'a> {
        let properties = BasicProperties::default()
            .with_content_type(CONTENT_TYPE.into())
            .with_type("order.place.v1".into())
            .with_message_id(format!("place-{}", order.order).into())
            .with_delivery_mode(2);
        self.channel.basic_publish(
            COMMANDS.into(),
            "order.place.v1".into(),
            BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() },
            &order.body,
            properties,
        )
    }
}

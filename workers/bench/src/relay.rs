//! The ceiling: a bare relay that passes the messages of the happy path through the same queues,
//! with confirms and multiple acks, and does nothing else. No system with these queues is faster.

use std::collections::BTreeMap;
use std::sync::Arc;

use anyhow::{Result, ensure};
use futures_util::future::join_all;
use futures_util::{FutureExt, StreamExt};
use lapin::message::Delivery;
use lapin::options::{
    BasicAckOptions, BasicConsumeOptions, BasicPublishOptions, BasicQosOptions,
    ConfirmSelectOptions,
};
use lapin::types::FieldTable;
use lapin::{Channel, Confirmation, Connection, ConnectionProperties, Consumer};
use orderly_contracts::routes::{
    ORDER_ANSWERS, ORDER_NEW, PAYMENT_COMMANDS, STOCK_COMMANDS, STOCK_SETTLE,
};
use tokio::task::JoinSet;

use crate::specimens::{HAPPY_PATH, Specimen, Specimens};

/// The queues of the happy path.
const QUEUES: [&str; 5] =
    [ORDER_NEW, STOCK_COMMANDS, ORDER_ANSWERS, PAYMENT_COMMANDS, STOCK_SETTLE];
/// The most messages in a batch: with fewer it is slower, with more not faster.
const BATCH: usize = 500;
/// Enough for the next batch to be here when the last is out.
const PREFETCH: u16 = 2_000;

/// A running relay; it ends when it is dropped.
pub struct Relay {
    hops: JoinSet<Result<()>>,
    _connections: [Connection; 2],
}

/// What is passed on for a message of each kind.
type Answers = BTreeMap<&'static str, Specimen>;

impl Relay {
    /// Relays through the queues of the virtual host of `url`, which have to be there: each of the
    /// first `messages` messages of the happy path is answered by the next one.
    pub async fn start(url: &str, specimens: &Specimens, messages: usize) -> Result<Self> {
        let connect = || Connection::connect(url, ConnectionProperties::default());
        let (consuming, publishing) = tokio::try_join!(connect(), connect())?;
        let pairs = HAPPY_PATH[..messages].windows(2);
        let answers: Answers = pairs.map(|pair| (pair[0], specimens.of(pair[1]).clone())).collect();
        let answers = Arc::new(answers);
        let mut hops = JoinSet::new();
        for queue in QUEUES {
            let hop = Hop::open(&consuming, &publishing, queue, answers.clone()).await?;
            hops.spawn(hop.run());
        }
        Ok(Self { hops, _connections: [consuming, publishing] })
    }

    /// Fails if a part of it has ended.
    pub fn expect_running(&mut self) -> Result<()> {
        match self.hops.try_join_next() {
            None => Ok(()),
            Some(ended) => ended?.and(Err(anyhow::anyhow!("a hop of the relay ended"))),
        }
    }
}

/// The relay of one queue.
struct Hop {
    deliveries: Consumer,
    inbound: Channel,
    outbound: Channel,
    answers: Arc<Answers>,
}

impl Hop {
    async fn open(
        consuming: &Connection,
        publishing: &Connection,
        queue: &str,
        answers: Arc<Answers>,
    ) -> Result<Self> {
        let inbound = consuming.create_channel().await?;
        inbound.basic_qos(PREFETCH, BasicQosOptions::default()).await?;
        let options = BasicConsumeOptions::default();
        let deliveries =
            inbound.basic_consume(queue.into(), "".into(), options, FieldTable::default()).await?;
        let outbound = publishing.create_channel().await?;
        outbound.confirm_select(ConfirmSelectOptions::default()).await?;
        Ok(Self { deliveries, inbound, outbound, answers })
    }

    async fn run(mut self) -> Result<()> {
        while let Some(first) = self.deliveries.next().await {
            let mut batch = vec![first?];
            while batch.len() < BATCH
                && let Some(Some(next)) = self.deliveries.next().now_or_never()
            {
                batch.push(next?);
            }
            self.pass_on(&batch).await?;
            let last = batch[batch.len() - 1].delivery_tag;
            self.inbound.basic_ack(last, BasicAckOptions { multiple: true }).await?;
        }
        Ok(())
    }

    /// Publishes the answers together, and awaits their confirms together.
    async fn pass_on(&self, batch: &[Delivery]) -> Result<()> {
        let answers = batch.iter().filter_map(|it| self.answers.get(it.routing_key.as_str()));
        let publishes = answers.map(|answer| {
            let kind = answer.properties.kind().clone().unwrap_or_default();
            let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
            let properties = answer.properties.clone();
            let exchange = answer.exchange.as_str().into();
            self.outbound.basic_publish(exchange, kind, options, &answer.body, properties)
        });
        let written = join_all(publishes).await;
        let confirms = written.into_iter().collect::<lapin::Result<Vec<_>>>()?;
        for confirm in join_all(confirms).await {
            ensure!(matches!(confirm?, Confirmation::Ack(None)), "a message was not taken");
        }
        Ok(())
    }
}

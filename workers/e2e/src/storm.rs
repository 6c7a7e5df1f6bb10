//! A storm of duplicates: every message that travels, commands and answers alike, many times over.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use fastrand::Rng;
use lapin::options::{QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use orderly_contracts::routes::{COMMANDS, EVENTS};
use orderly_devstack::TestBed;
use orderly_runtime::amqp::broker::AmqpBroker;
use orderly_runtime::broker::{Acks, Broker, Deliveries, Publisher};
use orderly_runtime::message::{Delivery, Outgoing};
use tokio::sync::watch;

use crate::system::{System, eventually};
use crate::{Message, place};

/// How many copies wait for each other to be shuffled.
const SHUFFLED: usize = 2_000;
/// How long the echo waits for more to shuffle.
const LULL: Duration = Duration::from_millis(20);

/// The orders are for so many articles.
const ARTICLES: usize = 7;

/// What a storm came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Storm {
    /// How many orders ended in which status.
    pub outcomes: BTreeMap<String, i64>,
    /// How many different messages travelled, by kind.
    pub messages: BTreeMap<String, usize>,
    /// How many copies of them were published on top.
    pub copies: usize,
    /// How many duplicates the workers say they recognised.
    pub duplicates: u64,
}

/// A system with so many workers a service, and so many pieces of everything that [`storm`] orders.
pub async fn calm(workers: usize, pieces: i64) -> Result<System> {
    let mut system = System::prepare(TestBed::new()?, &[]).await?;
    for _ in 0..workers {
        system.start_workers()?;
    }
    let articles: Vec<String> = (0..ARTICLES).map(article).collect();
    let stock: Vec<(&str, i64)> = articles.iter().map(|name| (name.as_str(), pieces)).collect();
    system.client.stock_up(&stock).await?;
    for article in &articles {
        system.databases.item_reaches(article, pieces, 0).await?;
    }
    Ok(system)
}

fn article(n: usize) -> String {
    format!("article-{n}")
}

/// Places `orders`, of which every tenth is declined, while every message of the system is published
/// `factor` times in all, in an order that `seed` shuffles. It returns once everything is quiet.
pub async fn storm(system: &System, orders: usize, factor: usize, seed: u64) -> Result<Storm> {
    let echo = Echo::listen(system.client.broker(), seed, factor).await?;
    let (stopper, stop) = watch::channel(false);
    let messages: Vec<Message> = (0..orders)
        .map(|n| {
            let token = if n % 10 == 0 { "tok_decline" } else { "tok_visa" };
            place(&format!("o{n}"), &article(n % ARTICLES), 1, token)
        })
        .collect();
    let work = async {
        system.client.publish(messages).await?;
        let count = i64::try_from(orders)?;
        let outcomes = loop {
            // A large storm takes its time: as long as something moves, it is waited for.
            let before = duplicates(system)?;
            match system.databases.settled(count).await {
                Ok(outcomes) => break outcomes,
                Err(error) if duplicates(system)? == before => return Err(error),
                Err(_) => {}
            }
        };
        let duplicates = quiet(system).await?;
        stopper.send_replace(true);
        Ok((outcomes, duplicates))
    };
    let (worked, echoed) = tokio::join!(work, echo.run(stop));
    let (outcomes, duplicates) = worked?;
    let (messages, copies) = echoed?;
    Ok(Storm { outcomes, messages, copies, duplicates })
}

/// Waits until no message is under way and nobody recognises a duplicate any more.
async fn quiet(system: &System) -> Result<u64> {
    let mut last = u64::MAX;
    let mut calm = 0;
    eventually("the storm to be over", async || {
        let now = duplicates(system)?;
        let waiting = system.client.waiting().await?;
        calm = if now == last && waiting == 0 { calm + 1 } else { 0 };
        last = now;
        tokio::time::sleep(Duration::from_millis(200)).await;
        Ok((calm >= 5).then_some(now))
    })
    .await
}

fn duplicates(system: &System) -> Result<u64> {
    let mut sum = 0.0;
    for worker in system.running() {
        sum += worker.metric("orderly_duplicates_total")?;
    }
    Ok(sum as u64)
}

/// Hears every message and says it again.
struct Echo<'a> {
    broker: &'a AmqpBroker,
    queue: String,
    rng: Rng,
    factor: usize,
    heard: BTreeSet<(String, String)>,
    copies: usize,
}

impl<'a> Echo<'a> {
    async fn listen(broker: &'a AmqpBroker, seed: u64, factor: usize) -> Result<Self> {
        ensure!(factor > 0, "every message travels at least once");
        let channel = broker.channel().await?;
        let queue = format!("storm-{seed}");
        let exclusive = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
        channel.queue_declare(queue.as_str().into(), exclusive, FieldTable::default()).await?;
        for exchange in [COMMANDS, EVENTS] {
            let options = QueueBindOptions::default();
            let table = FieldTable::default();
            let bind = channel.queue_bind(
                queue.as_str().into(),
                exchange.into(),
                "#".into(),
                options,
                table,
            );
            bind.await?;
        }
        let rng = Rng::with_seed(seed);
        Ok(Self { broker, queue, rng, factor, heard: BTreeSet::new(), copies: 0 })
    }

    async fn run(
        mut self,
        mut stop: watch::Receiver<bool>,
    ) -> Result<(BTreeMap<String, usize>, usize)> {
        let (mut deliveries, mut acks) = self.broker.consume(&self.queue, 10_000).await?;
        let mut publisher = self.broker.publisher().await?;
        let mut copies: Vec<Outgoing> = Vec::new();
        loop {
            let delivery = tokio::select! {
                delivery = deliveries.next() => delivery?.context("the echo's queue is gone")?,
                () = tokio::time::sleep(LULL), if !copies.is_empty() => {
                    self.say(&mut publisher, &mut copies).await?;
                    continue;
                }
                _ = stop.wait_for(|is_over| *is_over) => break,
            };
            let tag = delivery.tag;
            self.hear(delivery, &mut copies)?;
            acks.ack_up_to(tag).await?;
            if copies.len() >= SHUFFLED {
                self.say(&mut publisher, &mut copies).await?;
            }
        }
        let mut messages = BTreeMap::new();
        for (kind, _) in self.heard {
            *messages.entry(kind).or_insert(0) += 1;
        }
        Ok((messages, self.copies))
    }

    fn hear(&mut self, delivery: Delivery, copies: &mut Vec<Outgoing>) -> Result<()> {
        let Delivery { exchange, routing_key, properties, body, .. } = delivery;
        let id = properties.message_id.clone().context("a message without an id")?;
        if self.heard.insert((routing_key.clone(), id)) {
            let copy = Outgoing { exchange, routing_key, mandatory: true, properties, body };
            copies.extend(vec![copy; self.factor - 1]);
        }
        Ok(())
    }

    async fn say(
        &mut self,
        publisher: &mut impl Publisher,
        copies: &mut Vec<Outgoing>,
    ) -> Result<()> {
        self.rng.shuffle(copies);
        for window in copies.chunks(500) {
            publisher.publish(window).await?;
        }
        self.copies += copies.len();
        copies.clear();
        Ok(())
    }
}

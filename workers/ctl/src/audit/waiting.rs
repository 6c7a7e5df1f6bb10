//! What is on its way: how full the queues are, and which batches are not known to be published.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use orderly_contracts::routes::{
    ORDER_ANSWERS, PAYMENT_EFFECTS, PAYMENT_SETTLE, Party, STOCK_SETTLE,
};
use orderly_runtime::amqp::broker::AmqpBroker;
use orderly_runtime::broker::Broker;
use orderly_runtime::retry::Ladder;
use orderly_runtime::topology::{Role, WORKERS, queues};
use serde::Serialize;

use crate::audit::databases::Databases;
use crate::audit::verdict::Step;

/// What is on its way at a moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Waiting {
    /// All queues.
    pub(crate) queues: Vec<QueueDepth>,
    /// All outboxes.
    pub(crate) outboxes: Vec<Outbox>,
}

/// How full a queue is.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct QueueDepth {
    /// Its name.
    pub(crate) name: String,
    /// Whose it is.
    #[serde(serialize_with = "name_of")]
    pub(crate) party: Party,
    /// What it is for.
    pub(crate) kind: QueueKind,
    /// Messages that wait in it.
    pub(crate) ready: u32,
    /// Its consumers.
    pub(crate) consumers: u32,
}

/// What a queue is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum QueueKind {
    /// Messages to be processed.
    Work,
    /// Messages that will be tried again.
    Retry,
    /// Messages that were given up and are not filed yet.
    Dead,
}

/// The batches of a service whose messages are not known to be published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Outbox {
    /// Whose they are.
    #[serde(serialize_with = "name_of")]
    pub(crate) party: Party,
    /// How many.
    pub(crate) unsent_batches: i64,
    /// How long the oldest has been waiting.
    pub(crate) oldest_seconds: i64,
}

fn name_of<S: serde::Serializer>(party: &Party, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(party.name())
}

const UNSENT: &str = "
    SELECT count(*), COALESCE(EXTRACT(epoch FROM now() - min(at)), 0)::bigint
    FROM batches WHERE NOT sent";

impl Waiting {
    /// Asks the broker and the databases.
    pub(crate) async fn read(
        broker: &AmqpBroker,
        ladder: &Ladder,
        databases: &Databases,
    ) -> Result<Self> {
        let mut waiting = Self::default();
        // Outboxes first: a message leaves its outbox for a queue, and must not slip through.
        for party in WORKERS {
            let row = databases.of(party).query_one(UNSENT, &[]).await?;
            waiting.outboxes.push(Outbox {
                party,
                unsent_batches: row.get(0),
                oldest_seconds: row.get(1),
            });
        }
        for queue in WORKERS.into_iter().flat_map(|party| queues(party, ladder)) {
            let depth = broker.depth(&queue.name).await.with_context(|| {
                format!(
                    "the queue {} can't be looked at (is `orderly setup` done, and is \
                     ORDERLY_RETRY_DELAYS_MS what the workers have?)",
                    queue.name
                )
            })?;
            waiting.queues.push(QueueDepth {
                kind: match queue.role {
                    Role::Work => QueueKind::Work,
                    Role::Retry { .. } => QueueKind::Retry,
                    Role::Dead | Role::Parked => QueueKind::Dead,
                },
                name: queue.name,
                party: queue.party,
                ready: depth.ready,
                consumers: depth.consumers,
            });
        }
        Ok(waiting)
    }

    /// What was on its way at this moment or at a later one.
    pub(crate) fn or_later(mut self, later: &Self) -> Self {
        let depths: BTreeMap<&str, u32> =
            later.queues.iter().map(|it| (it.name.as_str(), it.ready)).collect();
        for queue in &mut self.queues {
            let later = depths.get(queue.name.as_str()).copied();
            queue.ready = queue.ready.max(later.unwrap_or_default());
        }
        for (outbox, later) in self.outboxes.iter_mut().zip(&later.outboxes) {
            outbox.unsent_batches = outbox.unsent_batches.max(later.unsent_batches);
        }
        self
    }

    /// Where a message may be waiting that does `step`.
    pub(crate) fn place_of(&self, step: Step) -> Option<String> {
        let (work, parties): (&[&str], &[Party]) = match step {
            Step::Commit => (&[STOCK_SETTLE], &[Party::Stock]),
            // A late answer makes the order command the compensation, hence its answers.
            Step::Release => (&[STOCK_SETTLE, ORDER_ANSWERS], &[Party::Stock, Party::Order]),
            Step::Refund => {
                (&[PAYMENT_SETTLE, PAYMENT_EFFECTS, ORDER_ANSWERS], &[Party::Payment, Party::Order])
            }
        };
        let senders: &[Party] = match step {
            Step::Commit => &[Party::Order],
            Step::Release => &[Party::Order, Party::Stock],
            Step::Refund => &[Party::Order, Party::Payment],
        };
        let queue = self.queues.iter().find(|queue| {
            let is_on_the_way = match queue.kind {
                QueueKind::Work => work.contains(&queue.name.as_str()),
                QueueKind::Retry | QueueKind::Dead => parties.contains(&queue.party),
            };
            is_on_the_way && queue.ready > 0
        });
        let outbox = || {
            let mut outboxes = self.outboxes.iter();
            let full = outboxes.find(|it| it.unsent_batches > 0 && senders.contains(&it.party))?;
            Some(format!("the outbox of {}", full.party))
        };
        queue.map(|queue| queue.name.clone()).or_else(outbox)
    }

    /// A queue in which a message sent to `queue` may still be, in the ladder and among the dead
    /// too.
    pub(crate) fn place_of_message(&self, party: Party, queue: &str) -> Option<&str> {
        let mut queues = self.queues.iter();
        let full = queues.find(|it| {
            let is_on_the_way = it.name == queue || it.kind != QueueKind::Work;
            is_on_the_way && it.party == party && it.ready > 0
        });
        full.map(|it| it.name.as_str())
    }

    /// Outboxes whose oldest batch has waited longer than `seconds`, with whether their worker
    /// is running.
    pub(crate) fn stuck(&self, seconds: i64) -> impl Iterator<Item = (&Outbox, bool)> {
        let is_running = |party| {
            let mut queues = self.queues.iter();
            queues.any(|it| it.party == party && it.consumers > 0)
        };
        let outboxes = self.outboxes.iter();
        outboxes
            .filter(move |it| it.unsent_batches > 0 && it.oldest_seconds > seconds)
            .map(move |it| (it, is_running(it.party)))
    }
}

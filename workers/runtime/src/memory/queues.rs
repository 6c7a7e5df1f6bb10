//! The queues of the broker in memory: what lies in them, who has taken what, where messages go.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Notify;

use crate::broker::{BrokerError, Depth};
use crate::clock::{Clock, Micros};
use crate::message::{Delivery, HeaderValue, Outgoing, Tag};
use crate::topology::{Queue, Role};

/// Everything that the broker knows.
pub(super) struct State {
    queues: BTreeMap<String, QueueState>,
    channels: BTreeMap<u64, Channel>,
    last_channel: u64,
    last_connection: u64,
    cut: BTreeSet<u64>,
    /// Rings when a connection is cut.
    cut_bell: Arc<Notify>,
    /// How many messages wait in the retry ladder, at most.
    waiting: usize,
}

struct QueueState {
    declared: Queue,
    ready: VecDeque<Waiting>,
    /// Rings for the consumers of this queue alone.
    bell: Arc<Notify>,
}

/// A message in a queue.
#[derive(Clone)]
struct Waiting {
    message: Outgoing,
    returns: u32,
    expires_at: Option<Micros>,
}

struct Channel {
    connection: u64,
    queue: String,
    prefetch: usize,
    last_tag: Tag,
    is_cancelled: bool,
    unsettled: BTreeMap<Tag, Waiting>,
}

impl State {
    /// These queues, empty.
    pub(super) fn new(queues: impl IntoIterator<Item = Queue>) -> Self {
        let queues = queues.into_iter().map(|declared| {
            (
                declared.name.clone(),
                QueueState { declared, ready: VecDeque::new(), bell: Arc::default() },
            )
        });
        Self {
            queues: queues.collect(),
            channels: BTreeMap::new(),
            last_channel: 0,
            last_connection: 0,
            cut: BTreeSet::new(),
            cut_bell: Arc::default(),
            waiting: 0,
        }
    }

    pub(super) fn connect(&mut self) -> u64 {
        self.last_connection += 1;
        self.last_connection
    }

    /// Ends a connection with all its channels.
    pub(super) fn cut(&mut self, connection: u64) {
        self.cut.insert(connection);
        let own = self.channels.iter().filter(|(_, it)| it.connection == connection);
        for channel in own.map(|(channel, _)| *channel).collect::<Vec<_>>() {
            self.close(channel);
        }
        self.cut_bell.notify_waiters();
    }

    pub(super) fn cut_bell(&self) -> Arc<Notify> {
        self.cut_bell.clone()
    }

    pub(super) fn is_cut(&self, connection: u64) -> bool {
        self.cut.contains(&connection)
    }

    /// Whether nothing is in any queue, or in anybody's hands.
    pub(super) fn is_empty(&self) -> bool {
        self.queues.values().all(|queue| queue.ready.is_empty())
            && self.channels.values().all(|channel| channel.unsettled.is_empty())
    }

    pub(super) fn delete(&mut self, queue: &str) {
        if let Some(queue) = self.queues.remove(queue) {
            self.waiting -= queue.ready.iter().filter(|one| one.expires_at.is_some()).count();
            queue.bell.notify_waiters();
        }
    }

    /// When the next message has waited long enough in the retry ladder.
    pub(super) fn next_expiry(&self) -> Option<Micros> {
        if self.waiting == 0 {
            return None;
        }
        self.queues.values().filter_map(|queue| queue.ready.front()?.expires_at).min()
    }

    /// Opens a channel that consumes `queue`.
    pub(super) fn open(
        &mut self,
        connection: u64,
        queue: &str,
        prefetch: u16,
    ) -> Result<(u64, Arc<Notify>), BrokerError> {
        let bell = self.queues.get(queue).ok_or_else(|| no_queue(queue))?.bell.clone();
        self.last_channel += 1;
        let channel = Channel {
            connection,
            queue: queue.to_owned(),
            prefetch: prefetch.into(),
            last_tag: 0,
            is_cancelled: false,
            unsettled: BTreeMap::new(),
        };
        self.channels.insert(self.last_channel, channel);
        Ok((self.last_channel, bell))
    }

    pub(super) fn cancel(&mut self, channel: u64) {
        if let Some(channel) = self.channels.get_mut(&channel) {
            channel.is_cancelled = true;
            ring(&self.queues, &channel.queue);
        }
    }

    pub(super) fn settle(&mut self, channel: u64, up_to: Tag) -> Result<(), BrokerError> {
        let channel = self.channels.get_mut(&channel).ok_or_else(closed)?;
        let was_full = channel.unsettled.len() >= channel.prefetch;
        channel.unsettled = channel.unsettled.split_off(&(up_to + 1));
        if was_full {
            ring(&self.queues, &channel.queue);
        }
        Ok(())
    }

    pub(super) fn depth(&self, queue: &str) -> Result<Depth, BrokerError> {
        let found = self.queues.get(queue).ok_or_else(|| no_queue(queue))?;
        let ready = u32::try_from(found.ready.len()).unwrap_or(u32::MAX);
        let consumers = self.channels.values().filter(|channel| channel.queue == queue);
        let consumers = consumers.filter(|channel| !channel.is_cancelled).count();
        Ok(Depth { ready, consumers: u32::try_from(consumers).unwrap_or(u32::MAX) })
    }

    /// The next delivery for a channel, if it needn't wait; an error if its queue is gone.
    pub(super) fn take(&mut self, channel: u64) -> Result<Next, BrokerError> {
        let channel = self.channels.get_mut(&channel).ok_or_else(closed)?;
        let Some(queue) = self.queues.get_mut(&channel.queue) else { return Ok(Next::Ended) };
        if channel.is_cancelled {
            return Ok(Next::Ended);
        }
        if channel.unsettled.len() >= channel.prefetch {
            return Ok(Next::Later);
        }
        let Some(waiting) = queue.ready.pop_front() else { return Ok(Next::Later) };
        channel.last_tag += 1;
        channel.unsettled.insert(channel.last_tag, waiting.clone());
        Ok(Next::Delivery(Box::new(delivery(channel.last_tag, waiting))))
    }

    /// Puts a message into every queue that is bound for it; whether there is one.
    pub(super) fn route(&mut self, message: &Outgoing, now: Micros) -> bool {
        let Outgoing { exchange, routing_key, .. } = message;
        let is_bound = |queue: &QueueState| {
            (exchange.is_empty() && queue.declared.name == *routing_key)
                || queue
                    .declared
                    .bindings
                    .iter()
                    .any(|(bound, pattern)| bound == exchange && matches(pattern, routing_key))
        };
        let (mut is_routed, mut waits) = (false, 0);
        for queue in self.queues.values_mut().filter(|queue| is_bound(queue)) {
            let expires_at = match queue.declared.role {
                Role::Retry { delay } => {
                    let own = message.properties.expiration.as_deref();
                    let own = own.and_then(|ms| ms.parse().ok());
                    let own = own.map(Duration::from_millis);
                    Some(now + own.map_or(delay, |own| own.min(delay)))
                }
                Role::Work | Role::Dead | Role::Parked => None,
            };
            queue.ready.push_back(Waiting { message: message.clone(), returns: 0, expires_at });
            queue.bell.notify_waiters();
            is_routed = true;
            waits += usize::from(expires_at.is_some());
        }
        self.waiting += waits;
        if waits > 0 {
            // Whoever sleeps may have to get up earlier now.
            self.queues.values().for_each(|queue| queue.bell.notify_waiters());
        }
        is_routed
    }

    /// Dead-letters what has waited long enough; only the head of a queue expires.
    pub(super) fn expire(&mut self, clock: &dyn Clock) {
        if self.waiting == 0 {
            return;
        }
        let now = clock.now();
        let mut expired = Vec::new();
        for queue in self.queues.values_mut() {
            while queue
                .ready
                .front()
                .is_some_and(|head| head.expires_at.is_some_and(|at| at <= now))
                && let Some(waiting) = queue.ready.pop_front()
            {
                let mut message = waiting.message;
                if let Some((exchange, key)) = queue.declared.dead_letter() {
                    message.exchange = exchange.to_owned();
                    if let Some(key) = key {
                        message.routing_key = key.to_owned();
                    }
                }
                message.properties.expiration = None;
                message.properties.set_header("x-death", HeaderValue::List(vec![]));
                expired.push(message);
            }
        }
        self.waiting -= expired.len();
        for message in expired {
            self.route(&message, now);
        }
    }

    /// Gives back what a channel has not settled, in its old order, and counts the return.
    pub(super) fn close(&mut self, channel: u64) {
        let Some(channel) = self.channels.remove(&channel) else { return };
        let Some(queue) = self.queues.get_mut(&channel.queue) else { return };
        for mut waiting in channel.unsettled.into_values().rev() {
            waiting.returns += 1;
            queue.ready.push_front(waiting);
        }
        queue.bell.notify_waiters();
    }
}

/// Whether a topic pattern matches a key; patterns are exact but for a leading `*` word.
fn matches(pattern: &str, key: &str) -> bool {
    match pattern.strip_prefix("*.") {
        Some(rest) => key.split_once('.').is_some_and(|(_, tail)| tail == rest),
        None => pattern == key,
    }
}

fn ring(queues: &BTreeMap<String, QueueState>, name: &str) {
    if let Some(queue) = queues.get(name) {
        queue.bell.notify_waiters();
    }
}

fn no_queue(name: &str) -> BrokerError {
    BrokerError::Unavailable(format!("no queue {name}"))
}

fn closed() -> BrokerError {
    BrokerError::Unavailable("the channel is closed".to_owned())
}

/// What comes next on a channel.
pub(super) enum Next {
    Delivery(Box<Delivery>),
    Later,
    Ended,
}

fn delivery(tag: Tag, waiting: Waiting) -> Delivery {
    let Waiting { mut message, returns, .. } = waiting;
    if returns > 0 {
        message.properties.set_header("x-delivery-count", i64::from(returns));
    }
    Delivery {
        tag,
        returns,
        exchange: message.exchange,
        routing_key: message.routing_key,
        properties: message.properties,
        body: message.body,
    }
}

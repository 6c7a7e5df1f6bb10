//! The broker seam in memory: exchanges, bindings, prefetch, redelivery and delays.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::broker::{Acks, Broker, BrokerError, Confirmation, Deliveries, Depth, Publisher};
use crate::clock::{Clock, Micros};
use crate::health::Health;
use crate::message::{Delivery, HeaderValue, Outgoing, Tag};
use crate::topology::{Queue, Role};

/// A broker in memory. Copies share the same queues.
#[derive(Clone)]
pub struct MemoryBroker {
    state: Arc<Mutex<State>>,
    arrivals: Arc<Notify>,
    clock: Arc<dyn Clock>,
}

struct State {
    queues: BTreeMap<String, QueueState>,
    channels: BTreeMap<u64, Channel>,
    last_channel: u64,
}

struct QueueState {
    declared: Queue,
    ready: VecDeque<Waiting>,
}

/// A message in a queue.
#[derive(Clone)]
struct Waiting {
    message: Outgoing,
    returns: u32,
    expires_at: Option<Micros>,
}

struct Channel {
    queue: String,
    prefetch: usize,
    last_tag: Tag,
    is_cancelled: bool,
    unsettled: BTreeMap<Tag, Waiting>,
}

impl MemoryBroker {
    /// A broker with these queues.
    pub fn new(queues: impl IntoIterator<Item = Queue>, clock: Arc<dyn Clock>) -> Self {
        let queues = queues
            .into_iter()
            .map(|queue| {
                (queue.name.clone(), QueueState { declared: queue, ready: VecDeque::new() })
            })
            .collect();
        let state = State { queues, channels: BTreeMap::new(), last_channel: 0 };
        Self { state: Arc::new(Mutex::new(state)), arrivals: Arc::default(), clock }
    }

    /// Deletes a queue, as an operator might: its consumers end.
    pub fn delete_queue(&self, name: &str) {
        self.lock().queues.remove(name);
        self.arrivals.notify_waiters();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next delivery for a channel; the inner `None` if it has to wait, an error if its queue
    /// is gone.
    fn take(&self, channel: u64) -> Result<Next, BrokerError> {
        let mut state = self.lock();
        let now = self.clock.now();
        state.expire(now);
        let State { queues, channels, .. } = &mut *state;
        let gone = || BrokerError::Unavailable("the channel is closed".to_owned());
        let channel = channels.get_mut(&channel).ok_or_else(gone)?;
        let Some(queue) = queues.get_mut(&channel.queue) else { return Ok(Next::Ended) };
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
}

enum Next {
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

impl State {
    fn route(&mut self, message: &Outgoing, now: Micros) -> bool {
        let Outgoing { exchange, routing_key, .. } = message;
        let is_bound = |queue: &QueueState| {
            (exchange.is_empty() && queue.declared.name == *routing_key)
                || queue
                    .declared
                    .bindings
                    .iter()
                    .any(|(bound, pattern)| bound == exchange && matches(pattern, routing_key))
        };
        let mut is_routed = false;
        for queue in self.queues.values_mut().filter(|queue| is_bound(queue)) {
            let expires_at = match queue.declared.role {
                Role::Retry { delay } => {
                    let own = message.properties.expiration.as_deref();
                    let own = own.and_then(|ms| ms.parse().ok());
                    let own = own.map(std::time::Duration::from_millis);
                    Some(now + own.map_or(delay, |own| own.min(delay)))
                }
                Role::Work | Role::Dead | Role::Parked => None,
            };
            queue.ready.push_back(Waiting { message: message.clone(), returns: 0, expires_at });
            is_routed = true;
        }
        is_routed
    }

    /// Dead-letters what has waited long enough; only the head of a queue expires.
    fn expire(&mut self, now: Micros) {
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
        for message in expired {
            self.route(&message, now);
        }
    }

    /// Gives back what a channel has not settled, in its old order, and counts the return.
    fn close(&mut self, channel: u64) {
        let Some(channel) = self.channels.remove(&channel) else { return };
        let Some(queue) = self.queues.get_mut(&channel.queue) else { return };
        for mut waiting in channel.unsettled.into_values().rev() {
            waiting.returns += 1;
            queue.ready.push_front(waiting);
        }
    }
}

/// Whether a topic pattern matches a key; patterns are exact but for a leading `*` word.
fn matches(pattern: &str, key: &str) -> bool {
    match pattern.strip_prefix("*.") {
        Some(rest) => key.split_once('.').is_some_and(|(_, tail)| tail == rest),
        None => pattern == key,
    }
}

impl Broker for MemoryBroker {
    type Deliveries = MemoryDeliveries;
    type Acks = MemoryAcks;
    type Publisher = MemoryPublisher;

    async fn consume(
        &self,
        queue: &str,
        prefetch: u16,
    ) -> Result<(MemoryDeliveries, MemoryAcks), BrokerError> {
        let mut state = self.lock();
        if !state.queues.contains_key(queue) {
            return Err(BrokerError::Unavailable(format!("no queue {queue}")));
        }
        state.last_channel += 1;
        let channel = state.last_channel;
        state.channels.insert(
            channel,
            Channel {
                queue: queue.to_owned(),
                prefetch: prefetch.into(),
                last_tag: 0,
                is_cancelled: false,
                unsettled: BTreeMap::new(),
            },
        );
        let open = Arc::new(OpenChannel { broker: self.clone(), channel });
        Ok((MemoryDeliveries(open.clone()), MemoryAcks(open)))
    }

    async fn publisher(&self) -> Result<MemoryPublisher, BrokerError> {
        Ok(MemoryPublisher(self.clone()))
    }

    async fn depth(&self, queue: &str) -> Result<Depth, BrokerError> {
        let mut state = self.lock();
        state.expire(self.clock.now());
        let found = state.queues.get(queue);
        let found = found.ok_or_else(|| BrokerError::Unavailable(format!("no queue {queue}")))?;
        let ready = u32::try_from(found.ready.len()).unwrap_or(u32::MAX);
        let consumers = state.channels.values().filter(|channel| channel.queue == queue);
        let consumers = consumers.filter(|channel| !channel.is_cancelled).count();
        Ok(Depth { ready, consumers: u32::try_from(consumers).unwrap_or(u32::MAX) })
    }

    /// Memory does not go away.
    async fn watch(&self, _: &Health) -> BrokerError {
        std::future::pending().await
    }

    /// A channel closes with the last of its halves.
    async fn close(&self) {}
}

/// A channel that closes when nobody holds it any more, as a dropped connection does.
struct OpenChannel {
    broker: MemoryBroker,
    channel: u64,
}

impl Drop for OpenChannel {
    fn drop(&mut self) {
        self.broker.lock().close(self.channel);
        self.broker.arrivals.notify_waiters();
    }
}

/// The deliveries of one queue.
pub struct MemoryDeliveries(Arc<OpenChannel>);

impl Deliveries for MemoryDeliveries {
    async fn next(&mut self) -> Result<Option<Delivery>, BrokerError> {
        let OpenChannel { broker, channel } = &*self.0;
        loop {
            let arrival = broker.arrivals.notified();
            tokio::pin!(arrival);
            // Registered before looking, or an arrival in between would go unheard.
            arrival.as_mut().enable();
            match broker.take(*channel)? {
                Next::Delivery(delivery) => return Ok(Some(*delivery)),
                Next::Ended => return Ok(None),
                Next::Later => {}
            }
            tokio::select! {
                () = arrival => {}
                () = broker.clock.sleep(std::time::Duration::from_millis(10)) => {}
            }
        }
    }

    fn buffered(&mut self) -> Result<Option<Delivery>, BrokerError> {
        match self.0.broker.take(self.0.channel)? {
            Next::Delivery(delivery) => Ok(Some(*delivery)),
            Next::Later | Next::Ended => Ok(None),
        }
    }

    async fn cancel(&mut self) -> Result<(), BrokerError> {
        if let Some(channel) = self.0.broker.lock().channels.get_mut(&self.0.channel) {
            channel.is_cancelled = true;
        }
        self.0.broker.arrivals.notify_waiters();
        Ok(())
    }
}

/// Settles the deliveries of one channel.
pub struct MemoryAcks(Arc<OpenChannel>);

impl Acks for MemoryAcks {
    async fn ack_up_to(&mut self, tag: Tag) -> Result<(), BrokerError> {
        let mut state = self.0.broker.lock();
        let gone = || BrokerError::Unavailable("the channel is closed".to_owned());
        let channel = state.channels.get_mut(&self.0.channel).ok_or_else(gone)?;
        channel.unsettled = channel.unsettled.split_off(&(tag + 1));
        drop(state);
        self.0.broker.arrivals.notify_waiters();
        Ok(())
    }

    async fn close(self) -> Result<(), BrokerError> {
        self.0.broker.lock().close(self.0.channel);
        self.0.broker.arrivals.notify_waiters();
        Ok(())
    }
}

/// Publishes; every message is confirmed at once, or returned if nothing is bound for it.
pub struct MemoryPublisher(MemoryBroker);

impl Publisher for MemoryPublisher {
    async fn publish(&mut self, messages: &[Outgoing]) -> Result<Vec<Confirmation>, BrokerError> {
        let now = self.0.clock.now();
        let mut state = self.0.lock();
        let confirmations = messages
            .iter()
            .map(|message| {
                if state.route(message, now) || !message.mandatory {
                    Confirmation::Confirmed
                } else {
                    Confirmation::Returned
                }
            })
            .collect();
        drop(state);
        self.0.arrivals.notify_waiters();
        Ok(confirmations)
    }
}

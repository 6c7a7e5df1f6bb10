//! The broker seam in memory: exchanges, bindings, prefetch, redelivery and delays.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::broker::{Acks, Broker, BrokerError, Confirmation, Deliveries, Depth, Publisher};
use crate::clock::Clock;
use crate::flag::Flag;
use crate::health::Health;
use crate::memory::queues::{Next, State};
use crate::message::{Delivery, Outgoing, Tag};
use crate::topology::Queue;

/// A connection to a broker in memory. Copies are the same connection; see
/// [`connect`](MemoryBroker::connect).
#[derive(Clone)]
pub struct MemoryBroker {
    state: Arc<Mutex<State>>,
    clock: Arc<dyn Clock>,
    connection: u64,
    takes_publishes: Flag,
}

impl MemoryBroker {
    /// A broker with these queues.
    pub fn new(queues: impl IntoIterator<Item = Queue>, clock: Arc<dyn Clock>) -> Self {
        let state = Arc::new(Mutex::new(State::new(queues)));
        Self { state, clock, connection: 0, takes_publishes: Flag::new(true) }
    }

    /// Another connection to the same broker.
    #[must_use]
    pub fn connect(&self) -> Self {
        let connection = self.lock().connect();
        Self { connection, ..self.clone() }
    }

    /// Cuts this connection: what it has not settled goes back at once, whoever still holds it.
    pub fn cut(&self) {
        self.lock().cut(self.connection);
    }

    /// Whether nothing is in any queue, or in anybody's hands.
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Deletes a queue, as an operator might: its consumers end.
    pub fn delete_queue(&self, name: &str) {
        self.lock().delete(name);
    }

    /// Takes no publishes for now, as a broker short of memory, or takes them again: those that wait for
    /// it, too.
    pub fn block(&self, is_blocked: bool) {
        self.takes_publishes.set(!is_blocked);
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until the next message has waited long enough in the retry ladder; without one, for ever.
    async fn next_expiry(&self) {
        let next = self.lock().next_expiry();
        match next {
            Some(at) => self.clock.sleep(at - self.clock.now()).await,
            None => std::future::pending().await,
        }
    }

    fn expect_uncut(&self, state: &State) -> Result<(), BrokerError> {
        match state.is_cut(self.connection) {
            true => Err(BrokerError::Unavailable("the connection was cut".to_owned())),
            false => Ok(()),
        }
    }

    /// The next delivery for a channel; the inner `None` if it has to wait, an error if its queue
    /// is gone.
    fn take(&self, channel: u64) -> Result<Next, BrokerError> {
        let mut state = self.lock();
        state.expire(&*self.clock);
        state.take(channel)
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
        self.expect_uncut(&state)?;
        let (channel, bell) = state.open(self.connection, queue, prefetch)?;
        drop(state);
        let open = Arc::new(OpenChannel { broker: self.clone(), channel, bell });
        Ok((MemoryDeliveries(open.clone()), MemoryAcks(open)))
    }

    async fn publisher(&self) -> Result<MemoryPublisher, BrokerError> {
        Ok(MemoryPublisher(self.clone()))
    }

    async fn depth(&self, queue: &str) -> Result<Depth, BrokerError> {
        let mut state = self.lock();
        self.expect_uncut(&state)?;
        state.expire(&*self.clock);
        state.depth(queue)
    }

    /// Memory does not go away by itself.
    async fn watch(&self, _: &Health) -> BrokerError {
        let bell = self.lock().cut_bell();
        loop {
            let mut change = std::pin::pin!(bell.notified());
            change.as_mut().enable();
            if let Err(cut) = self.expect_uncut(&self.lock()) {
                return cut;
            }
            change.await;
        }
    }

    /// A channel closes with the last of its halves.
    async fn close(&self) {}
}

/// A channel that closes when nobody holds it any more, as a dropped connection does.
struct OpenChannel {
    broker: MemoryBroker,
    channel: u64,
    /// Rings when something may have changed for it.
    bell: Arc<Notify>,
}

impl Drop for OpenChannel {
    fn drop(&mut self) {
        self.broker.lock().close(self.channel);
    }
}

/// The deliveries of one queue.
pub struct MemoryDeliveries(Arc<OpenChannel>);

impl Deliveries for MemoryDeliveries {
    async fn next(&mut self) -> Result<Option<Delivery>, BrokerError> {
        let OpenChannel { broker, channel, bell } = &*self.0;
        loop {
            let arrival = bell.notified();
            tokio::pin!(arrival);
            // Registered before looking, or an arrival in between would go unheard.
            arrival.as_mut().enable();
            match broker.take(*channel)? {
                Next::Delivery(delivery) => return Ok(Some(*delivery)),
                Next::Ended => return Ok(None),
                Next::Later => {}
            }
            tokio::select! {
                biased;
                () = arrival => {}
                () = broker.next_expiry() => {}
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
        self.0.broker.lock().cancel(self.0.channel);
        Ok(())
    }
}

/// Settles the deliveries of one channel.
pub struct MemoryAcks(Arc<OpenChannel>);

impl Acks for MemoryAcks {
    async fn ack_up_to(&mut self, tag: Tag) -> Result<(), BrokerError> {
        self.0.broker.lock().settle(self.0.channel, tag)
    }

    async fn close(self) -> Result<(), BrokerError> {
        self.0.broker.lock().close(self.0.channel);
        Ok(())
    }
}

/// Publishes; every message is confirmed at once, or returned if nothing is bound for it, unless the
/// broker is blocked.
pub struct MemoryPublisher(MemoryBroker);

impl Publisher for MemoryPublisher {
    async fn publish(&mut self, messages: &[Outgoing]) -> Result<Vec<Confirmation>, BrokerError> {
        self.0.takes_publishes.raised().await;
        let now = self.0.clock.now();
        let mut state = self.0.lock();
        self.0.expect_uncut(&state)?;
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
        Ok(confirmations)
    }
}

//! A worker's broker that hands out deliveries in batches of known sizes, and a clock without alarms.

use std::collections::VecDeque;
use std::future::{Future, pending};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use orderly_runtime::broker::{Broker, BrokerError, Deliveries, Depth};
use orderly_runtime::clock::{Clock, Micros};
use orderly_runtime::domain::Domain;
use orderly_runtime::health::Health;
use orderly_runtime::message::Delivery;
use orderly_runtime::servers::Servers;
use orderly_runtime::trouble::Trouble;

/// The sizes of the batches, of every step.
pub(crate) const PORTIONS: [usize; 6] = [1, 1, 1, 200, 50, 1];
/// So many batches come before the steady state: each statement is prepared when it is first used,
/// and that a batch is out is noted in the next but one.
pub(crate) const WARMING_UP: usize = 3;

/// How many messages a step has.
pub(crate) const MESSAGES: usize = {
    let (mut sum, mut place) = (0, 0);
    while place < PORTIONS.len() {
        sum += PORTIONS[place];
        place += 1;
    }
    sum
};

/// Servers whose broker hands out in portions.
pub(crate) struct InPortions<P>(pub(crate) P);

impl<D: Domain, P: Servers<D>> Servers<D> for InPortions<P> {
    type Broker = Portioned<P::Broker>;
    type Store = P::Store;

    fn store(&self) -> &Arc<P::Store> {
        self.0.store()
    }

    async fn connect(&self) -> Result<Self::Broker, Trouble> {
        self.0.connect().await.map(Portioned)
    }
}

/// A broker that hands out in portions.
pub(crate) struct Portioned<B>(B);

impl<B: Broker> Broker for Portioned<B> {
    type Deliveries = Portions<B::Deliveries>;
    type Acks = B::Acks;
    type Publisher = B::Publisher;

    async fn consume(
        &self,
        queue: &str,
        prefetch: u16,
    ) -> Result<(Self::Deliveries, B::Acks), BrokerError> {
        let (deliveries, acks) = self.0.consume(queue, prefetch).await?;
        let portions = Portions { deliveries, gathered: VecDeque::new(), next: 0, left: 0 };
        Ok((portions, acks))
    }

    async fn publisher(&self) -> Result<B::Publisher, BrokerError> {
        self.0.publisher().await
    }

    async fn depth(&self, queue: &str) -> Result<Depth, BrokerError> {
        self.0.depth(queue).await
    }

    async fn watch(&self, health: &Health) -> BrokerError {
        self.0.watch(health).await
    }

    async fn close(&self) {
        self.0.close().await;
    }
}

/// The deliveries of one queue. None is handed out before those of a whole step have come, so that
/// the sizes of the batches do not depend on who is how fast.
pub(crate) struct Portions<T> {
    deliveries: T,
    gathered: VecDeque<Delivery>,
    /// Which portion comes next.
    next: usize,
    /// How much is left of this one.
    left: usize,
}

impl<T: Deliveries> Deliveries for Portions<T> {
    async fn next(&mut self) -> Result<Option<Delivery>, BrokerError> {
        while self.next == 0 && self.gathered.len() < MESSAGES {
            let Some(delivery) = self.deliveries.next().await? else { return Ok(None) };
            self.gathered.push_back(delivery);
        }
        self.left = PORTIONS[self.next];
        self.next = (self.next + 1) % PORTIONS.len();
        self.buffered()
    }

    fn buffered(&mut self) -> Result<Option<Delivery>, BrokerError> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        Ok(self.gathered.pop_front())
    }

    async fn cancel(&mut self) -> Result<(), BrokerError> {
        self.deliveries.cancel().await
    }
}

/// A clock that stands still and never wakes anybody: every loop of a worker goes round once, and nothing
/// but batches is left, however long they take.
pub(crate) struct WithoutAlarms(pub(crate) Micros);

impl Clock for WithoutAlarms {
    fn now(&self) -> Micros {
        self.0
    }

    fn sleep(&self, _: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        Box::pin(pending())
    }
}

//! The broker, as a seam: what the loop needs of one, and nothing a library calls its own.

use std::future::Future;

use crate::health::Health;
use crate::message::{Delivery, Outgoing, Tag};

/// Something is wrong with the broker or the way to it. Never the fault of a message.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BrokerError {
    /// It is away, or does not answer; it may be back in a moment.
    #[error("{0}")]
    Unavailable(String),
    /// The topology, the rights or the address are wrong; somebody must act.
    #[error("{0}")]
    Misconfigured(String),
}

/// What became of a published message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Confirmation {
    /// The broker has taken responsibility for it.
    Confirmed,
    /// No queue is bound for it, though it is mandatory.
    Returned,
    /// The broker refused it, for instance because a queue is full.
    Refused,
}

/// How full a queue is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Depth {
    /// Messages that wait for a consumer.
    pub ready: u32,
    /// Consumers of the queue.
    pub consumers: u32,
}

/// A connection to a broker.
pub trait Broker: Send + Sync + 'static {
    /// Takes deliveries of one queue.
    type Deliveries: Deliveries;
    /// Settles the deliveries of the same channel.
    type Acks: Acks;
    /// Publishes.
    type Publisher: Publisher;

    /// Begins to consume `queue`, with at most `prefetch` unsettled deliveries.
    fn consume(
        &self,
        queue: &str,
        prefetch: u16,
    ) -> impl Future<Output = Result<(Self::Deliveries, Self::Acks), BrokerError>> + Send;

    /// Opens a publisher. It belongs to one task: confirms of a shared channel get mixed up.
    fn publisher(&self) -> impl Future<Output = Result<Self::Publisher, BrokerError>> + Send;

    /// How full `queue` is.
    fn depth(&self, queue: &str) -> impl Future<Output = Result<Depth, BrokerError>> + Send;

    /// Reports to `health` when the broker blocks publishers; ends when the connection does, with
    /// the reason.
    fn watch(&self, health: &Health) -> impl Future<Output = BrokerError> + Send;

    /// Closes the connection. What is unsettled goes back to its queue.
    fn close(&self) -> impl Future<Output = ()> + Send;
}

/// The deliveries of one queue on one channel.
pub trait Deliveries: Send + 'static {
    /// The next delivery; `None` once cancelled by us and drained. Dropping the future loses
    /// nothing.
    fn next(&mut self) -> impl Future<Output = Result<Option<Delivery>, BrokerError>> + Send;

    /// A delivery that is here already.
    fn buffered(&mut self) -> Result<Option<Delivery>, BrokerError>;

    /// Asks for no more deliveries. What is here already still comes.
    fn cancel(&mut self) -> impl Future<Output = Result<(), BrokerError>> + Send;
}

/// Settles deliveries.
pub trait Acks: Send + 'static {
    /// Acknowledges every delivery up to `tag`.
    fn ack_up_to(&mut self, tag: Tag) -> impl Future<Output = Result<(), BrokerError>> + Send;

    /// Closes the channel. What is unsettled goes back to the queue; what was acknowledged is
    /// known to the broker when this returns.
    fn close(self) -> impl Future<Output = Result<(), BrokerError>> + Send;
}

/// Publishes, with confirms.
pub trait Publisher: Send + 'static {
    /// Publishes all messages, persistent and pipelined, and waits for what became of each.
    fn publish(
        &mut self,
        messages: &[Outgoing],
    ) -> impl Future<Output = Result<Vec<Confirmation>, BrokerError>> + Send;
}

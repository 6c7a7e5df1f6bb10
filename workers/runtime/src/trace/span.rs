//! Spans: what happened to a message, from when to when, in this system's own terms.

use uuid::Uuid;

use super::context::{SpanId, TraceParent};
use crate::clock::Micros;

/// Something that happened, and its place in a trace.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// Its own place.
    pub place: TraceParent,
    /// The span that led to it, unless the trace begins here.
    pub parent: Option<SpanId>,
    /// The vendors' part of the trace context.
    pub state: Option<String>,
    /// What happened.
    pub action: Action,
    /// When it began.
    pub began: Micros,
    /// When it was over.
    pub ended: Micros,
    /// Why it failed, as a code, if it did.
    pub error: Option<&'static str>,
    /// Spans that it has to do with, and that did not lead to it.
    pub links: Vec<TraceParent>,
}

/// What a span tells of.
#[derive(Debug, Clone, PartialEq)]
pub enum Action {
    /// A message was published, and confirmed by the broker.
    Publish(Carried),
    /// A message was taken from a queue and processed.
    Process {
        /// The queue.
        queue: &'static str,
        /// The message.
        message: Carried,
        /// How it ended.
        outcome: &'static str,
        /// How many attempts had failed before.
        attempts: u32,
    },
    /// A batch was decided and saved in one transaction.
    Transact {
        /// The queue.
        queue: &'static str,
        /// The batch.
        batch: Uuid,
        /// How many messages of it were new.
        messages: usize,
    },
    /// A timer fell due and was decided on.
    Fire {
        /// Whom it belongs to, such as an order.
        owner: String,
        /// What it was for.
        step: String,
    },
}

/// A message as the broker carries it, without its body.
#[derive(Debug, Clone, PartialEq)]
pub struct Carried {
    /// The exchange it was published to.
    pub exchange: String,
    /// The key it was published with.
    pub routing_key: String,
    /// Its id.
    pub id: String,
    /// What it is about, such as an order.
    pub about: Option<String>,
    /// How long its body is.
    pub bytes: usize,
}

//! The events of a trace: what crossed the seams of one process, in the order in which it did.

use std::borrow::Cow;
use std::hash::{BuildHasher, Hash, Hasher};

use foldhash::quality::FixedState;
use orderly_contracts::envelope::{ATTEMPTS, CAUSATION_ID};
use orderly_contracts::routes::route;
use orderly_runtime::broker::Confirmation;
use orderly_runtime::domain::Cause;
use orderly_runtime::message::{Delivery, HeaderValue, Outgoing, Properties};
use orderly_runtime::retry::Past;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

/// What a message is known by: who may send it, by the routing table, and its id.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Name {
    /// The sender.
    pub source: Cow<'static, str>,
    /// The message id.
    pub id: String,
}

impl Name {
    /// The name of a message of this `kind`. What no table knows has no sender.
    pub fn of(kind: &str, id: &str) -> Self {
        let source = route(kind).map_or("nobody", |route| route.sender.name());
        Self { source: source.into(), id: id.to_owned() }
    }
}

impl From<&Cause> for Name {
    fn from(cause: &Cause) -> Self {
        Self { source: cause.source.into(), id: cause.id.clone() }
    }
}

/// One copy of a message, as it came to a worker.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Arrived {
    /// Which message.
    pub name: Name,
    /// Its type.
    pub kind: String,
    /// The first eight bytes of the SHA-256 of its body.
    pub body: u64,
    /// How many attempts at it have failed.
    pub attempts: u32,
}

impl Arrived {
    /// What a delivery is a copy of.
    pub fn of(delivery: &Delivery) -> Self {
        let kind = delivery.properties.kind.clone().unwrap_or_default();
        let id = delivery.properties.message_id.as_deref().unwrap_or_default();
        let attempts = Past::of(delivery).attempts;
        Self { name: Name::of(&kind, id), kind, body: hash(&delivery.body), attempts }
    }
}

/// A message as it was decided or published.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// Which message.
    pub name: Name,
    /// Its type.
    pub kind: String,
    /// A hash of everything that is sent: properties, headers, body, and where to.
    pub whole: u64,
}

impl Sent {
    /// What `message` is.
    pub fn of(message: &Outgoing) -> Self {
        let kind = message.properties.kind.clone().unwrap_or_default();
        Self { name: Name::of(&kind, message.id()), whole: whole(message), kind }
    }
}

/// What a published message was for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Published {
    /// An output, and the id of the message that caused it.
    Output {
        /// The output.
        sent: Sent,
        /// The id of what caused it.
        cause: String,
    },
    /// A copy on its way up the retry ladder.
    Retry {
        /// The copy, with the attempts it will have failed when it comes back.
        copy: Arrived,
        /// The queue it will come back to.
        queue: String,
    },
    /// A dead letter.
    Letter {
        /// The letter's id.
        letter: Uuid,
        /// The message it is about.
        copy: Arrived,
        /// The queue the message was taken from.
        queue: String,
        /// Why it was given up, as a code.
        reason: String,
    },
}

/// Something that a worker did, or that happened to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Event {
    /// A delivery came.
    Delivered {
        /// The channel, unique in the trace.
        channel: Uuid,
        /// The queue.
        queue: String,
        /// Its number on the channel.
        tag: u64,
        /// What it is.
        copy: Arrived,
        /// The letter in it, where the queue is one of dead letters.
        letter: Option<Uuid>,
    },
    /// The inbox said that these messages have had their effect.
    Known(Vec<Name>),
    /// A transaction is about to be committed.
    Committing(Effects),
    /// A transaction is committed.
    Committed(Effects),
    /// Messages were published, and this is what the broker said of each.
    Published(Vec<(Published, Taken)>),
    /// Everything on a channel up to a tag is about to be acknowledged.
    Acking {
        /// The channel.
        channel: Uuid,
        /// The tag.
        up_to: u64,
    },
    /// Letters are filed.
    Filed(Vec<Uuid>),
}

/// Whether the broker took a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Taken {
    /// It did.
    Yes,
    /// It did not.
    No,
}

impl From<&Confirmation> for Taken {
    fn from(confirmation: &Confirmation) -> Self {
        match confirmation {
            Confirmation::Confirmed => Self::Yes,
            Confirmation::Returned | Confirmation::Refused => Self::No,
        }
    }
}

/// What a transaction leaves behind, as far as a trace needs it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effects {
    /// Messages that have their effect in it, with the hash of each body.
    pub of: Vec<(Name, u64)>,
    /// What each of them decided to publish.
    pub outputs: Vec<(Name, Vec<Sent>)>,
}

/// The id of the message that caused a message of ours.
pub(super) fn causation(properties: &Properties) -> String {
    properties.text_header(CAUSATION_ID).unwrap_or_default().to_owned()
}

/// The attempts that a copy on the ladder carries.
pub(super) fn attempts(properties: &Properties) -> u32 {
    properties.int_header(ATTEMPTS).and_then(|n| u32::try_from(n).ok()).unwrap_or_default()
}

/// The first eight bytes of the SHA-256 of a body.
pub(super) fn hash(body: &[u8]) -> u64 {
    beginning(&Sha256::digest(body).into())
}

/// The first eight bytes of a SHA-256.
pub(super) fn beginning(sha256: &[u8; 32]) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *sha256;
    u64::from_be_bytes([a, b, c, d, e, f, g, h])
}

/// The same in every process.
fn whole(message: &Outgoing) -> u64 {
    let Outgoing { exchange, routing_key, mandatory, properties, body } = message;
    let mut hasher = FixedState::default().build_hasher();
    (exchange, routing_key, mandatory, body).hash(&mut hasher);
    let Properties { message_id, kind, correlation_id, content_type, app_id, .. } = properties;
    (message_id, kind, correlation_id, content_type, app_id).hash(&mut hasher);
    (properties.timestamp, properties.delivery_mode).hash(&mut hasher);
    for (name, value) in properties.headers.iter().flatten() {
        name.hash(&mut hasher);
        match value {
            HeaderValue::Text(text) => text.hash(&mut hasher),
            HeaderValue::I64(number) => number.hash(&mut hasher),
            other => format!("{other:?}").hash(&mut hasher),
        }
    }
    hasher.finish()
}

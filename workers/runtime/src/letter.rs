//! A dead letter: a message that nobody can process, with everything needed to see why.
//!
//! On the wire it is one line of JSON that explains, a line feed, and the original body as it was:
//! readable on the broker's management page, and without a limit that headers would have.

use orderly_contracts::{Reason, Refusal};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::clock::Micros;
use crate::domain::Cause;
use crate::fold::derived_id;
use crate::message::{Delivery, HeaderValue, Outgoing, Properties};
use crate::retry::{Past, without_broker_traces};
use crate::topology::DEAD;

/// Header of a message that an operator sent in place of a dead one: the letter about that one.
pub const EDIT_OF: &str = "orderly-edit-of";

/// The content type of a dead letter.
pub const LETTER_CONTENT_TYPE: &str = "application/vnd.orderly.dead-letter";

/// A message that was given up, as the worker files it. Nothing of the original is lost.
#[derive(Debug, Clone, PartialEq)]
pub struct Letter {
    /// What is known about it.
    pub explanation: Explanation,
    /// Its original body.
    pub body: Vec<u8>,
}

/// Why a message was given up, and what it was but for its body.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Explanation {
    /// Derived from the queue, the message id and the body: the same message is the same letter.
    pub id: Uuid,
    /// Why it was given up, as a code.
    pub reason: Reason,
    /// Why it was given up, for people. Never the body.
    pub text: String,
    /// How many attempts had failed before.
    pub attempts: u32,
    /// The queue it was taken from.
    pub queue: String,
    /// The exchange it was first published to.
    pub exchange: String,
    /// The routing key it was first published with.
    pub routing_key: String,
    /// The worker that gave it up, with its version.
    pub worker: String,
    /// When it was first seen to fail, in microseconds since 1970.
    pub first_at: Micros,
    /// When it was given up, in microseconds since 1970.
    pub last_at: Micros,
    /// Its original properties.
    pub properties: Properties,
}

impl Letter {
    /// The letter about `delivery` of `queue`, which `worker` gives up for the stated reason.
    pub fn about(
        delivery: &Delivery,
        queue: &str,
        worker: &str,
        refusal: &Refusal,
        now: Micros,
    ) -> Self {
        let past = Past::of(delivery);
        let explanation = Explanation {
            id: letter_id(queue, delivery),
            reason: refusal.reason,
            text: refusal.text.clone(),
            attempts: past.attempts,
            queue: queue.to_owned(),
            exchange: past.exchange,
            routing_key: past.routing_key,
            worker: worker.to_owned(),
            first_at: past.first_failed_at.unwrap_or(now),
            last_at: now,
            properties: without_broker_traces(&delivery.properties),
        };
        Self { explanation, body: delivery.body.clone() }
    }

    /// The message that hands the letter over to the dead-letter queue.
    pub fn outgoing(&self) -> Outgoing {
        let explanation = &self.explanation;
        let mut body = serde_json::to_vec(explanation).expect("an explanation always serialises");
        body.push(b'\n');
        body.extend_from_slice(&self.body);
        Outgoing {
            exchange: DEAD.to_owned(),
            routing_key: explanation.queue.clone(),
            mandatory: true,
            properties: Properties {
                content_type: Some(LETTER_CONTENT_TYPE.to_owned()),
                message_id: Some(explanation.id.to_string()),
                delivery_mode: Some(2),
                timestamp: u64::try_from(explanation.last_at.0 / 1_000_000).ok(),
                ..Properties::default()
            },
            body,
        }
    }

    /// Reads what lies in the dead-letter queue of `worker`: our own letter, or a message that
    /// the broker gave up by itself.
    pub fn read(delivery: Delivery, worker: &str, now: Micros) -> Self {
        if delivery.properties.content_type.as_deref() == Some(LETTER_CONTENT_TYPE)
            && let Some(end) = delivery.body.iter().position(|byte| *byte == b'\n')
            && let Ok(explanation) = serde_json::from_slice(&delivery.body[..end])
        {
            return Self { explanation, body: delivery.body[end + 1..].to_vec() };
        }
        let Death { reason, queue, exchange, routing_key, count } = Death::of(&delivery.properties);
        let text = format!("the broker gave it up after {count} deliveries: {reason}");
        let refusal = Refusal::new(Reason::DeliveryLimit, text);
        // As it came to the queue it died in: that may have been back from the ladder.
        let delivery = Delivery { exchange, routing_key, ..delivery };
        Self::about(&delivery, &queue, worker, &refusal, now)
    }
}

fn letter_id(queue: &str, delivery: &Delivery) -> Uuid {
    let message_id = delivery.properties.message_id.as_deref().unwrap_or_default();
    let hash = Sha256::digest(&delivery.body);
    let hash = u64::from_be_bytes(hash[..8].try_into().expect("a digest has 32 bytes"));
    let cause = Cause { source: "dead", id: format!("{message_id}/{hash:016x}") };
    derived_id(queue, &cause, 0)
}

/// What the broker's `x-death` header tells of the last death.
struct Death {
    reason: String,
    queue: String,
    exchange: String,
    routing_key: String,
    count: i64,
}

impl Death {
    fn of(properties: &Properties) -> Self {
        let last = match properties.header("x-death") {
            Some(HeaderValue::List(deaths)) => match deaths.first() {
                Some(HeaderValue::Table(death)) => Some(death.clone()),
                _ => None,
            },
            _ => None,
        };
        let last = Properties { headers: last, ..Properties::default() };
        let text = |name| last.text_header(name).unwrap_or("unknown").to_owned();
        let routing_key = match last.header("routing-keys") {
            Some(HeaderValue::List(keys)) => match keys.first() {
                Some(HeaderValue::Text(key) | HeaderValue::ShortText(key)) => key.clone(),
                _ => String::new(),
            },
            _ => String::new(),
        };
        Self {
            reason: text("reason"),
            queue: text("queue"),
            exchange: text("exchange"),
            routing_key,
            count: last.int_header("count").unwrap_or(1),
        }
    }
}

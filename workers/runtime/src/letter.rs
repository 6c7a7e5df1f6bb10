//! A dead letter: a message that nobody can process, with everything needed to see why.
//!
//! On the wire it is one line of JSON that explains, a line feed, and the original body as it was:
//! readable on the broker's management page, and without a limit that headers would have.

use std::time::Duration;

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

/// The longest body that a letter keeps whole. A letter is longer than its message, and must still
/// get past the broker's `max_message_size`, twice this: longer bodies are cut off here, and no
/// worker may be told to process them.
pub const LETTER_BODY_MAX: usize = 2 << 20;

/// How much later than ours another machine's clock may be.
const CLOCKS_DIFFER: Duration = Duration::from_secs(3600);

/// How long a text may be in a letter that could not be filed as it was.
const BARE_TEXT: usize = 255;

/// A message that was given up, as the worker files it. Nothing of the original is lost, but for
/// what is longer or deeper than anything that can be processed; then the letter says so.
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
    /// Derived from the queue, the message's id, type and body: the same message is the same letter.
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
    /// What its body was, if that was too long to be kept whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cut: Option<Cut>,
}

/// A body of which a letter holds only the beginning.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cut {
    /// How long it was.
    pub bytes: u64,
    /// The SHA-256 of all of it, in hex.
    pub sha256: String,
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
        let hash = hex(&Sha256::digest(&delivery.body));
        let length = delivery.body.len();
        let explanation = Explanation {
            id: letter_id(queue, &delivery.properties, &hash),
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
            cut: (length > LETTER_BODY_MAX).then_some(Cut { bytes: length as u64, sha256: hash }),
        };
        let body = delivery.body[..length.min(LETTER_BODY_MAX)].to_vec();
        Self { explanation: explanation.within(now), body }
    }

    /// The letter with nothing in it that a database could refuse, which said `why` of this one.
    pub fn bare(&self, why: &str) -> Self {
        let Explanation { properties, text, .. } = &self.explanation;
        let short = |text: &str| text.chars().take(BARE_TEXT).collect::<String>();
        let maybe = |text: &Option<String>| text.as_deref().map(short);
        let explanation = Explanation {
            text: format!("{} (filed without its headers: {})", short(text), short(why)),
            queue: short(&self.explanation.queue),
            exchange: short(&self.explanation.exchange),
            routing_key: short(&self.explanation.routing_key),
            worker: short(&self.explanation.worker),
            properties: Properties {
                kind: maybe(&properties.kind),
                message_id: maybe(&properties.message_id),
                correlation_id: maybe(&properties.correlation_id),
                content_type: maybe(&properties.content_type),
                ..Properties::default()
            },
            ..self.explanation.clone()
        };
        Self { explanation, body: self.body.clone() }
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
    /// the broker gave up by itself. What it gave up is no letter of ours, whatever it looks like.
    pub fn read(delivery: Delivery, worker: &str, now: Micros) -> Self {
        let is_ours = delivery.properties.header("x-death").is_none()
            && delivery.properties.content_type.as_deref() == Some(LETTER_CONTENT_TYPE);
        if is_ours
            && let Some(end) = delivery.body.iter().position(|byte| *byte == b'\n')
            && let Ok(explanation) = serde_json::from_slice::<Explanation>(&delivery.body[..end])
        {
            let body = delivery.body[end + 1..].to_vec();
            return Self { explanation: explanation.within(now), body };
        }
        let death = Death::of(&delivery.properties);
        let Death { reason, queue, exchange, routing_key, count, at } = death;
        let text = format!("the broker gave it up after {count} deliveries: {reason}");
        let refusal = Refusal::new(Reason::DeliveryLimit, text);
        // As it came to the queue it died in: that may have been back from the ladder.
        let delivery = Delivery { exchange, routing_key, ..delivery };
        let mut letter = Self::about(&delivery, &queue, worker, &refusal, at.unwrap_or(now));
        letter.explanation = letter.explanation.within(now);
        letter
    }
}

impl Explanation {
    /// With moments that a calendar knows: headers that a stranger wrote may tell any.
    fn within(mut self, now: Micros) -> Self {
        let moments = Micros(0)..=now + CLOCKS_DIFFER;
        self.last_at = self.last_at.clamp(*moments.start(), *moments.end());
        self.first_at = self.first_at.clamp(*moments.start(), *moments.end());
        self
    }
}

/// Names the letter: the same message, dying in the same queue, is the same letter.
fn letter_id(queue: &str, properties: &Properties, hash: &str) -> Uuid {
    let message_id = properties.message_id.as_deref().unwrap_or_default();
    let kind = properties.kind.as_deref().unwrap_or_default();
    let cause = Cause { source: "dead", id: format!("{message_id}/{kind}/{hash}") };
    derived_id(queue, &cause, 0)
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the broker's `x-death` header tells of the last death.
struct Death {
    reason: String,
    queue: String,
    exchange: String,
    routing_key: String,
    count: i64,
    /// The same whenever it is read: a death that is filed twice is one death.
    at: Option<Micros>,
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
        let at = match last.header("time") {
            Some(HeaderValue::Timestamp(seconds)) => i64::try_from(*seconds).ok(),
            _ => None,
        };
        Self {
            at: at.and_then(|seconds| seconds.checked_mul(1_000_000)).map(Micros),
            reason: text("reason"),
            queue: text("queue"),
            exchange: text("exchange"),
            routing_key,
            count: last.int_header("count").unwrap_or(1),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    const NOW: Micros = Micros(1_764_000_000_000_000);

    fn delivery(properties: Properties, body: &[u8]) -> Delivery {
        let (exchange, routing_key) = ("orderly.commands".to_owned(), "order.place.v1".to_owned());
        Delivery { tag: 1, returns: 0, exchange, routing_key, properties, body: body.to_vec() }
    }

    fn about(delivery: &Delivery) -> Letter {
        Letter::about(delivery, "order.new", "test", &Refusal::new(Reason::Poison, "why"), NOW)
    }

    /// The letter as it is handed over and comes out of the queue again.
    fn handed_over(letter: &Letter, change: impl FnOnce(&mut Properties)) -> Letter {
        let Outgoing { mut properties, body, .. } = letter.outgoing();
        change(&mut properties);
        Letter::read(delivery(properties, &body), "drain", NOW)
    }

    #[test]
    fn what_was_handed_over_is_read_as_it_was() {
        let letter = about(&delivery(Properties::default(), b"a\nbody"));
        assert_eq!(handed_over(&letter, |_| ()), letter);
    }

    #[test]
    fn what_the_broker_gave_up_explains_nothing_however_it_looks() {
        let letter = about(&delivery(Properties::default(), b"x"));
        let death = HeaderValue::Table(BTreeMap::from([
            ("queue".to_owned(), HeaderValue::Text("order.new".to_owned())),
            ("time".to_owned(), HeaderValue::Timestamp(1_700_000_000)),
        ]));
        let read = handed_over(&letter, |properties| {
            properties.headers =
                Some(BTreeMap::from([("x-death".to_owned(), HeaderValue::List(vec![death]))]));
        });
        assert_eq!(read.explanation.reason, Reason::DeliveryLimit);
        assert_eq!(read.explanation.queue, "order.new");
        assert_eq!(read.explanation.last_at, Micros(1_700_000_000_000_000));
        assert_eq!(read.body, letter.outgoing().body);
    }

    #[test]
    fn a_moment_that_no_calendar_knows_is_none() {
        let mut letter = about(&delivery(Properties::default(), b"x"));
        letter.explanation.first_at = Micros(i64::MIN);
        letter.explanation.last_at = Micros(i64::MAX);
        let read = handed_over(&letter, |_| ()).explanation;
        assert_eq!((read.first_at, read.last_at), (Micros(0), NOW + CLOCKS_DIFFER));
    }

    #[test]
    fn messages_without_id_are_told_apart_by_their_type() {
        let of = |kind: &str| {
            let properties = Properties { kind: Some(kind.to_owned()), ..Properties::default() };
            about(&delivery(properties, b"{}")).explanation.id
        };
        assert_ne!(of("order.place.v1"), of("order.cancel.v1"));
        assert_eq!(of("order.place.v1"), of("order.place.v1"));
    }

    #[test]
    fn a_body_that_is_too_long_is_cut_and_the_letter_says_what_it_was() {
        let long = vec![7; LETTER_BODY_MAX + 1];
        let letter = about(&delivery(Properties::default(), &long));
        let sha256 = hex(&Sha256::digest(&long));
        let cut = Some(Cut { bytes: long.len() as u64, sha256 });
        assert_eq!((letter.body.len(), &letter.explanation.cut), (LETTER_BODY_MAX, &cut));
        assert_eq!(handed_over(&letter, |_| ()), letter);
        let whole = about(&delivery(Properties::default(), &long[1..]));
        assert_eq!((whole.body.len(), whole.explanation.cut), (LETTER_BODY_MAX, None));
        assert_ne!(letter.explanation.id, whole.explanation.id, "the whole body counts");
    }
}

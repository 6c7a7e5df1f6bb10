//! From a delivery to an input, or to the reason why it is none. Pure, and before any transaction.

use orderly_contracts::envelope::{CONTENT_TYPE, PLACED_AT, SENT_AT, TRACESTATE};
use orderly_contracts::routes::{Party, Route, kinds_in};
use orderly_contracts::text::MessageId;
use orderly_contracts::{Reason, Refusal};
use sha2::{Digest, Sha256};

use crate::clock::Micros;
use crate::domain::{Arrival, Cause, Context};
use crate::message::{Delivery, HeaderValue, Properties};
use crate::retry::Past;
use crate::topology::RETURN;
use crate::trace::context::TraceParent;

/// The longest `tracestate` that is handed on; W3C asks for 512.
const STATE_BYTES_MAX: usize = 512;
/// The largest headers that can be handed on: a copy must still fit into one AMQP frame.
const HEADER_BYTES_MAX: usize = 64 * 1024;

/// A delivery that was read, for better or worse.
#[derive(Debug)]
pub struct Received<I> {
    /// The delivery, as it came.
    pub delivery: Delivery,
    /// When it arrived.
    pub at: Micros,
    /// What it says, or why it is refused.
    pub content: Result<Content<I>, Refusal>,
}

/// What a message says.
#[derive(Debug)]
pub struct Content<I> {
    /// The input.
    pub arrival: Arrival<I>,
    /// The SHA-256 of the body.
    pub body_hash: [u8; 32],
}

/// How a consumer reads the body of a message of some kind.
pub type Decode<I> = fn(kind: &str, body: &[u8]) -> Result<I, Refusal>;

/// Reads the deliveries of one queue.
#[derive(Debug, Clone, Copy)]
pub struct Reception<I> {
    /// The queue.
    pub queue: &'static str,
    /// The longest body that is read at all.
    pub body_bytes_max: usize,
    /// Reads a body.
    pub decode: Decode<I>,
}

impl<I> Reception<I> {
    /// Reads a delivery that arrived `at` this moment.
    pub fn receive(&self, delivery: Delivery, at: Micros) -> Received<I> {
        let content = self.read(&delivery, at);
        Received { delivery, at, content }
    }

    fn read(&self, delivery: &Delivery, at: Micros) -> Result<Content<I>, Refusal> {
        let properties = &delivery.properties;
        check_size(delivery, self.body_bytes_max)?;
        check_content_type(properties)?;
        let route = find_route(properties.kind.as_deref(), self.queue)?;
        check_routing_key(delivery, route, self.queue)?;
        let id = message_id(properties)?;
        let input = (self.decode)(route.kind, &delivery.body)?;
        let cause = Cause { source: route.sender.name(), id: id.to_string() };
        let context = context(properties, at);
        Ok(Content {
            arrival: Arrival { cause, kind: route.kind, at, context, input },
            body_hash: Sha256::digest(&delivery.body).into(),
        })
    }
}

fn check_size(delivery: &Delivery, body_bytes_max: usize) -> Result<(), Refusal> {
    let bytes = delivery.body.len();
    if bytes > body_bytes_max {
        let text = format!("the body has {bytes} bytes, at most {body_bytes_max} are allowed");
        return Err(Refusal::new(Reason::BodyTooLarge, text));
    }
    let headers = delivery.properties.headers.iter().flatten();
    let bytes: usize = headers.map(|(name, value)| name.len() + size(value)).sum();
    if bytes > HEADER_BYTES_MAX {
        let text =
            format!("the headers have {bytes} bytes, at most {HEADER_BYTES_MAX} are allowed");
        return Err(Refusal::new(Reason::BodyTooLarge, text));
    }
    Ok(())
}

fn size(value: &HeaderValue) -> usize {
    match value {
        HeaderValue::ShortText(text) | HeaderValue::Text(text) => text.len() + 5,
        HeaderValue::TextBytes(bytes) | HeaderValue::Bytes(bytes) => bytes.len() + 5,
        HeaderValue::List(values) => 5 + values.iter().map(size).sum::<usize>(),
        HeaderValue::Table(table) => {
            5 + table.iter().map(|(name, value)| name.len() + 1 + size(value)).sum::<usize>()
        }
        _ => 9,
    }
}

fn check_content_type(properties: &Properties) -> Result<(), Refusal> {
    let refuse = |text| Err(Refusal::new(Reason::WrongContentType, text));
    if let Some(found) = properties.content_type.as_deref().filter(|found| !found.is_empty()) {
        let essence = found.split(';').next().unwrap_or_default().trim();
        if !essence.eq_ignore_ascii_case(CONTENT_TYPE) {
            return refuse(format!("the content type is {found:?}, it must be {CONTENT_TYPE}"));
        }
    }
    match properties.content_encoding.as_deref() {
        None | Some("" | "identity" | "utf-8" | "UTF-8") => Ok(()),
        Some(found) => refuse(format!("the content encoding is {found:?}, none is supported")),
    }
}

fn find_route(kind: Option<&str>, queue: &str) -> Result<&'static Route, Refusal> {
    let known = || kinds_in(queue).map(|route| route.kind).collect::<Vec<_>>().join(", ");
    let Some(kind) = kind.filter(|kind| !kind.is_empty()) else {
        let text = format!("the property `type` is missing; {queue} takes {}", known());
        return Err(Refusal::new(Reason::UnknownType, text));
    };
    if let Some(route) = kinds_in(queue).find(|route| route.kind == kind) {
        return Ok(route);
    }
    let base = |kind: &str| kind.rsplit_once(".v").map(|(base, _)| base.to_owned());
    if let Some(route) = kinds_in(queue).find(|route| base(route.kind) == base(kind)) {
        let text = format!("the type is {kind:?}, the version understood is {}", route.kind);
        return Err(Refusal::new(Reason::UnsupportedVersion, text));
    }
    let text = format!("the type is {kind:?}; {queue} takes {}", known());
    Err(Refusal::new(Reason::UnknownType, text))
}

/// The broker guards who may use which routing key. A type that differs from its key would slip
/// past that guard, and so would an answer put into a queue directly; a client's own command may
/// be put there, as the management page does.
fn check_routing_key(delivery: &Delivery, route: &Route, queue: &str) -> Result<(), Refusal> {
    let origin = Past::of(delivery);
    let is_back_from_ladder = delivery.exchange == RETURN;
    let is_put_directly = delivery.exchange.is_empty()
        && delivery.routing_key == queue
        && route.sender == Party::Client;
    if origin.routing_key == route.kind || is_back_from_ladder || is_put_directly {
        return Ok(());
    }
    let text = format!(
        "the routing key is {:?} and the type {:?}; publish to {} with the type as routing key",
        origin.routing_key, route.kind, route.exchange
    );
    Err(Refusal::new(Reason::WrongRoute, text))
}

fn message_id(properties: &Properties) -> Result<MessageId, Refusal> {
    let Some(id) = properties.message_id.as_deref().filter(|id| !id.is_empty()) else {
        let text = "the property `message_id` is missing; set it to an id that is your own and \
                    stays the same when you send the message again";
        return Err(Refusal::new(Reason::MissingMessageId, text));
    };
    MessageId::new(id)
        .map_err(|problem| Refusal::new(Reason::InvalidMessageId, problem.to_string()))
}

fn context(properties: &Properties, at: Micros) -> Context {
    let trace = TraceParent::of(properties);
    let state = || properties.text_header(TRACESTATE).filter(|state| is_fit(state));
    let placed_at = properties.int_header(PLACED_AT).or(properties.int_header(SENT_AT));
    Context {
        trace,
        // Without a trace it means nothing.
        tracestate: trace.and_then(|_| state()).map(str::to_owned),
        is_followed: false,
        // A sender's clock is not trusted with the future.
        placed_at: Some(placed_at.map_or(at, |us| Micros(us).min(at))),
    }
}

/// Whether a `tracestate` may be handed on: what is in it is the vendors' business.
fn is_fit(state: &str) -> bool {
    state.len() <= STATE_BYTES_MAX && state.bytes().all(|byte| (32..127).contains(&byte))
}

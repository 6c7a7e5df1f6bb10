//! Spans in OpenTelemetry's form: the only place that knows its names and its protocol.

use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Link, SpanKind};
use opentelemetry_proto::tonic::trace::v1::status::StatusCode;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span as Otlp, Status};
use prost::Message;

use super::context::TraceParent;
use super::span::{Action, Carried, Span};
use crate::clock::Micros;

/// The conventions that the names below are of.
const SCHEMA: &str = "https://opentelemetry.io/schemas/1.42.0";
/// Flags: it is known whether the parent is another process's, and it is.
const PARENT_IS_REMOTE: u32 = 0x300;

/// The body of a request that exports `spans` of `resource`.
pub(super) fn encode(resource: &[(String, String)], spans: Vec<Span>) -> Vec<u8> {
    let attributes = resource.iter().map(|(name, value)| text(name, value.clone())).collect();
    let scope = InstrumentationScope {
        name: "orderly".to_owned(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        ..InstrumentationScope::default()
    };
    let request = ExportTraceServiceRequest {
        resource_spans: vec![ResourceSpans {
            resource: Some(Resource { attributes, ..Resource::default() }),
            scope_spans: vec![ScopeSpans {
                scope: Some(scope),
                spans: spans.into_iter().map(otlp).collect(),
                schema_url: SCHEMA.to_owned(),
            }],
            schema_url: SCHEMA.to_owned(),
        }],
    };
    request.encode_to_vec()
}

fn otlp(span: Span) -> Otlp {
    let Told { name, kind, mut attributes } = tell(span.action);
    attributes.extend(span.error.map(|error| text("error.type", error)));
    let status = span
        .error
        .map(|error| Status { message: error.to_owned(), code: StatusCode::Error.into() });
    Otlp {
        trace_id: span.place.trace.bytes().to_vec(),
        span_id: span.place.span.bytes().to_vec(),
        parent_span_id: span.parent.map(|id| id.bytes().to_vec()).unwrap_or_default(),
        trace_state: span.state.unwrap_or_default(),
        flags: flags(span.place, kind == SpanKind::Consumer),
        name,
        kind: kind.into(),
        start_time_unix_nano: nanos(span.began),
        end_time_unix_nano: nanos(span.ended.max(span.began)),
        attributes,
        links: span.links.into_iter().map(link).collect(),
        status,
        ..Otlp::default()
    }
}

/// What an action is called.
struct Told {
    name: String,
    kind: SpanKind,
    attributes: Vec<KeyValue>,
}

fn tell(action: Action) -> Told {
    match action {
        Action::Publish(message) => {
            let destination = destination(&[&message.exchange, &message.routing_key]);
            let mut attributes = messaging("publish", "send", destination.clone());
            attributes.extend(carried(message));
            Told { name: format!("publish {destination}"), kind: SpanKind::Producer, attributes }
        }
        Action::Process { queue, message, outcome, attempts } => {
            let destination = destination(&[&message.exchange, &message.routing_key, queue]);
            let mut attributes = messaging("process", "process", destination);
            attributes.extend(carried(message));
            attributes.push(text("orderly.outcome", outcome));
            attributes.push(number("orderly.attempts", attempts.into()));
            Told { name: format!("process {queue}"), kind: SpanKind::Consumer, attributes }
        }
        Action::Transact { queue, batch, messages } => {
            let mut attributes = messaging("transact", "process", queue.to_owned());
            let count = i64::try_from(messages).unwrap_or(i64::MAX);
            attributes.push(number("messaging.batch.message_count", count));
            attributes.push(text("orderly.batch", batch.to_string()));
            Told { name: format!("transact {queue}"), kind: SpanKind::Internal, attributes }
        }
        Action::Fire { owner, step } => {
            let name = format!("fire {step}");
            let attributes = vec![
                text("orderly.timer.step", step),
                text("messaging.message.conversation_id", owner),
            ];
            Told { name, kind: SpanKind::Internal, attributes }
        }
    }
}

fn messaging(name: &str, kind: &str, destination: String) -> Vec<KeyValue> {
    vec![
        text("messaging.system", "rabbitmq"),
        text("messaging.operation.name", name),
        text("messaging.operation.type", kind),
        text("messaging.destination.name", destination),
    ]
}

fn carried(message: Carried) -> impl Iterator<Item = KeyValue> {
    let Carried { routing_key, id, about, bytes, .. } = message;
    let about = about.map(|about| text("messaging.message.conversation_id", about));
    [
        text("messaging.rabbitmq.destination.routing_key", routing_key),
        text("messaging.message.id", id),
        number("messaging.message.body.size", i64::try_from(bytes).unwrap_or(i64::MAX)),
    ]
    .into_iter()
    .chain(about)
}

/// `exchange:key:queue`, without what is empty or said already.
fn destination(parts: &[&str]) -> String {
    let mut said: Vec<&str> = Vec::with_capacity(parts.len());
    for part in parts.iter().filter(|part| !part.is_empty()) {
        if !said.contains(part) {
            said.push(part);
        }
    }
    said.join(":")
}

fn link(place: TraceParent) -> Link {
    Link {
        trace_id: place.trace.bytes().to_vec(),
        span_id: place.span.bytes().to_vec(),
        flags: flags(place, true),
        ..Link::default()
    }
}

fn flags(place: TraceParent, is_remote: bool) -> u32 {
    u32::from(place.flags()) | if is_remote { PARENT_IS_REMOTE } else { 0 }
}

fn text(key: &str, value: impl Into<String>) -> KeyValue {
    attribute(key, Value::StringValue(value.into()))
}

fn number(key: &str, value: i64) -> KeyValue {
    attribute(key, Value::IntValue(value))
}

fn attribute(key: &str, value: Value) -> KeyValue {
    let value = Some(AnyValue { value: Some(value) });
    KeyValue { key: key.to_owned(), value, ..KeyValue::default() }
}

fn nanos(moment: Micros) -> u64 {
    u64::try_from(moment.0).unwrap_or_default().saturating_mul(1_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_destination_says_nothing_twice_and_nothing_empty() {
        assert_eq!(destination(&["events", "order.placed", "stock"]), "events:order.placed:stock");
        assert_eq!(destination(&["", "stock", "stock"]), "stock");
    }
}

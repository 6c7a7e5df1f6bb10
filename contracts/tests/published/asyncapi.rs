//! The AsyncAPI document: every message, channel and operation, with its AMQP bindings.

use orderly_contracts::catalogue::{CATALOGUE, Entry};
use orderly_contracts::envelope::{
    ATTEMPTS, CAUSATION_ID, CONTENT_TYPE, HEADERS, PLACED_AT, SENT_AT, TRACEPARENT, TRACESTATE,
};
use orderly_contracts::routes::{Party, ROUTES, Route, kinds_in, route};
use orderly_contracts::text::MessageId;
use schemars::SchemaGenerator;
use schemars::generate::SchemaSettings;
use serde_json::{Map, Value, json};

use crate::files::sorted;

/// The newest version of the AMQP bindings that the specification knows.
const BINDING: &str = "0.3.0";

const DESCRIPTION: &str = "\
Order, stock and payment workers over RabbitMQ. Commands go to the topic exchange \
`orderly.commands`, events to `orderly.events`; the routing key is the message's type. Channels \
named like a message are routing keys, the others are the workers' queues. The catalogue beside \
this document, README.md, says the same in words.";

/// The whole document, keys sorted.
pub(crate) fn document() -> Value {
    let mut settings = SchemaSettings::draft07();
    settings.definitions_path = "/components/schemas".into();
    let mut generator = settings.into_generator();
    let messages = messages(&mut generator);
    let properties = properties(&mut generator);
    let mut schemas = generator.take_definitions(true);
    schemas.insert("Headers".to_owned(), headers());
    schemas.insert("Properties".to_owned(), properties);
    sorted(json!({
        "asyncapi": "3.0.0",
        "id": "urn:orderly:contracts",
        "info": {
            "title": "Orderly",
            "version": "1.0.0",
            "description": DESCRIPTION,
            "license": { "name": "MIT OR Apache-2.0" },
            "tags": parties().map(|(party, who)| json!({
                "name": party.name(), "description": who,
            })).collect::<Value>(),
        },
        "defaultContentType": CONTENT_TYPE,
        "servers": { "broker": {
            "host": "localhost:5672",
            "protocol": "amqp",
            "protocolVersion": "0.9.1",
            "description": "RabbitMQ 3.10 or newer.",
            "security": [{ "$ref": "#/components/securitySchemes/user" }],
        }},
        "channels": channels(),
        "operations": operations(),
        "components": {
            "messages": messages,
            "schemas": schemas,
            "securitySchemes": { "user": {
                "type": "userPassword",
                "description": "A RabbitMQ user with write access to the exchange.",
            }},
        },
    }))
}

fn parties() -> impl Iterator<Item = (Party, &'static str)> {
    [
        (Party::Client, "Anybody outside: a shop, an operator."),
        (Party::Order, "The order worker."),
        (Party::Stock, "The stock worker."),
        (Party::Payment, "The payment worker."),
    ]
    .into_iter()
}

fn the_route(entry: &Entry) -> &'static Route {
    route(entry.kind).expect("every message of the catalogue has a route")
}

/// The field of the body that holds the correlation: the order, or else the adjustment.
fn correlation_field(example: &Value) -> &'static str {
    match example.get("order_id") {
        Some(_) => "order_id",
        None => "adjustment_id",
    }
}

fn messages(generator: &mut SchemaGenerator) -> Map<String, Value> {
    let message = |entry: &Entry| {
        let example: Value =
            serde_json::from_slice(&entry.example()).expect("an example is written as JSON");
        let field = correlation_field(&example);
        let message = json!({
            "name": entry.kind,
            "title": entry.name,
            "summary": the_route(entry).summary,
            "contentType": CONTENT_TYPE,
            "headers": { "$ref": "#/components/schemas/Headers" },
            "payload": entry.schema_in(generator),
            "correlationId": {
                "location": format!("$message.payload#/{field}"),
                "description": "The same value goes into the AMQP property correlation_id.",
            },
            "bindings": { "amqp": { "messageType": entry.kind, "bindingVersion": BINDING } },
            "x-amqp-properties": { "$ref": "#/components/schemas/Properties" },
            "examples": [{
                "name": "golden",
                "summary": format!("The frozen example, golden/{}.json.", entry.kind),
                "headers": header_example(),
                "payload": example,
            }],
        });
        (entry.kind.to_owned(), message)
    };
    CATALOGUE.iter().map(message).collect()
}

fn header_example() -> Value {
    json!({
        TRACEPARENT: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        TRACESTATE: "vendor=1",
        CAUSATION_ID: "0190f5c2-7d1e-7b3a-9c55-3f0b6a2d4e11",
        SENT_AT: 1_291_191_960_250_000_i64,
        PLACED_AT: 1_291_191_960_000_000_i64,
        ATTEMPTS: 0,
    })
}

fn headers() -> Value {
    let property = |header: &orderly_contracts::envelope::Header| {
        let schema = if header.is_integer {
            json!({ "type": "integer", "minimum": 0, "description": header.meaning })
        } else {
            json!({ "type": "string", "description": header.meaning })
        };
        (header.name.to_owned(), schema)
    };
    json!({
        "type": "object",
        "description": "The AMQP headers. All are optional; unknown ones are accepted.",
        "properties": HEADERS.iter().map(property).collect::<Map<_, _>>(),
    })
}

fn properties(generator: &mut SchemaGenerator) -> Value {
    json!({
        "type": "object",
        "description": "The AMQP properties beside the headers.",
        "required": ["type", "message_id"],
        "properties": {
            "content_type": { "const": CONTENT_TYPE },
            "type": { "type": "string", "description": "The name of the message." },
            "message_id": generator.subschema_for::<MessageId>(),
            "correlation_id": {
                "type": "string", "description": "The order, or the adjustment.",
            },
            "timestamp": { "type": "integer", "description": "Seconds since 1970-01-01 UTC." },
            "delivery_mode": { "const": 2, "description": "Persistent." },
            "app_id": { "type": "string", "description": "Who sends it, for people." },
        },
    })
}

fn channels() -> Map<String, Value> {
    let keys = ROUTES.iter().map(|route| {
        let channel = json!({
            "address": route.kind,
            "summary": route.summary,
            "messages": reference_to_messages([route]),
            "bindings": { "amqp": {
                "is": "routingKey",
                "exchange": {
                    "name": route.exchange, "type": "topic", "durable": true,
                    "autoDelete": false, "vhost": "/",
                },
                "bindingVersion": BINDING,
            }},
        });
        (route.kind.to_owned(), channel)
    });
    let queues = queues().into_iter().map(|(party, queue)| {
        let channel = json!({
            "address": queue,
            "summary": format!("A quorum queue, consumed by the {party} worker."),
            "messages": reference_to_messages(kinds_in(queue)),
            "bindings": { "amqp": {
                "is": "queue",
                "queue": {
                    "name": queue, "durable": true, "exclusive": false,
                    "autoDelete": false, "vhost": "/",
                },
                "bindingVersion": BINDING,
            }},
        });
        (queue.to_owned(), channel)
    });
    keys.chain(queues).collect()
}

/// The queues with their consumers, each once, in the order of the routing table.
pub(crate) fn queues() -> Vec<(Party, &'static str)> {
    let mut queues = Vec::new();
    for consumer in ROUTES.iter().filter_map(|route| route.consumer) {
        if !queues.contains(&consumer) {
            queues.push(consumer);
        }
    }
    queues
}

fn reference_to_messages<'a>(routes: impl IntoIterator<Item = &'a Route>) -> Map<String, Value> {
    let reference = |route: &Route| {
        let target = format!("#/components/messages/{}", route.kind);
        (route.kind.to_owned(), json!({ "$ref": target }))
    };
    routes.into_iter().map(reference).collect()
}

fn operations() -> Map<String, Value> {
    let sends = ROUTES.iter().map(|route| {
        let operation = json!({
            "action": "send",
            "title": format!("{} sends {}", route.sender, route.kind),
            "summary": route.summary,
            "channel": { "$ref": format!("#/channels/{}", route.kind) },
            "messages": [{ "$ref": format!("#/channels/{0}/messages/{0}", route.kind) }],
            "tags": [{ "name": route.sender.name() }],
            "bindings": { "amqp": {
                "deliveryMode": 2,
                "mandatory": route.is_required(),
                "timestamp": true,
                "bindingVersion": BINDING,
            }},
        });
        (format!("{}.send.{}", route.sender, route.kind), operation)
    });
    let receives = queues().into_iter().map(|(party, queue)| {
        let messages = kinds_in(queue)
            .map(|route| json!({ "$ref": format!("#/channels/{queue}/messages/{}", route.kind) }));
        let operation = json!({
            "action": "receive",
            "title": format!("{party} receives from {queue}"),
            "channel": { "$ref": format!("#/channels/{queue}") },
            "messages": messages.collect::<Value>(),
            "tags": [{ "name": party.name() }],
            "bindings": { "amqp": { "ack": true, "bindingVersion": BINDING } },
        });
        (format!("{party}.receive.{queue}"), operation)
    });
    sends.chain(receives).collect()
}

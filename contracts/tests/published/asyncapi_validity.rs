//! The AsyncAPI document is sound: by its own references and, where it is at hand, by the parser.

use std::env;
use std::process::Command;

use orderly_contracts::catalogue::{CATALOGUE, entry_of};
use orderly_contracts::routes::{ROUTES, route};
use serde_json::{Map, Value};

use crate::asyncapi::{document, queues};
use crate::files::place;

/// Names the folder `node_modules` that holds `@asyncapi/parser`.
const PARSER: &str = "ORDERLY_ASYNCAPI_PARSER";

fn target<'a>(document: &'a Value, reference: &Value) -> &'a Value {
    let reference = reference.as_str().expect("a reference is a text");
    let pointer = reference.strip_prefix('#').expect("references stay inside");
    let found = document.pointer(pointer);
    found.unwrap_or_else(|| panic!("{reference} leads nowhere"))
}

fn references<'a>(value: &'a Value, found: &mut Vec<&'a Value>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| references(item, found)),
        Value::Object(fields) => {
            found.extend(fields.get("$ref"));
            fields.values().for_each(|field| references(field, found));
        }
        _ => {}
    }
}

fn object<'a>(document: &'a Value, name: &str) -> &'a Map<String, Value> {
    document[name].as_object().expect("the part is an object")
}

#[test]
fn every_reference_of_the_document_leads_somewhere() {
    let document = document();
    let mut found = Vec::new();
    references(&document, &mut found);
    assert!(found.len() > 100, "only {} references", found.len());
    for reference in found {
        target(&document, reference);
    }
}

#[test]
fn every_operation_names_messages_of_its_own_channel() {
    let document = document();
    assert_eq!(document["asyncapi"], "3.0.0");
    let operations = object(&document, "operations");
    assert_eq!(operations.len(), ROUTES.len() + queues().len());
    for (name, operation) in operations {
        let channel = operation["channel"]["$ref"].as_str().unwrap();
        assert!(channel.starts_with("#/channels/"), "{name}");
        target(&document, &operation["channel"]["$ref"]);
        let messages = operation["messages"].as_array().unwrap();
        assert!(!messages.is_empty(), "{name} has no messages");
        for message in messages {
            let reference = message["$ref"].as_str().unwrap();
            let prefix = format!("{channel}/messages/");
            assert!(reference.starts_with(&prefix), "{name}: {reference}");
            let kind = &reference[prefix.len()..];
            assert_eq!(
                target(&document, &target(&document, &message["$ref"])["$ref"])["name"],
                kind
            );
        }
    }
}

#[test]
fn every_send_is_persistent_and_mandatory_where_the_system_needs_a_consumer() {
    let document = document();
    for way in ROUTES {
        let name = format!("{}.send.{}", way.sender, way.kind);
        let binding = &object(&document, "operations")[&name]["bindings"]["amqp"];
        assert_eq!(binding["deliveryMode"], 2, "{name}");
        assert_eq!(binding["mandatory"], way.is_required(), "{name}");
        let exchange = &object(&document, "channels")[way.kind]["bindings"]["amqp"]["exchange"];
        assert_eq!(exchange["name"], way.exchange, "{name}");
    }
}

#[test]
fn the_correlation_stands_in_the_body_where_the_document_says() {
    let document = document();
    for (kind, message) in object(&document["components"], "messages") {
        let entry = entry_of(kind).expect("every message is in the catalogue");
        assert!(route(kind).is_some());
        let location = message["correlationId"]["location"].as_str().unwrap();
        let pointer = location.strip_prefix("$message.payload#").unwrap();
        let body: Value = serde_json::from_slice(&entry.example()).unwrap();
        let reading = entry.read(&entry.example()).unwrap();
        assert_eq!(body.pointer(pointer).unwrap(), reading.correlation.as_str());
    }
}

#[test]
fn every_payload_accepts_its_example_and_refuses_an_empty_object() {
    let document = document();
    for entry in CATALOGUE {
        let message = &document["components"]["messages"][entry.kind];
        let schema = serde_json::json!({
            "$schema": "http://json-schema.org/draft-07/schema#",
            "allOf": [message["payload"]],
            "components": document["components"],
        });
        let validator = jsonschema::validator_for(&schema).unwrap();
        assert!(validator.is_valid(&message["examples"][0]["payload"]), "{entry:?}");
        assert!(!validator.is_valid(&serde_json::json!({})), "{entry:?}");
    }
}

#[test]
fn the_asyncapi_parser_finds_nothing_to_complain_about_where_it_is_installed() {
    let Some(modules) = env::var_os(PARSER) else {
        eprintln!("not run: {PARSER} names no node_modules with @asyncapi/parser");
        return;
    };
    let script = "
        const { Parser, fromFile } = require('@asyncapi/parser');
        const parser = new Parser();
        fromFile(parser, process.argv[1]).parse().then(({ document, diagnostics }) => {
            const grave = diagnostics.filter(d => d.severity <= 1);
            for (const d of grave) console.error(d.code, d.path.join('.'), d.message);
            process.exit(document && grave.length === 0 ? 0 : 1);
        });";
    let output = Command::new("node")
        .arg("-e")
        .arg(script)
        .arg(place("asyncapi.json"))
        .env("NODE_PATH", modules)
        .output()
        .expect("node can be started");
    let complaints = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{complaints}");
}

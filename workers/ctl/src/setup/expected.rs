//! What has to be in effect on a queue, compared with what its arguments and policies make of it.

use std::collections::BTreeMap;

use orderly_runtime::amqp::declare::arguments;
use orderly_runtime::message::HeaderValue;
use orderly_runtime::topology::{Queue, Role};
use serde_json::{Map, Value};

/// Everything that decides where messages go and whether they can get lost. A policy may set these
/// on a queue that was declared without them, too.
const WATCHED: [&str; 7] = [
    "delivery-limit",
    "overflow",
    "dead-letter-exchange",
    "dead-letter-routing-key",
    "dead-letter-strategy",
    "message-ttl",
    "expires",
];

/// What the arguments of `queue` ask for, as JSON has it.
pub(super) fn expected(queue: &Queue) -> BTreeMap<String, Value> {
    let to_json = |value: HeaderValue| match value {
        HeaderValue::I64(number) => Value::from(number),
        HeaderValue::Text(text) => Value::from(text),
        _ => Value::Null,
    };
    declared(queue)
        .into_iter()
        .map(|(name, value)| (name.to_owned(), to_json(value)))
        .collect()
}

/// What is wrong with `queue`, given the management API's word on it.
pub(super) fn differences(queue: &Queue, found: &Value) -> Vec<String> {
    let empty = Map::new();
    let map = |name: &str| found[name].as_object().unwrap_or(&empty);
    let (own, policy) = (map("arguments"), map("effective_policy_definition"));
    let wanted = expected(queue);
    let mut problems = Vec::new();
    let kind = found["type"].as_str().unwrap_or("unknown");
    if kind != "quorum" {
        problems.push(format!("queue {}: its type is {kind}, not quorum", queue.name));
    }
    for name in WATCHED {
        let wanted = wanted.get(&format!("x-{name}"));
        let own = own.get(&format!("x-{name}"));
        let effective = in_effect(own, policy.get(name));
        if effective != wanted {
            let by = match (effective == own, found["policy"].as_str()) {
                (true, _) => String::new(),
                (false, Some(policy)) => format!(" by the policy {policy}"),
                (false, None) => " by a policy".to_owned(),
            };
            let (is, not) = (word(effective), word(wanted));
            let queue = &queue.name;
            problems.push(format!("queue {queue}: {name} is {is}{by}, but has to be {not}"));
        }
    }
    problems
}

/// Between an argument and a policy, RabbitMQ takes the smaller number, and else the argument.
fn in_effect<'a>(own: Option<&'a Value>, policy: Option<&'a Value>) -> Option<&'a Value> {
    match (own, policy) {
        (Some(own), Some(policy)) => match (own.as_i64(), policy.as_i64()) {
            (Some(number), Some(other)) if other < number => Some(policy),
            _ => Some(own),
        },
        (own, policy) => own.or(policy),
    }
}

fn word(value: Option<&Value>) -> String {
    match value {
        None => "unset".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    }
}

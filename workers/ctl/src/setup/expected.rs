//! What has to be in effect on a queue, compared with what its arguments and policies make of it.

use std::collections::BTreeMap;

use orderly_runtime::amqp::declare::arguments;
use orderly_runtime::topology::Queue;
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

/// What the arguments of `queue` ask for, as JSON has it: all of them are texts or whole numbers.
pub(crate) fn expected(queue: &Queue) -> BTreeMap<&'static str, Value> {
    let to_json = |value: Option<i64>, text: Option<String>| match (value, text) {
        (Some(number), _) => Value::from(number),
        (None, text) => text.map_or(Value::Null, Value::from),
    };
    arguments(queue)
        .into_iter()
        .map(|(name, value)| {
            let text = value.as_long_string().map(ToString::to_string);
            (name, to_json(value.as_long_long_int(), text))
        })
        .collect()
}

/// What is wrong with `queue`, given the management API's word on it.
pub(crate) fn differences(queue: &Queue, found: &Value) -> Vec<String> {
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
        let wanted = wanted.get(format!("x-{name}").as_str());
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

/// The number that a queue's argument or a policy sets for `name`, if any does.
pub(crate) fn effective_number(found: &Value, name: &str) -> Option<u64> {
    let own = found["arguments"].get(format!("x-{name}"));
    in_effect(own, found["effective_policy_definition"].get(name))?.as_u64()
}

fn word(value: Option<&Value>) -> String {
    match value {
        None => "unset".to_owned(),
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use orderly_contracts::routes::Party;
    use orderly_runtime::retry::Ladder;
    use orderly_runtime::topology::queues;
    use serde_json::json;

    use super::*;

    fn found(queue: &Queue, policy: Value) -> Value {
        json!({
            "type": "quorum", "policy": "p", "arguments": expected(queue),
            "effective_policy_definition": policy,
        })
    }

    #[test]
    fn a_policy_counts_where_the_broker_lets_it_count() {
        let all = queues(Party::Order, &Ladder::default());
        let table = [
            (json!({}), 0),
            (json!({"delivery-limit": 5}), 1),
            (json!({"delivery-limit": 1_000_000}), 0),
            (json!({"overflow": "drop-head"}), 0),
            (json!({"message-ttl": 1000, "expires": 1000}), 2),
            (json!({"max-length": 10}), 0),
        ];
        for (policy, problems) in table {
            let said = differences(&all[0], &found(&all[0], policy.clone()));
            assert_eq!(said.len(), problems, "{policy}: {said:?}");
        }
    }

    #[test]
    fn a_retry_queue_must_keep_the_routing_key() {
        let all = queues(Party::Order, &Ladder::default());
        let is_retry = |queue: &&Queue| queue.name.contains(".retry.");
        let queue = all.iter().find(is_retry).unwrap();
        let policy = json!({"dead-letter-routing-key": "x"});
        let said = differences(queue, &found(queue, policy));
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].contains("x by the policy p, but has to be unset"), "{said:?}");
    }

    #[test]
    fn another_type_is_named() {
        let all = queues(Party::Order, &Ladder::default());
        let mut classic = found(&all[0], json!({}));
        classic["type"] = json!("classic");
        assert!(differences(&all[0], &classic)[0].contains("classic, not quorum"));
    }
}

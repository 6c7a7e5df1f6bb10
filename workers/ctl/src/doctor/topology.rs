//! Exchanges, queues and bindings against the code, with what policies make of them.

use std::collections::BTreeSet;

use orderly_runtime::topology::{EXCHANGES, Queue};
use serde_json::Value;

use super::finding::{Finding, or_ok};
use super::reading::Reading;
use crate::look::Look;
use crate::setup::effects::{Binding, bindings, bindings_of};
use crate::setup::expected::{differences, effective_number};

const SETUP: &str = "orderly setup";
/// Above so much of its limit a queue is about to refuse messages.
const FULL_PERCENT: u64 = 80;

/// Everything about the topology.
pub(super) fn check(reading: &Reading) -> Vec<Finding> {
    let mut findings = vec![];
    let missing = missing(reading);
    findings.extend(missing.iter().map(|name| {
        let text = format!("queue {name} is missing: messages for it come back to their senders");
        Finding::failure("topology.queues", text, SETUP)
    }));
    let Some(management) = &reading.management else {
        if missing.is_empty() && reading.amqp.is_ok() {
            let text = format!("all {} are there", reading.topology.len());
            findings.push(Finding::ok("topology.queues", text));
        }
        return findings;
    };
    // A queue that is missing has no bindings either, and one word about it is enough.
    let is_present = |queue: &&Queue| !missing.contains(&queue.name);
    let present: Vec<Queue> = reading.topology.iter().filter(is_present).cloned().collect();
    findings.extend(exchanges(&management.exchanges));
    match &management.queues {
        Ok(found) => findings.extend(queues(reading, &present, found)),
        Err(error) => findings.push(unreadable("topology.queues", error)),
    }
    match &management.bindings {
        Ok(found) => findings.extend(bound(&present, &missing, found)),
        Err(error) => findings.push(unreadable("topology.bindings", error)),
    }
    findings
}

fn unreadable(check: &str, error: &str) -> Finding {
    Finding::unknown(check, error, "see broker.management")
}

/// Queues that are not there, by whoever could be asked.
fn missing(reading: &Reading) -> BTreeSet<String> {
    let by_amqp = reading.amqp.iter().flat_map(|amqp| &amqp.depths);
    let mut missing: BTreeSet<String> =
        by_amqp.filter(|(_, depth)| depth.is_none()).map(|(name, _)| name.clone()).collect();
    if reading.amqp.is_err()
        && let Some(Ok(found)) = reading.management.as_ref().map(|it| &it.queues)
    {
        let found = named(found);
        let absent = reading.topology.iter().filter(|queue| !found.contains(queue.name.as_str()));
        missing.extend(absent.map(|queue| queue.name.clone()));
    }
    missing
}

fn named(document: &Value) -> BTreeSet<&str> {
    document.as_array().into_iter().flatten().filter_map(|one| one["name"].as_str()).collect()
}

fn exchanges(found: &Look<Value>) -> Vec<Finding> {
    let check = "topology.exchanges";
    let found = match found {
        Ok(found) => found.as_array().map(Vec::as_slice).unwrap_or_default(),
        Err(error) => return vec![unreadable(check, error)],
    };
    let problems = EXCHANGES.iter().filter_map(|exchange| {
        let name = exchange.name;
        let Some(one) = found.iter().find(|one| one["name"] == name) else {
            let text = format!("exchange {name} is missing");
            return Some(Finding::failure(check, text, SETUP));
        };
        let kind = one["type"].as_str().unwrap_or("unknown");
        (kind != exchange.kind || one["durable"] == false).then(|| {
            let durable = if one["durable"] == false { "not durable, " } else { "" };
            let text = format!("exchange {name} is {durable}{kind}, not {}", exchange.kind);
            let mend = "stop the workers, delete it on the management page, then: orderly setup";
            Finding::failure(check, text, mend)
        })
    });
    or_ok(problems.collect(), check, format!("all {} are as the code wants them", EXCHANGES.len()))
}

fn queues(reading: &Reading, topology: &[Queue], found: &Value) -> Vec<Finding> {
    let vhost = reading.vhost.as_str();
    let are_all_there = topology.len() == reading.topology.len();
    let mut problems = Vec::new();
    for one in found.as_array().into_iter().flatten() {
        let Some(queue) = topology.iter().find(|queue| one["name"] == queue.name.as_str()) else {
            continue;
        };
        problems.extend(differences(queue, one).into_iter().map(|text| {
            let mend = mend(vhost, queue, &text, one["policy"].as_str());
            Finding::failure("topology.limits", text, mend)
        }));
        problems.extend(unwell(vhost, queue, one));
        problems.extend(nearly_full(vhost, queue, one));
    }
    let is_limits = |it: &Finding| it.check == "topology.limits";
    if !problems.iter().any(is_limits) {
        let text = "arguments and policies are in effect as the code wants them";
        problems.push(Finding::ok("topology.limits", text));
    }
    if are_all_there && !problems.iter().any(|it| it.check == "topology.queues") {
        let text = format!("all {} are there and running", topology.len());
        problems.push(Finding::ok("topology.queues", text));
    }
    problems
}

fn mend(vhost: &str, queue: &Queue, problem: &str, policy: Option<&str>) -> String {
    match policy.filter(|_| problem.contains("policy")) {
        Some(policy) => format!("rabbitmqctl clear_policy -p {vhost} {policy}, or change it"),
        None => format!(
            "let the workers empty it, then: rabbitmqctl delete_queue -p {vhost} {}; orderly setup",
            queue.name
        ),
    }
}

/// A queue that is there and does not work, or that has lost some of its copies.
fn unwell(vhost: &str, queue: &Queue, found: &Value) -> Option<Finding> {
    let (check, name) = ("topology.queues", &queue.name);
    if let Some(state @ ("down" | "minority" | "crashed" | "stopped")) = found["state"].as_str() {
        let text = format!("queue {name} is {state}");
        let mend = format!("rabbitmq-queues quorum_status -p {vhost} {name}");
        return Some(Finding::failure(check, text, mend));
    }
    let count = |field: &str| found[field].as_array().map(Vec::len);
    let (online, members) = (count("online")?, count("members")?);
    (online < members).then(|| {
        let text = format!("queue {name} has {online} of its {members} copies");
        Finding::warning(check, text, "rabbitmqctl cluster_status; start the node that is away")
    })
}

/// A queue with a limit of its length, which publishers are about to meet.
fn nearly_full(vhost: &str, queue: &Queue, found: &Value) -> Option<Finding> {
    let check = "topology.limits";
    let kinds =
        [("max-length", "messages", "messages"), ("max-length-bytes", "message_bytes", "bytes")];
    kinds.into_iter().find_map(|(limit, field, unit)| {
        let most = effective_number(found, limit)?.max(1);
        let has = found[field].as_u64()?;
        let percent = has.saturating_mul(100) / most;
        let text = format!("queue {}: {has} of at most {most} {unit}", queue.name);
        let mend = format!("raise the policy's limit: rabbitmqctl list_policies -p {vhost}");
        match percent {
            100.. => Some(Finding::failure(check, text + ", new ones are refused", mend)),
            FULL_PERCENT.. => Some(Finding::warning(check, text, mend)),
            _ => None,
        }
    })
}

fn bound(topology: &[Queue], missing: &BTreeSet<String>, found: &Value) -> Vec<Finding> {
    // Every queue is bound to the default exchange, which has no name.
    let is_told = |(exchange, _, queue): &Binding| !exchange.is_empty() && !missing.contains(queue);
    let found = bindings_of(found).filter(is_told).collect();
    let problems = bindings(topology, &found).into_iter().map(|text| {
        let mend = match text.ends_with("is missing") {
            true => SETUP,
            false => "unbind it on the management page, under the queue's bindings",
        };
        Finding::failure("topology.bindings", text, mend)
    });
    let count: usize = topology.iter().map(|queue| queue.bindings.len()).sum();
    or_ok(problems.collect(), "topology.bindings", format!("all {count} are there, and no others"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::finding::State;
    use super::super::sample;
    use super::*;

    /// What `change` makes of a healthy system: checks that are not ok, and what they say.
    fn wrong(change: impl FnOnce(&mut Reading)) -> Vec<(String, State, String)> {
        let mut reading = sample::healthy();
        change(&mut reading);
        let wrong = check(&reading).into_iter().filter(|it| it.state != State::Ok);
        wrong
            .map(|it| (it.check, it.state, format!("{} | {}", it.text, it.mend.unwrap())))
            .collect()
    }

    fn queue<'a>(reading: &'a mut Reading, name: &str) -> &'a mut Value {
        let all = reading.management.as_mut().unwrap().queues.as_mut().unwrap();
        let all = all.as_array_mut().unwrap();
        all.iter_mut().find(|one| one["name"] == name).unwrap()
    }

    #[test]
    fn a_healthy_topology_has_nothing_wrong() {
        assert_eq!(wrong(|_| {}), []);
    }

    #[test]
    fn a_missing_queue_is_named_once() {
        let said = wrong(|reading| {
            let depths = &mut reading.amqp.as_mut().unwrap().depths;
            depths.insert("stock.settle".to_owned(), None);
        });
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].2.contains("stock.settle") && said[0].2.ends_with("orderly setup"));
        let without_amqp = wrong(|reading| {
            reading.amqp = Err("away".to_owned());
            *queue(reading, "stock.settle") = json!({"name": "other"});
        });
        assert_eq!(without_amqp.len(), 1, "{without_amqp:?}");
    }

    #[test]
    fn a_missing_binding_and_one_too_many_are_named() {
        let said = wrong(|reading| {
            let bindings = reading.management.as_mut().unwrap().bindings.as_mut().unwrap();
            let bindings = bindings.as_array_mut().unwrap();
            bindings.retain(|one| one["routing_key"] != "order.place.v1");
            bindings.push(json!({
                "source": "orderly.dead", "routing_key": "x", "destination": "mine",
            }));
        });
        assert_eq!(said.len(), 2, "{said:?}");
        assert!(said[0].2.contains("order.place.v1 is missing | orderly setup"), "{said:?}");
        assert!(said[1].2.contains("queue mine") && said[1].2.contains("unbind"), "{said:?}");
    }

    #[test]
    fn a_missing_exchange_and_one_of_another_kind_are_named() {
        let said = wrong(|reading| {
            let found = reading.management.as_mut().unwrap().exchanges.as_mut().unwrap();
            let found = found.as_array_mut().unwrap();
            found.retain(|one| one["name"] != "orderly.retry");
            found[0]["type"] = json!("fanout");
        });
        assert_eq!(said.len(), 2, "{said:?}");
    }

    #[test]
    fn a_policy_in_the_way_is_named_with_its_cure() {
        let said = wrong(|reading| {
            let found = queue(reading, "order.new");
            found["policy"] = json!("short");
            found["effective_policy_definition"] = json!({"delivery-limit": 5});
        });
        assert_eq!(said.len(), 1, "{said:?}");
        assert!(said[0].2.contains("rabbitmqctl clear_policy -p orderly short"), "{said:?}");
    }

    #[test]
    fn a_queue_that_is_nearly_full_down_or_short_of_copies_is_named() {
        let table = [
            (
                json!({"effective_policy_definition": {"max-length": 10}, "messages": 8}),
                State::Warning,
            ),
            (
                json!({"effective_policy_definition": {"max-length": 10}, "messages": 10}),
                State::Failure,
            ),
            (json!({"state": "minority"}), State::Failure),
            (json!({"members": ["a", "b", "c"], "online": ["a", "b"]}), State::Warning),
        ];
        for (change, state) in table {
            let said = wrong(|reading| {
                for (name, value) in change.as_object().unwrap() {
                    queue(reading, "order.new")[name] = value.clone();
                }
            });
            let states: Vec<_> = said.iter().map(|it| it.1).collect();
            assert_eq!(states, [state], "{change}: {said:?}");
        }
    }
}

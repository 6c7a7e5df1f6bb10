//! The broker itself: can it be reached, is it short of anything, is its clock right.

use serde_json::Value;

use super::clock;
use super::finding::{Finding, or_ok};
use super::reading::{Management, Reading};
use crate::look::Look;

/// Above so much of a limit, somebody should look.
const HIGH_PERCENT: u64 = 80;
/// Less than this is little for a broker, wherever its alarm is set.
const DISK_LITTLE: u64 = 1 << 30;

const MANAGEMENT_AWAY: &str =
    "check ORDERLY_MANAGEMENT_URL; the user needs the tag `monitoring`: rabbitmqctl set_user_tags";

/// Everything about the broker itself.
pub(super) fn check(reading: &Reading) -> Vec<Finding> {
    let mut findings = vec![amqp(reading)];
    let Some(management) = &reading.management else {
        findings.push(Finding::unknown(
            "broker.management",
            "policies, bindings, alarms and headroom can't be looked at: its address is not set",
            "export ORDERLY_MANAGEMENT_URL=http://user:password@host:15672",
        ));
        return findings;
    };
    findings.extend(overview(management));
    findings.extend(nodes(&management.nodes));
    findings
}

fn amqp(reading: &Reading) -> Finding {
    let check = "broker.amqp";
    let place = &reading.broker;
    match &reading.amqp {
        Ok(amqp) => Finding::ok(check, format!("{place} lets us in, after {:.0?}", amqp.login)),
        Err(error) => Finding::failure(check, error, mend_of_login(error, &reading.vhost)),
    }
}

fn mend_of_login(error: &str, vhost: &str) -> String {
    if error.contains("refuses user") || error.contains("has no vhost") {
        return format!(
            "check ORDERLY_BROKER_URL and its password file; on the broker: rabbitmqctl \
             list_permissions -p {vhost}"
        );
    }
    "on the broker's machine: rabbitmq-diagnostics check_running; from here, check \
     ORDERLY_BROKER_URL and the way there"
        .to_owned()
}

fn overview(management: &Management) -> Vec<Finding> {
    let check = "broker.management";
    match &management.overview {
        Err(error) => vec![Finding::unknown(check, error, MANAGEMENT_AWAY)],
        Ok((document, ahead)) => {
            let version = document["rabbitmq_version"].as_str().unwrap_or("unknown");
            let mut findings = vec![Finding::ok(check, format!("RabbitMQ {version} answers"))];
            findings.extend(ahead.map(|ahead| clock::check("broker.clock", "the broker", ahead)));
            findings
        }
    }
}

fn nodes(nodes: &Look<Value>) -> Vec<Finding> {
    let nodes = match nodes {
        Ok(nodes) => nodes.as_array().map(Vec::as_slice).unwrap_or_default(),
        Err(error) => return vec![Finding::unknown("broker.nodes", error, MANAGEMENT_AWAY)],
    };
    nodes.iter().flat_map(node).collect()
}

fn node(node: &Value) -> Vec<Finding> {
    let name = node["name"].as_str().unwrap_or("a node");
    if node["running"] == false {
        let text = format!("{name} is not running");
        return vec![Finding::failure("broker.nodes", text, "rabbitmqctl cluster_status")];
    }
    let mut findings = Vec::new();
    if node["partitions"].as_array().is_some_and(|others| !others.is_empty()) {
        let text = format!("{name} does not see all of its cluster: {}", node["partitions"]);
        findings.push(Finding::failure("broker.nodes", text, "rabbitmqctl cluster_status"));
    }
    findings.extend(alarms(name, node));
    findings.extend(headroom(name, node));
    findings
}

fn alarms(name: &str, node: &Value) -> Vec<Finding> {
    let check = "broker.alarms";
    let said = [
        ("mem_alarm", "memory", "rabbitmq-diagnostics memory_breakdown"),
        ("disk_free_alarm", "disk", "make room on the disk of the broker's data: df -h"),
    ];
    let raised = said.into_iter().filter(|(flag, ..)| node[flag] == true);
    let problems = raised.map(|(_, what, mend)| {
        let text = format!("{name} is short of {what}: publishers are blocked, workers wait");
        Finding::failure(check, text, mend)
    });
    or_ok(problems.collect(), check, format!("{name} raises none"))
}

fn headroom(name: &str, node: &Value) -> Vec<Finding> {
    let number = |field: &str| node[field].as_u64();
    let mut findings = Vec::new();
    let shares = [
        (
            "broker.memory",
            "memory",
            "mem_used",
            "mem_limit",
            "rabbitmq-diagnostics memory_breakdown",
        ),
        ("broker.files", "file handles", "fd_used", "fd_total", "raise the broker's LimitNOFILE"),
    ];
    for (check, what, used, limit, mend) in shares {
        let (Some(used), Some(limit)) = (number(used), number(limit)) else { continue };
        let percent = used.saturating_mul(100) / limit.max(1);
        let text = format!("{name} uses {percent} % of the {what} it may");
        findings.push(match percent {
            HIGH_PERCENT.. => Finding::warning(check, text, mend),
            _ => Finding::ok(check, text),
        });
    }
    if let (Some(free), Some(limit)) = (number("disk_free"), number("disk_free_limit")) {
        let check = "broker.disk";
        let mib = |bytes: u64| bytes >> 20;
        let text = format!("{name} has {} MiB free, and blocks below {}", mib(free), mib(limit));
        findings.push(if free < (2 * limit).max(DISK_LITTLE) {
            Finding::warning(check, text, "make room on the disk of the broker's data: df -h")
        } else {
            Finding::ok(check, text)
        });
    }
    findings
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::finding::State;
    use super::super::sample;
    use super::*;

    fn worst(findings: &[Finding]) -> Vec<(&str, State)> {
        let wrong = findings.iter().filter(|it| it.state != State::Ok);
        wrong.map(|it| (it.check.as_str(), it.state)).collect()
    }

    #[test]
    fn a_healthy_broker_has_nothing_wrong() {
        let findings = check(&sample::healthy());
        assert_eq!(worst(&findings), [], "{findings:?}");
        let checks: Vec<_> = findings.iter().map(|it| it.check.as_str()).collect();
        for wanted in ["broker.amqp", "broker.management", "broker.clock", "broker.alarms"] {
            assert!(checks.contains(&wanted), "{checks:?}");
        }
    }

    #[test]
    fn what_a_node_is_short_of_is_named() {
        let table = [
            (json!({"mem_alarm": true}), "broker.alarms", State::Failure),
            (json!({"disk_free_alarm": true}), "broker.alarms", State::Failure),
            (json!({"mem_used": 80}), "broker.memory", State::Warning),
            (json!({"fd_used": 95}), "broker.files", State::Warning),
            (json!({"disk_free": 1u64 << 29}), "broker.disk", State::Warning),
            (json!({"disk_free_limit": 50u64 << 30}), "broker.disk", State::Warning),
            (json!({"running": false}), "broker.nodes", State::Failure),
            (json!({"partitions": ["rabbit@b"]}), "broker.nodes", State::Failure),
        ];
        for (change, wanted, state) in table {
            let mut node = sample::node();
            for (name, value) in change.as_object().unwrap() {
                node[name] = value.clone();
            }
            let findings = nodes(&Ok(json!([node])));
            assert_eq!(worst(&findings), [(wanted, state)], "{change}");
        }
    }

    #[test]
    fn a_broker_that_is_away_and_one_that_refuses_are_told_apart() {
        let mut reading = sample::healthy();
        reading.amqp = Err("no connection to b:5672: refused".to_owned());
        let away = amqp(&reading);
        reading.amqp = Err("b:5672 refuses user u: wrong password, or no right".to_owned());
        let refused = amqp(&reading);
        assert_eq!((away.state, refused.state), (State::Failure, State::Failure));
        assert!(away.mend.unwrap().contains("check_running"));
        assert!(refused.mend.unwrap().contains("password"));
    }

    #[test]
    fn a_management_api_that_is_unset_or_silent_is_said() {
        let mut reading = sample::healthy();
        reading.management = None;
        assert_eq!(worst(&check(&reading)), [("broker.management", State::Unknown)]);
        let silent = Err("no answer".to_owned());
        assert_eq!(worst(&nodes(&silent)), [("broker.nodes", State::Unknown)]);
    }
}

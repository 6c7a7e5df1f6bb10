//! What is in effect on the broker, compared with the topology of this program.

use std::collections::BTreeSet;

use anyhow::Result;
use orderly_runtime::topology::{DEAD, EXCHANGES, PARKED, Queue, RETRY, RETURN};
use serde_json::Value;

use super::expected::differences;
use crate::management::Management;

/// Exchange, routing key, queue.
pub(crate) type Binding = (String, String, String);

/// Everything that is not in effect as `topology` wants it.
pub(super) fn effects(management: &Management, topology: &[Queue]) -> Result<Vec<String>> {
    let vhost = management.vhost();
    let mut problems = Vec::new();
    for queue in topology {
        let found = management.get(&format!("/api/queues/{vhost}/{}", queue.name))?;
        problems.extend(differences(queue, &found));
    }
    let mut found = BTreeSet::new();
    for exchange in &EXCHANGES {
        let path = format!("/api/exchanges/{vhost}/{}/bindings/source", exchange.name);
        found.extend(bindings_of(&management.get(&path)?));
    }
    problems.extend(bindings(topology, &found));
    Ok(problems)
}

/// The bindings in an answer of the management API.
pub(crate) fn bindings_of(document: &Value) -> impl Iterator<Item = Binding> {
    document.as_array().into_iter().flatten().map(|binding| {
        let text = |name: &str| binding[name].as_str().unwrap_or_default().to_owned();
        (text("source"), text("routing_key"), text("destination"))
    })
}

/// Bindings that are missing, and those in the way: what another queue takes from our own
/// exchanges would be retried or filed twice, and what else a worker's queue takes is foreign.
pub(crate) fn bindings(topology: &[Queue], found: &BTreeSet<Binding>) -> Vec<String> {
    let wanted: BTreeSet<_> = topology
        .iter()
        .flat_map(|queue| {
            let each = |(exchange, key): &(&str, String)| {
                ((*exchange).to_owned(), key.clone(), queue.name.clone())
            };
            queue.bindings.iter().map(each)
        })
        .collect();
    let missing = wanted.difference(found).map(|(exchange, key, queue)| {
        format!("queue {queue}: the binding to {exchange} with {key} is missing")
    });
    let is_harmful = |(exchange, _, queue): &&Binding| {
        [RETRY, RETURN, DEAD, PARKED].contains(&exchange.as_str())
            || topology.iter().any(|one| one.name == *queue)
    };
    let foreign = found.difference(&wanted).filter(is_harmful);
    let foreign = foreign.map(|(exchange, key, queue)| {
        format!(
            "queue {queue}: is bound to {exchange} with {key}, perhaps from earlier settings; \
             unbind it, or messages come twice"
        )
    });
    missing.chain(foreign).collect()
}

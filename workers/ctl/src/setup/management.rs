//! The broker's management API, as far as it tells what is in effect.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use orderly_runtime::config::Address;
use orderly_runtime::topology::{DEAD, EXCHANGES, PARKED, Queue, RETRY, RETURN};
use secrecy::ExposeSecret;
use serde_json::Value;
use ureq::Agent;

use super::expected::differences;

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(10);

/// The virtual host that an address leads to.
pub(super) fn vhost(broker: &Address) -> String {
    let path = broker.url.path().trim_start_matches('/');
    if path.is_empty() { "%2F".to_owned() } else { path.to_owned() }
}

/// Everything that is not in effect as `topology` wants it. `vhost` is encoded for a URL.
pub(super) fn effects(api: &Address, vhost: &str, topology: &[Queue]) -> Result<Vec<String>> {
    let agent = Agent::new_with_config(
        Agent::config_builder().timeout_global(Some(LIMIT)).http_status_as_error(false).build(),
    );
    let get = |path: &str| get(&agent, api, path);
    let mut problems = Vec::new();
    for queue in topology {
        let found = get(&format!("/api/queues/{vhost}/{}", queue.name))?;
        problems.extend(differences(queue, &found));
    }
    let mut found = BTreeSet::new();
    for exchange in &EXCHANGES {
        let path = format!("/api/exchanges/{vhost}/{}/bindings/source", exchange.name);
        for binding in get(&path)?.as_array().into_iter().flatten() {
            let text = |name: &str| binding[name].as_str().unwrap_or_default().to_owned();
            found.insert((text("source"), text("routing_key"), text("destination")));
        }
    }
    problems.extend(bindings(topology, &found));
    Ok(problems)
}

/// Bindings that are missing, and those in the way: what another queue takes from our own
/// exchanges would be retried or filed twice, and what else a worker's queue takes is foreign.
fn bindings(topology: &[Queue], found: &BTreeSet<(String, String, String)>) -> Vec<String> {
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
    let is_harmful = |(exchange, _, queue): &&(String, String, String)| {
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

fn get(agent: &Agent, api: &Address, path: &str) -> Result<Value> {
    let mut url = api.url.clone();
    if let Some(password) = &api.password {
        // Refused only for URLs without a host, which the settings don't accept.
        let _ = url.set_password(Some(password.expose_secret()));
    }
    let base = url.as_str().trim_end_matches('/');
    let place = api.url.as_str().trim_end_matches('/');
    let failed = || format!("no answer from {place}{path}");
    let mut response = agent.get(format!("{base}{path}")).call().with_context(failed)?;
    let status = response.status();
    if !status.is_success() {
        bail!("{place}{path} answers {status}");
    }
    response.body_mut().read_json().with_context(failed)
}

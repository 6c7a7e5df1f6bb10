//! The broker's management API: what it knows of queues, connections and itself. Only reads.

use std::time::Duration;

use anyhow::{Context, Result, bail};
use orderly_contracts::routes::Party;
use orderly_runtime::config::Address;
use orderly_runtime::topology::WORKERS;
use secrecy::ExposeSecret;
use serde_json::Value;
use ureq::Agent;

/// A way to the management API of one virtual host.
#[derive(Clone)]
pub(crate) struct Management {
    agent: Agent,
    api: Address,
    vhost: String,
}

/// An answer, and what the broker's clock said then.
pub(crate) struct Answer {
    pub(crate) document: Value,
    /// The header `Date`, which is cut to seconds.
    pub(crate) date: Option<String>,
}

impl Management {
    /// Where `api` is, for the virtual host that `broker` leads to. No answer takes longer than
    /// `limit`.
    pub(crate) fn new(api: Address, broker: &Address, limit: Duration) -> Self {
        let config = Agent::config_builder().timeout_global(Some(limit));
        let agent = Agent::new_with_config(config.http_status_as_error(false).build());
        Self { agent, api, vhost: vhost(broker) }
    }

    /// The virtual host, encoded for a path.
    pub(crate) fn vhost(&self) -> &str {
        &self.vhost
    }

    /// The answer to a path such as `/api/nodes`.
    pub(crate) fn get(&self, path: &str) -> Result<Value> {
        self.ask(path).map(|answer| answer.document)
    }

    /// The same, with the broker's time.
    pub(crate) fn ask(&self, path: &str) -> Result<Answer> {
        let mut url = self.api.url.clone();
        if let Some(password) = &self.api.password {
            // Refused only for URLs without a host, which the settings don't accept.
            let _ = url.set_password(Some(password.expose_secret()));
        }
        let base = url.as_str().trim_end_matches('/');
        let place = self.api.url.as_str().trim_end_matches('/');
        let failed = || format!("no answer from {place}{path}");
        let mut response = self.agent.get(format!("{base}{path}")).call().with_context(failed)?;
        let status = response.status();
        if !status.is_success() {
            bail!("{place}{path} answers {status}");
        }
        let date = response.headers().get("date").and_then(|date| date.to_str().ok());
        let date = date.map(str::to_owned);
        let document = response.body_mut().read_json().with_context(failed)?;
        Ok(Answer { document, date })
    }
}

/// The virtual host that an address leads to, encoded for a path.
fn vhost(broker: &Address) -> String {
    let path = broker.url.path().trim_start_matches('/');
    if path.is_empty() { "%2F".to_owned() } else { path.to_owned() }
}

/// A worker's process, as its connection for consuming tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Replica {
    /// Which worker.
    pub(crate) party: Party,
    /// The version of its program.
    pub(crate) version: String,
}

/// The workers among the connections in an answer of the management API.
pub(crate) fn replicas(connections: &Value) -> Vec<Replica> {
    let names = connections.as_array().into_iter().flatten().filter_map(|connection| {
        let told = &connection["client_properties"]["connection_name"];
        told.as_str().or_else(|| connection["user_provided_name"].as_str())
    });
    names.filter_map(replica).collect()
}

/// `orderly-stock 0.1.0 consuming`; every worker has one connection of that kind.
fn replica(name: &str) -> Option<Replica> {
    let mut words = name.strip_prefix("orderly-")?.split(' ');
    let (party, version, purpose) = (words.next()?, words.next()?, words.next()?);
    let party = WORKERS.into_iter().find(|one| one.name() == party)?;
    (purpose == "consuming").then(|| Replica { party, version: version.to_owned() })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_worker_is_known_by_its_connection_for_consuming() {
        let connection = |name: &str| json!({"client_properties": {"connection_name": name}});
        let found = replicas(&json!([
            connection("orderly-stock 0.1.0 consuming"),
            connection("orderly-stock 0.1.0 publishing"),
            connection("orderly consuming"),
            connection("somebody"),
            {"user_provided_name": "orderly-order 0.2.0 consuming"},
        ]));
        let names: Vec<_> = found.iter().map(|it| (it.party, it.version.as_str())).collect();
        assert_eq!(names, [(Party::Stock, "0.1.0"), (Party::Order, "0.2.0")]);
    }
}

//! Reads everything there is to judge, side by side, each within a time limit of its own.
//!
//! Nothing is declared, consumed or written: queues are asked for passively, the management API is
//! only read, and the databases are told that nothing will be written.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use jiff::fmt::rfc2822;
use orderly_contracts::routes::Party;
use orderly_runtime::broker::Broker as _;
use orderly_runtime::config::ConfigErrors;
use orderly_runtime::topology::{Queue, WORKERS};
use serde_json::Value;

use super::reading::{Ahead, Amqp, Management, Reading};
use super::tables;
use crate::connections;
use crate::look::{Look, within};
use crate::management;
use crate::settings::Settings;
use crate::setup::topology;

/// Reads everything; whatever does not answer within `limit` counts as unreadable.
pub(crate) async fn gather(settings: &Settings, limit: Duration) -> Result<Reading, ConfigErrors> {
    let topology = topology(&settings.ladder()?);
    let address = settings.broker()?;
    let api = settings.management()?;
    let api = api.map(|api| management::Management::new(api, &address, limit));
    let (amqp, management, order, stock, payment) = tokio::join!(
        within(limit, amqp(settings, &topology)),
        management(api),
        within(limit, tables::read(settings, Party::Order)),
        within(limit, tables::read(settings, Party::Stock)),
        within(limit, tables::read(settings, Party::Payment)),
    );
    let broker = address.url.to_string();
    let connections_per_replica = settings.database_connections()?;
    let databases = BTreeMap::from_iter(WORKERS.into_iter().zip([order, stock, payment]));
    let vhost = vhost(address.url.path());
    Ok(Reading { topology, connections_per_replica, broker, vhost, amqp, management, databases })
}

/// The virtual host that the path of an address names; without one, it is the broker's default.
fn vhost(path: &str) -> String {
    match path.trim_start_matches('/') {
        "" | "%2F" | "%2f" => "/".to_owned(),
        name => name.to_owned(),
    }
}

async fn amqp(settings: &Settings, topology: &[Queue]) -> anyhow::Result<Amqp> {
    let began = Instant::now();
    let broker = connections::broker(settings).await?;
    let login = began.elapsed();
    let mut depths = BTreeMap::new();
    for queue in topology {
        let depth = match broker.depth(&queue.name).await {
            Ok(depth) => Some(depth),
            Err(error) if is_missing(&error.to_string()) => None,
            Err(error) => return Err(error.into()),
        };
        depths.insert(queue.name.clone(), depth);
    }
    broker.close().await;
    Ok(Amqp { login, depths })
}

fn is_missing(error: &str) -> bool {
    error.contains("NOT_FOUND") || error.contains("NOT-FOUND")
}

async fn management(api: Option<management::Management>) -> Option<Management> {
    let api = api?;
    let vhost = api.vhost();
    let [exchanges, queues, bindings, connections] = [
        format!("/api/exchanges/{vhost}"),
        format!("/api/queues/{vhost}"),
        format!("/api/bindings/{vhost}"),
        format!("/api/vhosts/{vhost}/connections"),
    ];
    let (overview, nodes, exchanges, queues, bindings, connections) = tokio::join!(
        ask(&api, "/api/overview".to_owned()),
        ask(&api, "/api/nodes".to_owned()),
        ask(&api, exchanges),
        ask(&api, queues),
        ask(&api, bindings),
        ask(&api, connections),
    );
    let document = |look: Look<(Value, Option<Ahead>)>| look.map(|(document, _)| document);
    Some(Management {
        overview,
        nodes: document(nodes),
        exchanges: document(exchanges),
        queues: document(queues),
        bindings: document(bindings),
        connections: document(connections),
    })
}

/// Asks on a thread of its own: the client waits for its answer.
async fn ask(api: &management::Management, path: String) -> Look<(Value, Option<Ahead>)> {
    let api = api.clone();
    let asked = tokio::task::spawn_blocking(move || {
        let before = Timestamp::now();
        let answer = api.ask(&path).map_err(|error| format!("{error:#}"))?;
        let ahead = answer.date.as_deref().and_then(|date| ahead(date, before, Timestamp::now()));
        Ok((answer.document, ahead))
    });
    asked.await.unwrap_or_else(|error| Err(error.to_string()))
}

/// How far a clock is ahead that showed `date`, cut to seconds, between two moments of ours.
fn ahead(date: &str, before: Timestamp, after: Timestamp) -> Option<Ahead> {
    let shown = rfc2822::parse(date).ok()?.timestamp().as_millisecond() + 500;
    let (before, after) = (before.as_millisecond(), after.as_millisecond());
    Some(Ahead { ms: shown - (before + after) / 2, within_ms: 500 + (after - before) / 2 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_is_compared_as_exactly_as_it_is_told() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let date = "Wed, 25 Nov 2026 10:00:00 GMT";
        let same = ahead(date, at("2026-11-25T10:00:00.4Z"), at("2026-11-25T10:00:00.6Z"));
        assert_eq!(same, Some(Ahead { ms: 0, within_ms: 600 }));
        let late = ahead(date, at("2026-11-25T10:01:00Z"), at("2026-11-25T10:01:00Z")).unwrap();
        assert_eq!(late.ms, -59_500);
        assert_eq!(ahead("noon", at("2026-11-25T10:01:00Z"), at("2026-11-25T10:01:00Z")), None);
    }
}

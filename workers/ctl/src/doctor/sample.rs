//! A healthy system as the doctor reads it, for tests that break it.

use std::collections::BTreeMap;
use std::time::Duration;

use orderly_runtime::broker::Depth;
use orderly_runtime::postgres::migrate::Standing;
use orderly_runtime::retry::Ladder;
use orderly_runtime::topology::{EXCHANGES, Queue, Role, WORKERS};
use serde_json::{Value, json};

use super::reading::{Ahead, Amqp, Backlog, Database, Management, Reading, Server};
use crate::setup::expected::expected;
use crate::setup::topology;

/// Three workers, one replica each, on one broker and one database server.
pub(super) fn healthy() -> Reading {
    let topology = topology(&Ladder::default());
    let depths = topology.iter().map(|queue| {
        let consumers = u32::from(matches!(queue.role, Role::Work | Role::Dead));
        (queue.name.clone(), Some(Depth { ready: 0, consumers }))
    });
    Reading {
        connections_per_replica: 8,
        broker: "amqp://orderly@broker/orderly".to_owned(),
        vhost: "orderly".to_owned(),
        amqp: Ok(Amqp { login: Duration::from_millis(4), depths: depths.collect() }),
        management: Some(management(&topology)),
        databases: BTreeMap::from_iter(WORKERS.map(|party| (party, Ok(database())))),
        topology,
    }
}

/// A node with room for everything.
pub(super) fn node() -> Value {
    json!({
        "name": "rabbit@a", "running": true, "partitions": [], "mem_alarm": false,
        "disk_free_alarm": false, "mem_used": 10, "mem_limit": 100, "fd_used": 10, "fd_total": 100,
        "disk_free": 20u64 << 30, "disk_free_limit": 50u64 << 20,
    })
}

fn management(topology: &[Queue]) -> Management {
    let queue = |queue: &Queue| {
        json!({
            "name": queue.name, "type": "quorum", "state": "running", "arguments": expected(queue),
            "effective_policy_definition": {}, "members": ["rabbit@a"], "online": ["rabbit@a"],
            "messages": 0,
        })
    };
    let bindings = topology.iter().flat_map(|queue| {
        let own = |(exchange, key): &(&str, String)| {
            json!({"source": exchange, "routing_key": key, "destination": queue.name})
        };
        let default = json!({"source": "", "routing_key": queue.name, "destination": queue.name});
        queue.bindings.iter().map(own).chain([default])
    });
    let exchange = |it: &orderly_runtime::topology::Exchange| json!({"name": it.name, "type": it.kind, "durable": true});
    let connection = |party| {
        let name = format!("orderly-{party} {} consuming", env!("CARGO_PKG_VERSION"));
        json!({"client_properties": {"connection_name": name}})
    };
    let ahead = Ahead { ms: 20, within_ms: 510 };
    Management {
        overview: Ok((json!({"rabbitmq_version": "3.10.8"}), Some(ahead))),
        nodes: Ok(json!([node()])),
        exchanges: Ok(EXCHANGES.iter().map(exchange).collect()),
        queues: Ok(topology.iter().map(queue).collect()),
        bindings: Ok(bindings.collect()),
        connections: Ok(WORKERS.into_iter().map(connection).collect()),
    }
}

fn database() -> Database {
    let current = Standing { found: Some(5), wanted: Some(5) };
    Database {
        login: Duration::from_millis(3),
        server: Ok(Server {
            identity: "one".to_owned(),
            version: "15.18".to_owned(),
            connections_max: 97,
            connections: 12,
            unsafe_settings: vec![],
        }),
        clock: Ok(Ahead { ms: 1, within_ms: 2 }),
        standings: Ok([current; 2]),
        has_own_tables: Ok(true),
        pause: Ok(None),
        letters: Ok(vec![]),
        deadlines: Ok(Backlog::default()),
        outputs: Ok(Backlog { count: 1, oldest_seconds: 0 }),
    }
}

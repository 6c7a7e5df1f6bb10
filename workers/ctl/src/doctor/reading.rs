//! Everything the doctor reads, before anybody judges it.

use std::collections::BTreeMap;
use std::time::Duration;

use orderly_contracts::routes::Party;
use orderly_runtime::broker::Depth;
use orderly_runtime::postgres::migrate::Standing;
use orderly_runtime::topology::{Queue, work_queues};
use serde_json::Value;

use crate::look::Look;
use crate::management::{Replica, replicas};

/// All of it.
#[derive(Debug)]
pub(crate) struct Reading {
    /// The queues as this program wants them.
    pub(crate) topology: Vec<Queue>,
    /// What one replica of a worker takes of a database's connections.
    pub(crate) connections_per_replica: u64,
    /// Where the broker is, without a password.
    pub(crate) broker: String,
    /// The virtual host, as the broker's own commands take it.
    pub(crate) vhost: String,
    /// The broker by AMQP.
    pub(crate) amqp: Look<Amqp>,
    /// The broker by its management API; `None` if its address is not set.
    pub(crate) management: Option<Management>,
    /// The databases.
    pub(crate) databases: BTreeMap<Party, Look<Database>>,
}

/// What AMQP tells: exact, and at once.
#[derive(Debug, Clone)]
pub(crate) struct Amqp {
    /// How long it took to log in.
    pub(crate) login: Duration,
    /// Every queue of the topology; `None` if it is missing.
    pub(crate) depths: BTreeMap<String, Option<Depth>>,
}

/// What the management API tells, answer by answer.
#[derive(Debug, Clone)]
pub(crate) struct Management {
    /// `/api/overview`, and how far the broker's clock is ahead of ours.
    pub(crate) overview: Look<(Value, Option<Ahead>)>,
    /// `/api/nodes`.
    pub(crate) nodes: Look<Value>,
    /// `/api/exchanges/<vhost>`.
    pub(crate) exchanges: Look<Value>,
    /// `/api/queues/<vhost>`.
    pub(crate) queues: Look<Value>,
    /// `/api/bindings/<vhost>`.
    pub(crate) bindings: Look<Value>,
    /// `/api/vhosts/<vhost>/connections`.
    pub(crate) connections: Look<Value>,
}

/// How far another clock is ahead of ours, and how far off that may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Ahead {
    /// In milliseconds; below zero if it is behind.
    pub(crate) ms: i64,
    /// Either way.
    pub(crate) within_ms: i64,
}

/// A service's database.
#[derive(Debug, Clone)]
pub(crate) struct Database {
    /// How long it took to log in.
    pub(crate) login: Duration,
    /// The server it is on.
    pub(crate) server: Look<Server>,
    /// How far its clock is ahead of ours.
    pub(crate) clock: Look<Ahead>,
    /// The runtime's tables and the service's own.
    pub(crate) standings: Look<[Standing; 2]>,
    /// Whether the service's own tables are here, rather than another's.
    pub(crate) has_own_tables: Look<bool>,
    /// The pause in effect.
    pub(crate) pause: Look<Option<String>>,
    /// Dead letters that are open, by cause.
    pub(crate) letters: Look<Vec<Group>>,
    /// Deadlines that are due.
    pub(crate) deadlines: Look<Backlog>,
    /// Batches whose outputs are not known to be published.
    pub(crate) outputs: Look<Backlog>,
}

/// A PostgreSQL server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server {
    /// The same for every database on it, and different on every other.
    pub(crate) identity: String,
    /// Such as `15.18`.
    pub(crate) version: String,
    /// Connections for everybody but superusers.
    pub(crate) connections_max: u64,
    /// Connections of clients at the moment.
    pub(crate) connections: u64,
    /// Settings by which a committed transaction may be lost, such as `fsync=off`.
    pub(crate) unsafe_settings: Vec<String>,
}

/// Dead letters with the same cause.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Group {
    /// Its fingerprint.
    pub(crate) group: String,
    /// Why.
    pub(crate) reason: String,
    /// Of which type.
    pub(crate) kind: String,
    /// How many.
    pub(crate) letters: u64,
}

/// What waits, and for how long.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Backlog {
    /// How many.
    pub(crate) count: u64,
    /// How long the oldest has.
    pub(crate) oldest_seconds: u64,
}

impl Reading {
    /// Whether the worker of `party` is known to be paused.
    pub(crate) fn is_paused(&self, party: Party) -> bool {
        let database = self.databases.get(&party).and_then(|database| database.as_ref().ok());
        database.is_some_and(|it| matches!(it.pause, Ok(Some(_))))
    }

    /// How many replicas of the worker of `party` consume, as far as its queues tell.
    pub(crate) fn consumers(&self, party: Party) -> u64 {
        let depths = self.amqp.iter().flat_map(|amqp| &amqp.depths);
        let own = depths.filter(|(name, _)| work_queues(party).contains(&name.as_str()));
        own.filter_map(|(_, depth)| Some(depth.as_ref()?.consumers.into())).max().unwrap_or(0)
    }

    /// The connections that workers have to the broker, if they can be known.
    pub(crate) fn replicas(&self) -> Option<Vec<Replica>> {
        let connections = self.management.as_ref()?.connections.as_ref().ok()?;
        Some(replicas(connections))
    }
}

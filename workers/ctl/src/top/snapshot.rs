//! What the sources tell, each at its own time.

use std::collections::BTreeMap;

use orderly_contracts::routes::Party;
use orderly_runtime::broker::Depth;
use serde::Serialize;
use serde_json::Value;
use uuid::Uuid;

use crate::doctor::reading::Backlog;
use crate::look::Look;
use crate::management::{Replica, replicas};

/// News from one of the sources.
#[derive(Debug)]
pub(crate) enum Update {
    /// The work queues by AMQP: exact, and of this moment.
    Depths(Look<BTreeMap<String, Depth>>),
    /// The management API, whose numbers are up to five seconds old.
    Managed(Look<Managed>),
    /// A service's database.
    Tables(Party, Look<Tables>),
}

/// What the management API tells.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Managed {
    /// All queues of the virtual host.
    pub(crate) queues: BTreeMap<String, Counts>,
    /// The workers' processes; `None` if this user may not see connections of others.
    pub(crate) replicas: Option<Vec<Replica>>,
    /// Why publishers are blocked, if they are.
    pub(crate) alarms: Vec<String>,
}

/// A queue's numbers.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Counts {
    /// Messages that wait.
    pub(crate) ready: u64,
    /// Messages in somebody's hands.
    pub(crate) unacked: u64,
    /// Consumers.
    pub(crate) consumers: u64,
    /// Messages that come, a second.
    pub(crate) in_per_second: f64,
    /// Messages that are done, a second.
    pub(crate) out_per_second: f64,
}

impl Counts {
    /// One queue of an answer of the management API.
    pub(crate) fn of(queue: &Value) -> Self {
        let number = |name: &str| queue[name].as_u64().unwrap_or_default();
        let rate = |name: &str| queue["message_stats"][name]["rate"].as_f64().unwrap_or_default();
        Self {
            ready: number("messages_ready"),
            unacked: number("messages_unacknowledged"),
            consumers: number("consumers"),
            in_per_second: rate("publish_details"),
            out_per_second: rate("ack_details") + rate("deliver_no_ack_details"),
        }
    }
}

impl Managed {
    /// From answers about queues, connections and nodes.
    pub(crate) fn of(queues: &Value, connections: Option<&Value>, nodes: Option<&Value>) -> Self {
        let each = queues.as_array().into_iter().flatten();
        let queues =
            each.filter_map(|one| Some((one["name"].as_str()?.to_owned(), Counts::of(one))));
        let nodes = nodes.and_then(Value::as_array).into_iter().flatten();
        let alarms = nodes.flat_map(|node| {
            let name = node["name"].as_str().unwrap_or("a node");
            let raised = [("mem_alarm", "memory"), ("disk_free_alarm", "disk")];
            let raised = raised.into_iter().filter(|(flag, _)| node[flag] == true);
            raised
                .map(move |(_, what)| format!("{name} is short of {what}: publishers are blocked"))
        });
        Self {
            queues: queues.collect(),
            replicas: connections.map(replicas),
            alarms: alarms.collect(),
        }
    }
}

/// What a database tells.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Tables {
    /// The pause in effect.
    pub(crate) pause: Option<Pause>,
    /// Deadlines that are due.
    pub(crate) due: Backlog,
    /// Batches whose outputs are not known to be published.
    pub(crate) outputs: Backlog,
    /// Dead letters that are not over, by cause.
    pub(crate) groups: Vec<Group>,
    /// What only the order database tells.
    pub(crate) orders: Option<Orders>,
}

/// A pause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Pause {
    /// Who paused the worker.
    pub(crate) by: String,
    /// Why, if they said so.
    pub(crate) why: Option<String>,
    /// Since when.
    pub(crate) since: String,
}

/// Dead letters of one worker with the same cause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Group {
    /// Its fingerprint.
    pub(crate) group: String,
    /// Whose.
    #[serde(serialize_with = "name_of")]
    pub(crate) service: Party,
    /// Why they were given up.
    pub(crate) reason: String,
    /// The type of their messages.
    #[serde(rename = "type")]
    pub(crate) kind: Option<String>,
    /// How many.
    pub(crate) letters: u64,
    /// When the last one died.
    pub(crate) last_at: String,
    /// What one of them says.
    pub(crate) text: String,
}

pub(crate) fn name_of<S: serde::Serializer>(party: &Party, into: S) -> Result<S::Ok, S::Error> {
    into.serialize_str(party.name())
}

/// Orders that wait, and what became of others lately.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub(crate) struct Orders {
    /// Wait for their goods to be reserved.
    pub(crate) pending: u64,
    /// Wait for their money.
    pub(crate) reserved: u64,
    /// Wait to be undone.
    pub(crate) cancelling: u64,
    /// Came, a second.
    pub(crate) placed_per_second: f64,
    /// Ended well, a second.
    pub(crate) confirmed_per_second: f64,
    /// Were refused, a second.
    pub(crate) rejected_per_second: f64,
    /// Were undone, a second.
    pub(crate) cancelled_per_second: f64,
    /// From an order's first row to its last, of those that ended lately.
    pub(crate) latency: Option<Latency>,
}

impl Orders {
    /// Orders that have not ended.
    pub(crate) fn open(&self) -> u64 {
        self.pending + self.reserved + self.cancelling
    }

    /// Orders that end, a second.
    pub(crate) fn ended_per_second(&self) -> f64 {
        self.confirmed_per_second + self.rejected_per_second + self.cancelled_per_second
    }
}

/// How long orders took, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub(crate) struct Latency {
    /// Half of them at most.
    pub(crate) p50_ms: u64,
    /// 95 of 100 at most.
    pub(crate) p95_ms: u64,
    /// 99 of 100 at most.
    pub(crate) p99_ms: u64,
}

/// A dead letter in full, among the others of its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Letter {
    /// Whose.
    pub(crate) service: Party,
    /// The letters of its group, the latest first.
    pub(crate) ids: Vec<Uuid>,
    /// Which of them this is.
    pub(crate) place: usize,
    /// What `orderly dead show` says of it.
    pub(crate) text: String,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn answers_of_the_management_api_become_numbers() {
        let queues = json!([
            {"name": "order.new", "messages_ready": 3, "messages_unacknowledged": 2, "consumers": 1,
             "message_stats": {"publish_details": {"rate": 10.0}, "ack_details": {"rate": 7.5}}},
            {"name": "just made"},
        ]);
        let nodes = json!([{"name": "rabbit@a", "mem_alarm": true, "disk_free_alarm": false}]);
        let managed = Managed::of(&queues, None, Some(&nodes));
        let counts = managed.queues["order.new"];
        assert_eq!((counts.ready, counts.unacked, counts.consumers), (3, 2, 1));
        assert_eq!((counts.in_per_second, counts.out_per_second), (10.0, 7.5));
        assert_eq!(managed.queues["just made"], Counts::default());
        assert_eq!(managed.alarms, ["rabbit@a is short of memory: publishers are blocked"]);
        assert_eq!(managed.replicas, None);
    }
}

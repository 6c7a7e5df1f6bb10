//! A system at work, for tests and pictures: stock is paused, some letters are dead.

use std::collections::BTreeMap;

use orderly_contracts::routes::Party;
use orderly_runtime::broker::Depth;
use orderly_runtime::retry::Ladder;
use orderly_runtime::topology::{WORKERS, work_queues};

use super::model::Model;
use super::snapshot::{Counts, Group, Latency, Managed, Orders, Pause, Tables, Update};
use crate::doctor::reading::Backlog;
use crate::management::Replica;
use crate::setup::topology;

pub(super) fn unknown() -> Model {
    let topology = topology(&Ladder::default());
    Model::new("operator@broker:5672/orderly".to_owned(), topology, true)
}

/// The system after its first news.
pub(super) fn busy() -> Model {
    let mut model = unknown();
    for update in news() {
        model.take(update);
    }
    model
}

/// What every source tells.
pub(super) fn news() -> Vec<Update> {
    let mut news = vec![Update::Depths(Ok(depths())), Update::Managed(Ok(managed()))];
    news.extend(WORKERS.map(|party| Update::Tables(party, Ok(tables(party)))));
    news
}

fn depths() -> BTreeMap<String, Depth> {
    let mut depths = BTreeMap::new();
    for party in WORKERS {
        for queue in work_queues(party) {
            let consumers = if party == Party::Stock { 0 } else { 2 };
            depths.insert(queue.to_owned(), Depth { ready: 0, consumers });
        }
    }
    depths.insert("order.new".to_owned(), Depth { ready: 120, consumers: 2 });
    depths.insert("stock.commands".to_owned(), Depth { ready: 48_213, consumers: 0 });
    depths
}

fn managed() -> Managed {
    let counts = |ready, unacked, rate: f64| Counts {
        ready,
        unacked,
        consumers: 0,
        in_per_second: rate,
        out_per_second: rate - 0.4,
    };
    let names = topology(&Ladder::default()).into_iter().map(|queue| queue.name);
    let mut queues: BTreeMap<_, _> = names.map(|name| (name, Counts::default())).collect();
    queues.insert("order.new".to_owned(), counts(99, 500, 100.4));
    queues.insert("order.answers".to_owned(), counts(0, 12, 1_204.0));
    queues.insert("stock.commands".to_owned(), counts(48_000, 0, 100.4));
    queues.insert("stock.retry.0.1000ms".to_owned(), counts(3, 0, 0.4));
    queues.insert("stock.retry.1.5000ms".to_owned(), counts(4, 0, 0.4));
    let replica = |party| Replica { party, version: "0.1.0".to_owned() };
    let replicas = WORKERS.into_iter().flat_map(|party| [replica(party), replica(party)]);
    Managed { queues, replicas: Some(replicas.collect()), alarms: vec![] }
}

fn tables(party: Party) -> Tables {
    let group = |group: &str, reason: &str, kind: &str, letters, text: &str| Group {
        group: group.to_owned(),
        service: party,
        reason: reason.to_owned(),
        kind: Some(kind.to_owned()),
        letters,
        last_at: "2026-11-26T09:30:15.000000Z".to_owned(),
        text: text.to_owned(),
    };
    match party {
        Party::Order => Tables {
            groups: vec![
                group(
                    "a08fc799a9db",
                    "invalid_content",
                    "order.place.v1",
                    1_204,
                    "lines[0].quantity: must be at least 1, is 0",
                ),
                group("5b2e11c07f3a", "invalid_utf8", "order.cancel.v1", 3, "byte 7 is no UTF-8"),
            ],
            orders: Some(Orders {
                pending: 48_331,
                reserved: 12,
                cancelling: 1,
                placed_per_second: 100.5,
                confirmed_per_second: 88.25,
                rejected_per_second: 1.5,
                cancelled_per_second: 0.0,
                latency: Some(Latency { p50_ms: 41, p95_ms: 180, p99_ms: 2_450 }),
            }),
            ..Tables::default()
        },
        Party::Stock => Tables {
            pause: Some(Pause {
                by: "ada@shop".to_owned(),
                why: Some("stocktaking".to_owned()),
                since: "2026-11-26T09:12:00.000000Z".to_owned(),
            }),
            due: Backlog { count: 2, oldest_seconds: 75 },
            ..Tables::default()
        },
        _ => Tables {
            outputs: Backlog { count: 1, oldest_seconds: 0 },
            groups: vec![group("11f0c2aa9e41", "poison", "payment.execute.v1", 40, "it panicked")],
            ..Tables::default()
        },
    }
}

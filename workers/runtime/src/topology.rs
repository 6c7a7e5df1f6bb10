//! The topology as a table: every exchange, queue and binding of the system.
//!
//! Pure data, derived from the routing table; `setup` declares it and workers verify it.

use std::time::Duration;

use orderly_contracts::routes::{COMMANDS, EVENTS, Party, ROUTES};

use crate::retry::Ladder;

/// The topic exchange into the retry ladders; routing key `<rung>.<queue>`.
pub const RETRY: &str = "orderly.retry";
/// The topic exchange back from the retry ladders to the queue a message came from.
pub const RETURN: &str = "orderly.return";
/// The direct exchange into the dead-letter queues; the routing key is the queue it came from.
pub const DEAD: &str = "orderly.dead";
/// The direct exchange into the queues of letters that can't even be filed.
pub const PARKED: &str = "orderly.parked";

/// How often a message may come back before the broker itself gives it up: the last resort against
/// one that ends the connection before we see it. Far more than troubles of servers ever return.
pub const DELIVERY_LIMIT: u32 = 250;
/// A large limit instead of none: from RabbitMQ 4 on, none means 20, and then messages are gone.
pub const NO_DELIVERY_LIMIT: u32 = 1_000_000;

/// An exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// Its name.
    pub name: &'static str,
    /// `topic` or `direct`.
    pub kind: &'static str,
}

/// What a queue is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// A worker takes its messages from here.
    Work,
    /// Failed messages wait here.
    Retry {
        /// How long.
        delay: Duration,
    },
    /// Given-up messages are handed over here.
    Dead,
    /// Letters that no worker can read lie here until an operator looks; nobody consumes it.
    Parked,
}

/// A queue, with its bindings.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Queue {
    /// Its name.
    pub name: String,
    /// Whose it is.
    pub party: Party,
    /// What it is for.
    pub role: Role,
    /// Exchanges and routing keys it is bound to.
    pub bindings: Vec<(&'static str, String)>,
}

impl Queue {
    /// The exchange and routing key for messages that leave the queue without being consumed.
    pub fn dead_letter(&self) -> Option<(&'static str, Option<&str>)> {
        match self.role {
            Role::Work => Some((DEAD, Some(&self.name))),
            // The routing key stays: it names the queue to return to.
            Role::Retry { .. } => Some((RETURN, None)),
            Role::Dead => Some((PARKED, Some(&self.name))),
            Role::Parked => None,
        }
    }

    /// How often a message may come back to it.
    pub fn delivery_limit(&self) -> u32 {
        match self.role {
            Role::Work | Role::Dead => DELIVERY_LIMIT,
            Role::Retry { .. } | Role::Parked => NO_DELIVERY_LIMIT,
        }
    }
}

/// All exchanges.
pub const EXCHANGES: [Exchange; 6] = [
    Exchange { name: COMMANDS, kind: "topic" },
    Exchange { name: EVENTS, kind: "topic" },
    Exchange { name: RETRY, kind: "topic" },
    Exchange { name: RETURN, kind: "topic" },
    Exchange { name: DEAD, kind: "direct" },
    Exchange { name: PARKED, kind: "direct" },
];

/// The workers.
pub const WORKERS: [Party; 3] = [Party::Order, Party::Stock, Party::Payment];

/// The work queues of a party, each once, in the order of the routing table.
pub fn work_queues(party: Party) -> Vec<&'static str> {
    let mut names = Vec::new();
    for (consumer, queue) in ROUTES.iter().filter_map(|route| route.consumer) {
        if consumer == party && !names.contains(&queue) {
            names.push(queue);
        }
    }
    names
}

/// The dead-letter queue of a party.
pub fn dead_queue(party: Party) -> String {
    format!("{party}.dead")
}

/// All queues of a party, given the delays of its retry ladder.
pub fn queues(party: Party, ladder: &Ladder) -> Vec<Queue> {
    let work = work_queues(party);
    let mut queues: Vec<Queue> = work.iter().map(|name| work_queue(party, name)).collect();
    queues.extend(ladder.rungs().iter().enumerate().map(|(rung, delay)| Queue {
        // The delay is part of the name: a queue's arguments can't change, a ladder's delays can.
        name: format!("{party}.retry.{rung}.{}ms", delay.as_millis()),
        party,
        role: Role::Retry { delay: *delay },
        bindings: work.iter().map(|name| (RETRY, format!("{rung}.{name}"))).collect(),
    }));
    queues.push(Queue {
        name: dead_queue(party),
        party,
        role: Role::Dead,
        bindings: work.iter().map(|name| (DEAD, (*name).to_owned())).collect(),
    });
    queues.push(Queue {
        name: format!("{party}.parked"),
        party,
        role: Role::Parked,
        bindings: vec![(PARKED, dead_queue(party))],
    });
    queues
}

fn work_queue(party: Party, name: &'static str) -> Queue {
    let kinds =
        ROUTES.iter().filter(|route| route.consumer.is_some_and(|(_, queue)| queue == name));
    let mut bindings: Vec<_> = kinds.map(|route| (route.exchange, route.kind.to_owned())).collect();
    bindings.push((RETURN, format!("*.{name}")));
    Queue { name: name.to_owned(), party, role: Role::Work, bindings }
}

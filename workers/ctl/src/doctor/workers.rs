//! The workers that run: how many, of which version, and whether the databases have room for them.

use std::collections::{BTreeMap, BTreeSet};

use orderly_contracts::routes::Party;
use orderly_runtime::topology::WORKERS;

use super::finding::Finding;
use super::reading::{Reading, Server};
use crate::management::Replica;

/// Above so much of a server's connections, one more replica may find none.
const HIGH_PERCENT: u64 = 80;

/// Everything about replicas and their connections.
pub(super) fn check(reading: &Reading) -> Vec<Finding> {
    let replicas = reading.replicas();
    let mut findings = Vec::new();
    if let Some(replicas) = &replicas {
        findings.extend(WORKERS.into_iter().map(|party| running(reading, party, replicas)));
        findings.extend(versions(replicas));
    }
    findings.extend(connections(reading, replicas.as_deref()));
    findings
}

fn running(reading: &Reading, party: Party, replicas: &[Replica]) -> Finding {
    let check = format!("{party}.replicas");
    let versions = replicas.iter().filter(|it| it.party == party).map(|it| it.version.as_str());
    let versions: Vec<&str> = versions.collect();
    let consuming = reading.consumers(party);
    let paused = if reading.is_paused(party) { ", paused" } else { "" };
    match versions.len() {
        0 if consuming > 0 => {
            let text = "they consume; this user may not see their connections";
            Finding::ok(&check, text)
        }
        // Others consume, and yet nobody is seen: then that says nothing of this one either. The
        // broker's statistics can lag behind, or be another user's.
        0 if replicas.is_empty() && WORKERS.iter().any(|one| reading.consumers(*one) > 0) => {
            Finding::ok(&check, format!("connections are not told{paused}"))
        }
        0 => {
            let text = format!("no {party} worker is connected to the broker");
            let mend = format!("docker compose up -d {party}-worker, or see its log");
            Finding::failure(&check, text, mend)
        }
        count => Finding::ok(&check, format!("{count} connected{paused}")),
    }
}

/// Programs of several versions side by side: fine during an upgrade, and not for long.
fn versions(replicas: &[Replica]) -> Option<Finding> {
    let ours = env!("CARGO_PKG_VERSION");
    let found: BTreeSet<&str> = replicas.iter().map(|it| it.version.as_str()).collect();
    let others: Vec<&str> = found.into_iter().filter(|version| *version != ours).collect();
    (!others.is_empty()).then(|| {
        let text = format!(
            "workers of version {} run; this program is {ours}, and judges by its own topology and \
             migrations",
            others.join(", ")
        );
        let mend = "finish the upgrade, or use the `orderly` of the workers' version";
        Finding::warning("workers.versions", text, mend)
    })
}

/// What all workers on a server may take together, against what it has.
fn connections(reading: &Reading, replicas: Option<&[Replica]>) -> Vec<Finding> {
    let mut servers: BTreeMap<&str, (&Server, Vec<Party>)> = BTreeMap::new();
    for (party, database) in &reading.databases {
        if let Ok(Ok(server)) = database.as_ref().map(|it| &it.server) {
            let entry = servers.entry(&server.identity).or_insert((server, vec![]));
            entry.1.push(*party);
        }
    }
    let each = servers.into_values();
    each.map(|(server, parties)| room(reading, server, &parties, replicas)).collect()
}

fn room(
    reading: &Reading,
    server: &Server,
    parties: &[Party],
    replicas: Option<&[Replica]>,
) -> Finding {
    let names: Vec<&str> = parties.iter().map(|party| party.name()).collect();
    let check = "connections";
    let most = server.connections_max;
    let of = |party: Party| {
        let connected = replicas.map(|all| all.iter().filter(|it| it.party == party).count());
        // A replica consumes each of its queues once. Where nobody can tell, there is one at least.
        connected.map_or(1, |count| count as u64).max(reading.consumers(party))
    };
    let count: u64 = parties.iter().map(|party| of(*party)).sum();
    let wanted = count * reading.connections_per_replica;
    let text = format!(
        "the server of {}: {} of {most} connections are open; {count} replicas may take {wanted}, \
         {} each",
        names.join(", "),
        server.connections,
        reading.connections_per_replica
    );
    let mend = "ALTER SYSTEM SET max_connections = ... and restart PostgreSQL, or lower \
                ORDERLY_DATABASE_CONNECTIONS";
    let percent = wanted.max(server.connections) * 100 / most.max(1);
    match percent {
        101.. => Finding::failure(check, text, mend),
        HIGH_PERCENT.. => Finding::warning(check, text, mend),
        _ => Finding::ok(check, text),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::finding::State;
    use super::super::sample;
    use super::*;

    fn wrong(change: impl FnOnce(&mut Reading)) -> Vec<(String, State)> {
        let mut reading = sample::healthy();
        change(&mut reading);
        let wrong = check(&reading).into_iter().filter(|it| it.state != State::Ok);
        wrong.map(|it| (it.check, it.state)).collect()
    }

    fn connect(reading: &mut Reading, names: &[&str]) {
        let each = names.iter().map(|name| json!({"client_properties": {"connection_name": name}}));
        reading.management.as_mut().unwrap().connections = Ok(each.collect());
    }

    #[test]
    fn a_worker_that_is_away_and_one_of_another_version_are_named() {
        assert_eq!(wrong(|_| {}), []);
        let ours = env!("CARGO_PKG_VERSION");
        let said = wrong(|reading| {
            let stock = format!("orderly-stock {ours} consuming");
            connect(reading, &[&stock, "orderly-order 9.9.9 consuming"]);
            reading.amqp = Err("away".to_owned());
        });
        let expected = [
            ("payment.replicas".to_owned(), State::Failure),
            ("workers.versions".to_owned(), State::Warning),
        ];
        assert_eq!(said, expected);
    }

    #[test]
    fn a_user_who_may_not_see_connections_raises_no_alarm() {
        assert_eq!(wrong(|reading| connect(reading, &[])), []);
    }

    #[test]
    fn a_paused_worker_is_not_missed_where_nobody_is_seen() {
        let pause = |reading: &mut Reading| {
            let depths = &mut reading.amqp.as_mut().unwrap().depths;
            let own = depths.iter_mut().filter(|(name, _)| name.starts_with("payment."));
            own.for_each(|(_, depth)| depth.as_mut().unwrap().consumers = 0);
        };
        let nobody_seen = wrong(|reading| {
            pause(reading);
            connect(reading, &[]);
        });
        assert_eq!(nobody_seen, []);
        let stock = format!("orderly-stock {} consuming", env!("CARGO_PKG_VERSION"));
        let missed = wrong(|reading| {
            pause(reading);
            connect(reading, &[&stock]);
        });
        assert_eq!(missed, [("payment.replicas".to_owned(), State::Failure)]);
    }

    #[test]
    fn replicas_are_counted_against_the_server_they_share() {
        let with_room_for = |connections_max: u64| {
            wrong(|reading| {
                for database in reading.databases.values_mut() {
                    let server = &mut database.as_mut().unwrap().server;
                    server.as_mut().unwrap().connections_max = connections_max;
                }
            })
        };
        let said = |state| vec![("connections".to_owned(), state)];
        // Three replicas of eight each.
        assert_eq!(with_room_for(31), []);
        assert_eq!(with_room_for(30), said(State::Warning));
        assert_eq!(with_room_for(23), said(State::Failure));
        let apart = wrong(|reading| {
            for (party, database) in &mut reading.databases {
                let server = database.as_mut().unwrap().server.as_mut().unwrap();
                server.identity = party.to_string();
                server.connections_max = 12;
                server.connections = 5;
            }
        });
        assert_eq!(apart, [], "each has a server of its own");
    }
}

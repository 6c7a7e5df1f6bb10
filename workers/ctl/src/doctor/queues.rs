//! Who takes messages from the queues, and what lies where nobody takes it.

use orderly_runtime::broker::Depth;
use orderly_runtime::topology::{Queue, Role};

use super::finding::{Finding, or_ok};
use super::reading::Reading;

/// Given-up messages that may be on their way into the database of a worker that runs.
const UNFILED: u32 = 1_000;

/// Everything about consumers and leftovers.
pub(super) fn check(reading: &Reading) -> Vec<Finding> {
    let amqp = match &reading.amqp {
        Ok(amqp) => amqp,
        Err(_) => {
            let text = "who consumes can't be looked at while the broker is away";
            return vec![Finding::unknown("queues.consumers", text, "see broker.amqp")];
        }
    };
    let known = reading.topology.iter().filter_map(|queue| {
        let depth = amqp.depths.get(&queue.name).copied().flatten()?;
        Some((queue, depth))
    });
    let known: Vec<(&Queue, Depth)> = known.collect();
    let of = |role: fn(&Role) -> bool| known.iter().filter(move |(queue, _)| role(&queue.role));
    let mut findings = Vec::new();

    let consumed = of(|role| matches!(role, Role::Work | Role::Dead));
    let strange = of(|role| matches!(role, Role::Retry { .. } | Role::Parked));
    let problems = consumed.filter_map(|(queue, depth)| unconsumed(reading, queue, *depth));
    let problems =
        problems.chain(strange.filter_map(|(queue, depth)| stolen(&reading.vhost, queue, *depth)));
    let text = "every queue has those that it should have";
    findings.extend(or_ok(problems.collect(), "queues.consumers", text));

    let dead =
        of(|role| matches!(role, Role::Dead)).filter_map(|(queue, depth)| unfiled(queue, *depth));
    findings.extend(or_ok(dead.collect(), "queues.dead", "nothing waits there to be filed"));

    let parked =
        of(|role| matches!(role, Role::Parked)).filter_map(|(queue, depth)| parked(queue, *depth));
    findings.extend(or_ok(parked.collect(), "queues.parked", "nothing lies there"));
    findings
}

fn waiting(depth: Depth) -> String {
    match depth.ready {
        0 => "nothing waits in it".to_owned(),
        ready => format!("{ready} wait in it"),
    }
}

fn unconsumed(reading: &Reading, queue: &Queue, depth: Depth) -> Option<Finding> {
    // A paused worker takes nothing, on purpose; that is said once, where the pause is.
    if depth.consumers > 0 || reading.is_paused(queue.party) {
        return None;
    }
    let (name, party) = (&queue.name, queue.party);
    let text = format!("queue {name} has no consumer, {}", waiting(depth));
    let mend = format!(
        "start the {party} worker (docker compose up -d {party}-worker), or ask the one that runs: \
         curl http://HOST:PORT/readyz"
    );
    Some(Finding::failure("queues.consumers", text, mend))
}

fn stolen(vhost: &str, queue: &Queue, depth: Depth) -> Option<Finding> {
    (depth.consumers > 0).then(|| {
        let text = format!(
            "queue {} has {} consumers, and must have none: they take what has to wait",
            queue.name, depth.consumers
        );
        Finding::failure(
            "queues.consumers",
            text,
            format!("rabbitmqctl list_consumers -p {vhost}; end them"),
        )
    })
}

fn unfiled(queue: &Queue, depth: Depth) -> Option<Finding> {
    let (name, ready, party) = (&queue.name, depth.ready, queue.party);
    let text = format!("{ready} given-up messages wait in {name} to be filed");
    match (ready, depth.consumers) {
        (1.., 0) => {
            let mend = format!("start the {party} worker; it files them by itself");
            Some(Finding::failure("queues.dead", text, mend))
        }
        (UNFILED.., _) => {
            let mend = format!("orderly dead groups --service {party}; stop what sends them");
            Some(Finding::warning("queues.dead", text, mend))
        }
        _ => None,
    }
}

fn parked(queue: &Queue, depth: Depth) -> Option<Finding> {
    (depth.ready > 0).then(|| {
        let text = format!(
            "{} messages that no worker can read lie in {}, and stay there",
            depth.ready, queue.name
        );
        let mend = "look at them on the management page (Get messages), and purge the queue when \
                    nobody needs them: docs/dead-letters.md";
        Finding::failure("queues.parked", text, mend)
    })
}

#[cfg(test)]
mod tests {
    use orderly_contracts::routes::Party;

    use super::super::finding::State;
    use super::super::sample;
    use super::*;

    fn wrong(name: &str, depth: Depth, change: impl FnOnce(&mut Reading)) -> Vec<(String, State)> {
        let mut reading = sample::healthy();
        reading.amqp.as_mut().unwrap().depths.insert(name.to_owned(), Some(depth));
        change(&mut reading);
        let wrong = check(&reading).into_iter().filter(|it| it.state != State::Ok);
        wrong.map(|it| (it.check, it.state)).collect()
    }

    #[test]
    fn consumers_that_are_missing_and_those_too_many_are_named() {
        let depth = |ready, consumers| Depth { ready, consumers };
        let table = [
            ("order.new", depth(9, 1), None),
            ("order.new", depth(0, 0), Some(("queues.consumers", State::Failure))),
            ("order.retry.0.1000ms", depth(0, 1), Some(("queues.consumers", State::Failure))),
            ("order.retry.0.1000ms", depth(9, 0), None),
            ("order.dead", depth(3, 1), None),
            ("order.dead", depth(2_000, 1), Some(("queues.dead", State::Warning))),
            ("order.parked", depth(1, 0), Some(("queues.parked", State::Failure))),
        ];
        for (name, depth, expected) in table {
            let said = wrong(name, depth, |_| {});
            let expected = expected.map(|(check, state)| (check.to_owned(), state));
            assert_eq!(said, Vec::from_iter(expected), "{name} {depth:?}");
        }
        let unfiled = wrong("order.dead", depth(1, 0), |_| {});
        assert_eq!(unfiled.len(), 2, "no consumer, and something that needs one: {unfiled:?}");
    }

    #[test]
    fn a_paused_worker_need_not_consume() {
        let nobody = Depth { ready: 5, consumers: 0 };
        let said = wrong("stock.commands", nobody, |reading| {
            let stock = reading.databases.get_mut(&Party::Stock).unwrap().as_mut().unwrap();
            stock.pause = Ok(Some("since noon by ada".to_owned()));
        });
        assert_eq!(said, []);
    }

    #[test]
    fn a_broker_that_is_away_leaves_it_unknown() {
        let mut reading = sample::healthy();
        reading.amqp = Err("away".to_owned());
        assert_eq!(check(&reading)[0].state, State::Unknown);
    }
}

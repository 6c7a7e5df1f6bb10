//! The doctor, on a healthy system and on one where things are broken on purpose.

use std::net::TcpListener;
use std::process::Output;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::world::{World, orderly, parsed, text};

/// Machines that run tests are busy: an answer may take its time.
const LOOK: [&str; 4] = ["doctor", "--json", "--timeout", "20s"];

/// Everything that is not ok: what was looked at, how it is, and what is said, with the cure.
fn wrong(output: &Output) -> Vec<(String, String, String)> {
    let report = parsed(output);
    let findings = report["findings"].as_array().unwrap().clone();
    let word = |finding: &Value, name: &str| finding[name].as_str().unwrap_or_default().to_owned();
    let findings = findings.iter().filter(|finding| finding["state"] != "ok");
    findings
        .map(|it| {
            let said = format!("{} -> {}", word(it, "text"), word(it, "mend"));
            (word(it, "check"), word(it, "state"), said)
        })
        .collect()
}

/// Waits until the doctor finds exactly these things wrong; what it says about each.
#[track_caller]
fn finds(world: &World, expected: &[(&str, &str)]) -> Vec<String> {
    let mut last = Vec::new();
    let found = orderly_devstack::wait_for("the doctor's findings", super::world::PATIENCE, || {
        last = wrong(&world.run(&LOOK));
        let same = last.len() == expected.len()
            && last
                .iter()
                .zip(expected)
                .all(|(it, (check, state))| it.0 == *check && it.1 == *state);
        Ok(same.then(|| last.iter().map(|it| it.2.clone()).collect()))
    });
    found.unwrap_or_else(|error| panic!("{error}; it found {last:#?}, not {expected:?}"))
}

#[test]
fn a_healthy_system_is_well_and_whatever_breaks_is_named_with_its_cure() {
    let mut world = World::at_work();
    finds(&world, &[]);
    let output = world.run(&["doctor", "--timeout", "20s", "--strict"]);
    let said = text(&output.stdout);
    assert!(output.status.success() && said.contains("all is well"), "{said}");

    let output = world.run(&["pause", "payment", "--why", "the provider is down"]);
    assert!(output.status.success());
    let said = finds(&world, &[("payment.pause", "warning")]);
    assert!(said[0].contains("by ada: the provider is down -> orderly resume payment"), "{said:?}");
    let output = world.run(&["doctor", "--timeout", "20s"]);
    assert_eq!(output.status.code(), Some(0), "only a warning: {}", text(&output.stdout));
    assert_eq!(world.run(&["doctor", "--timeout", "20s", "--strict"]).status.code(), Some(1));
    assert!(world.run(&["resume", "payment"]).status.success());
    finds(&world, &[]);

    world.file_a_letter();
    let said = finds(&world, &[("order.letters", "warning")]);
    assert!(
        said[0]
            .contains("1 dead letter open in 1 group: 1 of feedc0ffee00 (poison order.place.v1)"),
        "{said:?}"
    );
    assert!(said[0].contains("orderly dead groups --service order"), "{said:?}");
    world.sql("order", "DELETE FROM dead_letters");

    let rename = |from: &str, to: &str| {
        world.sql("stock", &format!("ALTER TABLE {from} RENAME TO {to}"));
    };
    rename("orderly_runtime_migrations", "elsewhere");
    let said = finds(&world, &[("stock.migrations", "failure")]);
    assert!(said[0].contains("the runtime's 0 of"), "{said:?}");
    assert!(said[0].ends_with("orderly migrate --service stock"), "{said:?}");
    rename("elsewhere", "orderly_runtime_migrations");
    finds(&world, &[]);

    world.worker("stock").process.kill().unwrap();
    let said = finds(
        &world,
        &[
            ("queues.consumers", "failure"),
            ("queues.consumers", "failure"),
            ("queues.consumers", "failure"),
            ("stock.replicas", "failure"),
        ],
    );
    assert!(said[1].contains("stock.commands has no consumer"), "{said:?}");
    assert!(said[3].contains("no stock worker is connected"), "{said:?}");
    assert_eq!(world.run(&["doctor", "--timeout", "20s"]).status.code(), Some(1));
}

#[test]
fn what_is_wrong_with_queues_is_named() {
    let world = World::idle();
    let (vhost, broker) = (world.bed.vhost().to_owned(), world.bed.endpoints().clone());
    let nobody_works: Vec<String> = wrong(&world.run(&LOOK)).into_iter().map(|it| it.0).collect();
    let others = |name: &str| -> Vec<(String, String, String)> {
        let all = wrong(&world.run(&LOOK)).into_iter();
        all.filter(|it| it.0.starts_with(name) && !nobody_works.contains(&it.0)).collect()
    };
    assert_eq!(others(""), [], "without workers there are no consumers, and nothing else");

    let binding = format!("/api/bindings/{vhost}/e/orderly.commands/q/order.new/order.place.v1");
    broker.management_delete(&binding).unwrap();
    let said = world.wait("the missing binding", || others("topology").first().cloned());
    assert_eq!((said.0.as_str(), said.1.as_str()), ("topology.bindings", "failure"));
    assert!(said.2.contains("order.place.v1 is missing -> orderly setup"), "{said:?}");

    broker.management_delete(&format!("/api/queues/{vhost}/stock.settle")).unwrap();
    let said = world.wait("the missing queue", || {
        others("topology.queues").into_iter().find(|it| it.2.contains("stock.settle is missing"))
    });
    assert!(said.2.ends_with("-> orderly setup"), "{said:?}");
    assert!(world.run(&["setup"]).status.success());
    world.wait("the cure", || others("topology").is_empty().then_some(()));

    let policy = json!({
        "pattern": "^order\\.new$", "apply-to": "queues", "definition": {"delivery-limit": 5},
    });
    broker.management_put(&format!("/api/policies/{vhost}/short"), &policy).unwrap();
    let said = world.wait("the policy", || others("topology.limits").first().cloned());
    assert!(said.2.contains("delivery-limit is 5 by the policy short"), "{said:?}");
    broker.management_delete(&format!("/api/policies/{vhost}/short")).unwrap();

    let parked = json!({
        "properties": {}, "routing_key": "order.dead", "payload": "x", "payload_encoding": "string",
    });
    let publish = format!("/api/exchanges/{vhost}/orderly.parked/publish");
    broker.management_post(&publish, &parked).unwrap();
    let said = world.wait("the parked message", || others("queues.parked").first().cloned());
    assert!(said.2.contains("1 messages that no worker can read lie in order.parked"), "{said:?}");
}

#[test]
fn what_stands_still_in_a_database_is_named() {
    let world = World::idle();
    world.sql("order", "INSERT INTO timers VALUES ('o', 'reserve', 0, now() - interval '5 min')");
    world.sql(
        "stock",
        "INSERT INTO batches (id, at, outputs)
         VALUES (gen_random_uuid(), now() - interval '5 min', '[]')",
    );
    let role = world.sql("stock", "SELECT current_database()");
    world.sql("stock", &format!("ALTER DATABASE {role} SET synchronous_commit = off"));
    let found = wrong(&world.run(&LOOK));
    let said = |check: &str| {
        let one = found.iter().find(|it| it.0 == check && it.1 == "failure");
        one.unwrap_or_else(|| panic!("no {check} in {found:#?}")).2.clone()
    };
    assert!(
        said("order.deadlines").contains("1 deadlines are due, the oldest for 30"),
        "{found:?}"
    );
    assert!(said("stock.outputs").contains("1 batches"), "{found:?}");
    assert!(said("stock.durability").contains("synchronous_commit=off"), "{found:?}");
}

#[test]
fn servers_that_are_away_or_refuse_are_named_and_the_others_are_looked_at() {
    let world = World::idle();
    // It takes connections, and never says a word.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let silent = silent.local_addr().unwrap();
    let mut command = world.orderly(&["doctor", "--json", "--timeout", "2s"]);
    command.env("ORDERLY_BROKER_URL", format!("amqp://u:canary@{silent}/v"));
    command.env("ORDERLY_MANAGEMENT_URL", format!("http://u:canary@{silent}"));
    let url = world.bed.database_url("order");
    let (before, after) = url.rsplit_once('@').unwrap();
    let user = before.rsplit_once(':').unwrap().0;
    command.env("ORDERLY_ORDER_DATABASE_URL", format!("{user}:canary@{after}"));
    command.env("ORDERLY_PAYMENT_DATABASE_URL", format!("postgres://u:canary@{silent}/d"));
    let began = Instant::now();
    let output = command.output().unwrap();
    assert!(began.elapsed() < Duration::from_secs(8), "one after the other would take longer");
    assert_eq!(output.status.code(), Some(1));
    let found = wrong(&output);
    let said = |check: &str| {
        let one = found.iter().find(|it| it.0 == check);
        one.unwrap_or_else(|| panic!("no {check} in {found:#?}")).clone()
    };
    assert!(said("broker.amqp").2.contains("no answer within 2s"), "{found:?}");
    assert_eq!(said("broker.management").1, "unknown");
    assert!(said("order.database").2.contains("password authentication failed"), "{found:?}");
    assert!(said("order.database").2.contains("password file"), "{found:?}");
    assert!(said("payment.database").2.contains("no answer within 2s"), "{found:?}");
    assert!(!found.iter().any(|it| it.0.starts_with("stock.")), "stock is well: {found:?}");
    let whole = text(&output.stdout) + &text(&output.stderr);
    assert!(!whole.contains("canary"), "a password is shown: {whole}");
}

#[test]
fn settings_that_are_wrong_are_named_at_once() {
    let mut command = orderly(&["doctor"]);
    let output = command.env("ORDERLY_STOCK_DATABASE_URL", "nonsense").output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    let said = text(&output.stderr);
    assert!(said.contains("ORDERLY_BROKER_URL") && said.contains("ORDERLY_STOCK"), "{said}");
}

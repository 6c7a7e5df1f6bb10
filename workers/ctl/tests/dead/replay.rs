//! Replays without workers: what goes back, which set it is, and what is refused.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::world::{Letter, POISON, World, stderr};

fn numbered(world: &World, numbers: std::ops::Range<u32>) {
    let statements = numbers.map(|number| {
        let id = format!("m-{number}");
        Letter { number, message_id: Some(&id), ..POISON }.filing()
    });
    world.sql(&statements.collect::<Vec<_>>().join(";"));
}

#[tokio::test]
async fn a_message_goes_back_as_it_was() {
    let world = World::with_queues();
    let id = world.file(&POISON);
    let told = &world.lines(&["dead", "replay", &id])[0];
    assert_eq!(
        told["progress"],
        json!({"letters": 1, "sent": 1, "skipped": 0, "resolved": 0,
                                        "failed_again": 0, "outstanding": 1})
    );
    let back = &world.receive(1).await[0];
    assert_eq!(
        (back.exchange.as_str(), back.body.as_slice()),
        ("orderly.return", POISON.body.as_bytes())
    );
    let properties = &back.properties;
    assert_eq!(properties.message_id.as_deref(), Some("m-1"));
    assert_eq!(properties.text_header("mine"), Some("kept"));
    assert_eq!(properties.text_header("orderly-exchange"), Some("orderly.commands"));
    assert_eq!(properties.text_header("orderly-routing-key"), Some("order.place.v1"));
    assert_eq!(properties.int_header("orderly-first-failed-at-us"), Some(1_767_225_600_000_000));
    assert_eq!(
        (properties.int_header("orderly-attempts"), properties.delivery_mode),
        (None, Some(2))
    );

    assert_eq!(world.status(&id), "replayed");
    let letter =
        &world.lines(&["dead", "list", "--replayed-by", told["replay"].as_str().unwrap()])[0];
    assert_eq!((&letter["id"], &letter["replays"]), (&json!(id), &json!(1)));
    let replays = world.lines(&["dead", "replays"]);
    assert_eq!((replays.len(), &replays[0]["status"]), (1, &json!("done")));
    assert_eq!(replays[0]["operator"], "ada");
    assert!(
        world.fail(1, &["dead", "replay", &id]).contains("no such letter is open"),
        "once is enough"
    );
}

#[tokio::test]
async fn a_pin_sends_exactly_the_set_that_was_shown() {
    let world = World::with_queues();
    numbered(&world, 1..4);
    let shown = &world.lines(&["dead", "replay", "--type", POISON.kind, "--dry-run"])[0];
    assert_eq!(shown["letters"].as_array().unwrap().len(), 3);
    assert_eq!(world.sql("SELECT count(*) FROM dead_replays"), "0", "a dry run changes nothing");
    assert_eq!(world.sql("SELECT count(*) FROM dead_letters WHERE status = 'open'"), "3");
    numbered(&world, 4..6);
    let pin = shown["pin"].as_str().unwrap();
    let told = &world.lines(&["dead", "replay", "--type", POISON.kind, "--pin", pin])[0];
    assert_eq!(told["progress"]["sent"], 3, "what came since is not sent");
    let open =
        "SELECT string_agg(message_id, ',' ORDER BY 1) FROM dead_letters WHERE status = 'open'";
    assert_eq!(world.sql(open), "m-4,m-5");
    world.queued(3).await;

    let pin = world.lines(&["dead", "replay", "--all", "--dry-run"])[0]["pin"].clone();
    world.succeed(&["dead", "archive", "--message", "m-4"]);
    let again = ["dead", "replay", "--all", "--pin", pin.as_str().unwrap()];
    assert!(world.fail(2, &again).contains("not the set that was shown"));
}

#[tokio::test]
async fn much_is_asked_about_and_little_can_be_tried_first() {
    let world = World::with_queues();
    numbered(&world, 1..6);
    let why = world.fail(2, &["dead", "replay", "--all"]);
    assert!(why.contains("Replay 5 letters?") && why.contains("5 "), "{why}");
    assert!(world.fail(2, &["dead", "replay"]).contains("say which"));
    world.succeed(&["dead", "replay", "--all", "--limit", "2", "--yes"]);
    let sent =
        "SELECT string_agg(message_id, ',' ORDER BY 1) FROM dead_letters WHERE status <> 'open'";
    assert_eq!(world.sql(sent), "m-1,m-2", "those that died first");

    // Nobody works, so the canary has no outcome, and the rest stays where it is.
    let canary = ["dead", "replay", "--all", "--canary", "1", "--wait", "300ms", "--yes"];
    let output = world.run(&canary);
    assert_eq!(output.status.code(), Some(1));
    let said = stderr(&output);
    assert!(said.contains("stopped: 1 letter of the canary had no outcome within 300ms"), "{said}");
    assert_eq!(world.sql("SELECT count(*) FROM dead_letters WHERE status = 'open'"), "2");
    assert_eq!(world.lines(&["dead", "replays"])[0]["status"], "stopped");
    let replay = world.sql("SELECT id FROM dead_replays WHERE status = 'stopped'");
    let start = Instant::now();
    world.succeed(&["dead", "replay", "--resume", &replay, "--rate", "2"]);
    assert!(start.elapsed() >= Duration::from_millis(500), "two at two a second");
    assert_eq!(world.sql("SELECT count(*) FROM dead_letters WHERE status = 'replayed'"), "5");
    world.queued(5).await;
}

#[tokio::test]
async fn what_can_not_go_back_is_refused_with_advice() {
    let world = World::with_queues();
    world.file(&Letter { number: 1, message_id: None, ..POISON });
    world.file(&Letter { number: 2, routing_key: "order.cancel.v1", ..POISON });
    world.file(&Letter { number: 3, kind: "order.plaice.v1", ..POISON });
    let why = world.fail(1, &["dead", "replay", "--all", "--yes"]);
    for word in ["no message id", "order.cancel.v1", "order.plaice.v1", "edit it"] {
        assert!(why.contains(word), "{word:?} in {why}");
    }
    // One good one among them goes, and the exit status tells of the others.
    let good = world.file(&Letter { number: 4, ..POISON });
    world.fail(1, &["dead", "replay", "--all", "--yes"]);
    assert_eq!(world.status(&good), "replayed");
    assert_eq!(world.sql("SELECT count(*) FROM dead_letters WHERE status = 'open'"), "3");
    world.queued(1).await;
}

#[tokio::test]
async fn a_set_that_was_not_recorded_whole_is_never_sent() {
    let world = World::with_queues();
    let id = world.file(&POISON);
    // As if it had been killed when one of three databases knew its part.
    world.sql(&format!(
        "INSERT INTO dead_replays (id, operator, selection)
             VALUES ('{id}', 'ada', '{{\"limit\":null,\"pin\":null,\"selection\":{{}}}}');
         INSERT INTO dead_replay_letters (replay, letter, place) VALUES ('{id}', '{id}', 1)"
    ));
    assert!(world.fail(1, &["dead", "replay", "--resume", &id]).contains("nothing was sent"));
    assert_eq!(world.status(&id), "open");
    let told = world.lines(&["dead", "replay", "--all"]).remove(0);
    assert_ne!(told["replay"], id.as_str());
    assert_eq!(world.status(&id), "replayed");
    world.queued(1).await;
}

#[tokio::test]
async fn two_operators_send_a_letter_once() {
    let world = World::with_queues();
    numbered(&world, 1..101);
    let start = || {
        let mut command =
            world.command(&["dead", "replay", "--reason", "poison", "--yes", "--json"]);
        // Another selection for each, so that neither takes the other's for its own.
        command.stdout(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        command
    };
    let one = start().spawn().unwrap();
    let other = start().args(["--limit", "100"]).spawn().unwrap();
    let sent: u64 = [one, other]
        .into_iter()
        .map(|child| {
            let output = child.wait_with_output().unwrap();
            let told: serde_json::Value =
                serde_json::from_slice(&output.stdout).unwrap_or_else(|_| json!({}));
            told["progress"]["sent"].as_u64().unwrap_or_default()
        })
        .sum();
    assert_eq!(sent, 100);
    let twice = "SELECT count(*) FROM dead_actions WHERE action = 'replay'";
    assert_eq!(world.sql(twice), "100");
    world.queued(100).await;
}

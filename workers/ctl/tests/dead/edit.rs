//! Edits without workers: one editor wins, and a crash in between loses nothing.

use std::io::Write;
use std::process::Stdio;

use serde_json::json;

use crate::world::{POISON, World};

const GOOD: &str = r#"{"order_id":"o","currency":"GBP","payment_token":"t","lines":[{"sku":"a","quantity":1,"unit_price":1}]}"#;

fn edit(world: &World, id: &str, body: &str) -> std::process::Output {
    let mut command = world.command(&["dead", "edit", id, "--body", "-", "--json"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    child.stdin.take().unwrap().write_all(body.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

#[tokio::test]
async fn an_edit_is_a_new_message_and_resolves_the_letter() {
    let world = World::with_queues();
    let id = world.file(&POISON);
    let refused = edit(&world, &id, r#"{"order_id":"o"}"#);
    assert_eq!(refused.status.code(), Some(2), "nothing is changed");
    let refused = edit(&world, &id, r#"{"order_id":""}"#);
    let why = String::from_utf8_lossy(&refused.stderr).into_owned();
    assert!(why.contains("invalid_content"), "{why}");
    assert_eq!(world.status(&id), "open");

    let output = edit(&world, &id, GOOD);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let told: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    let sent = &world.receive(1).await[0];
    assert_eq!(sent.body, GOOD.as_bytes());
    assert_eq!(sent.properties.message_id.as_deref(), told["message_id"].as_str());
    assert_eq!(sent.properties.text_header("orderly-edit-of"), Some(id.as_str()));
    assert_eq!(sent.properties.text_header("mine"), Some("kept"));
    assert_eq!(sent.properties.correlation_id.as_deref(), Some("o"));

    let letter = &world.lines(&["dead", "show", &id])[0];
    assert_eq!(
        (&letter["status"], &letter["edited_as"]),
        (&json!("resolved"), &told["message_id"])
    );
    assert_eq!(letter["edit_outcome"], "no outcome yet");
    assert_eq!(letter["history"][0]["action"], "edit");
    let late = edit(&world, &id, &GOOD.replace("\"a\"", "\"b\""));
    let why = String::from_utf8_lossy(&late.stderr).into_owned();
    assert!(why.contains("the letter is resolved"), "{why}");
}

#[tokio::test]
async fn an_edit_that_was_interrupted_goes_on_and_no_other_one_comes_between() {
    let world = World::with_queues();
    let id = world.file(&POISON);
    let first = edit(&world, &id, GOOD);
    let first: serde_json::Value = serde_json::from_slice(&first.stdout).unwrap();
    // As if it had been killed before or after its message left: the note is all there is.
    world.sql("UPDATE dead_letters SET status = 'replayed'");
    let other = edit(&world, &id, &GOOD.replace("\"a\"", "\"b\""));
    let why = String::from_utf8_lossy(&other.stderr).into_owned();
    assert!(why.contains("another edit is on its way"), "{why}");
    let why = world.fail(1, &["dead", "replay", &id, "--status", "replayed"]);
    assert!(why.contains("1 passed over"), "{why}");

    let again = &world.lines(&["dead", "edit", &id])[0];
    assert_eq!(again["message_id"], first["message_id"]);
    assert_eq!(world.status(&id), "resolved");
    let received = world.receive(2).await;
    assert_eq!(received[0].properties.message_id, received[1].properties.message_id);
    assert_eq!(received[0].body, received[1].body);
    assert_eq!(world.sql("SELECT count(*) FROM dead_actions"), "1");
}

//! What is shown: groups, lists, single letters, exports, the log; and putting aside.

use orderly_contracts::Reason;
use serde_json::json;

use crate::world::{Letter, POISON, World};

/// Two with one cause, one with another.
fn three(world: &World) -> [String; 3] {
    [
        world.file(&POISON),
        world.file(&Letter {
            number: 2,
            text: "order 18 fails",
            message_id: Some("m-2"),
            ..POISON
        }),
        world.file(&Letter { number: 3, reason: "exhausted", message_id: Some("m-3"), ..POISON }),
    ]
}

#[test]
fn letters_are_grouped_by_cause_and_selected_by_anything() {
    let world = World::new();
    let [first, second, third] = three(&world);
    let groups = world.lines(&["dead", "groups"]);
    assert_eq!(groups.len(), 2);
    assert_eq!((&groups[0]["letters"], &groups[0]["reason"]), (&json!(2), &json!("poison")));
    assert_eq!(groups[0]["first_at"], "2026-01-01T00:00:00.000000Z");
    let group = groups[0]["group"].as_str().unwrap();
    assert!(world.succeed(&["dead", "groups"]).contains(group));

    let ids = |arguments: &[&str]| -> Vec<String> {
        let letters = world.lines(&[&["dead", "list"], arguments].concat());
        letters.iter().map(|letter| letter["id"].as_str().unwrap().to_owned()).collect()
    };
    assert_eq!(ids(&[]), [&third, &second, &first].map(String::as_str), "the latest first");
    assert_eq!(ids(&["--group", group]), [&second, &first].map(String::as_str));
    assert_eq!(ids(&["--reason", "exhausted"]), [third.as_str()]);
    assert_eq!(ids(&["--message", "m-2"]), [second.as_str()]);
    assert_eq!(ids(&["--correlation", "o", "--limit", "1"]), [third.as_str()]);
    assert_eq!(ids(&["--type", "stock.adjust.v1"]), [""; 0]);
    assert_eq!(ids(&["--worker", "stock"]), [""; 0]);
    assert_eq!(ids(&["--until", "59880s"]), [second.as_str(), first.as_str()]);
    assert_eq!(ids(&["--since", "59880s"]), [third.as_str()]);
    assert_eq!(ids(&[&first, "--status", "all"]), [first.as_str()]);
    assert!(world.fail(2, &["dead", "list", "--reason", "nonsense"]).contains("there are"));
}

#[test]
fn a_letter_does_nothing_to_a_terminal_and_is_exported_without_loss() {
    let world = World::new();
    let evil = Letter { text: "bad \u{1b}]0;evil\u{7}", body: "a\u{1b}[2J\nb", ..POISON };
    let id = world.file(&evil);
    world.sql("UPDATE dead_letters SET routing_key = e'k\\x1b[31m', kind = e't\\u009b31m'");
    for arguments in [vec!["list"], vec!["groups"], vec!["show", &id], vec!["show", &id, "--json"]]
    {
        let said = world.succeed(&[&["dead"], arguments.as_slice()].concat());
        let is_obeyed = |c: char| c.is_control() && c != '\n';
        assert!(!said.chars().any(is_obeyed), "{arguments:?}: {said:?}");
    }
    let second = world.file(&Letter { number: 2, ..POISON });
    world.sql(&format!("UPDATE dead_letters SET body = '\\xff00' WHERE id = '{second}'"));
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("letters.jsonl");
    world.succeed(&["dead", "export", "--output", file.to_str().unwrap()]);
    let written = std::fs::read_to_string(&file).unwrap();
    assert_eq!(written, world.succeed(&["dead", "export"]));
    let letters: Vec<serde_json::Value> =
        written.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(letters.len(), 2);
    assert_eq!(letters[0]["body"], evil.body);
    assert_eq!(letters[0]["properties"]["headers"]["mine"], json!({"text": "kept"}));
    assert_eq!(letters[1]["body_hex"], "ff00");
}

#[test]
fn what_is_put_aside_is_gone_from_the_lists_and_comes_back() {
    let world = World::new();
    let [first, ..] = three(&world);
    let why = world.fail(2, &["dead", "archive", "--reason", "poison"]);
    assert!(why.contains("Archive 2 letters?") && why.contains("--yes"), "{why}");
    assert!(world.fail(2, &["dead", "archive", "--yes"]).contains("say which"));
    let note = ["--note", "spam \u{1b}", "--yes"];
    world.succeed(&[&["dead", "archive", "--reason", "poison"], &note[..]].concat());
    assert_eq!(world.lines(&["dead", "list"]).len(), 1);
    assert_eq!(world.lines(&["dead", "list", "--status", "archived"]).len(), 2);
    assert!(world.fail(1, &["dead", "replay", &first, "--yes"]).contains("no such letter is open"));

    world.succeed(&["dead", "restore", &first]);
    assert_eq!(world.status(&first), "open");
    let log = world.lines(&["dead", "log", &first]);
    let done = |index: usize| (&log[index]["action"], &log[index]["operator"]);
    assert_eq!(done(0), (&json!("restore"), &json!("ada")));
    assert_eq!(done(1), (&json!("archive"), &json!("ada")));
    assert_eq!(log[1]["details"], "spam \\u{1b}");
    let shown = world.succeed(&["dead", "show", &first]);
    assert!(shown.contains("archive by ada: spam"), "{shown}");
}

#[test]
fn the_runbook_says_for_every_reason_what_helps() {
    let runbook = include_str!("../../../../docs/dead-letters.md");
    for reason in Reason::ALL {
        let code = format!("`{}`", reason.code());
        assert!(runbook.contains(&code), "{code} is not in docs/dead-letters.md");
    }
}

//! The picture of the README: made from the real screen of a system at work.
//!
//! It is drawn anew, which takes a minute, with
//! `UPDATE_PICTURES=1 target/debug/devstack run -- cargo test -p orderly-ctl --test console picture`.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use serde_json::json;

use super::svg::svg;
use super::terminal::Terminal;
use super::world::World;

const SIZE: (u16, u16) = (100, 33);
/// So many seconds fill the curves.
const SECONDS: usize = 45;
const RATE: usize = 40;

fn path() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/top.svg")
}

#[test]
fn the_picture_of_the_readme_shows_every_pane() {
    if std::env::var_os("UPDATE_PICTURES").is_some_and(|value| value == "1") {
        draw();
    }
    let picture = std::fs::read_to_string(path()).unwrap();
    for word in ["Queues", "order.new", "Workers", "payment", "Orders", "placed", "Dead"] {
        assert!(picture.contains(&format!(">{word}</text>")), "{word} is not in the picture");
    }
}

fn draw() {
    let world = World::at_work();
    world.file_a_letter();
    for number in 1..=9 {
        let copy = format!(
            "INSERT INTO dead_letters SELECT (jsonb_populate_record(letter, jsonb_build_object(
                 'id', gen_random_uuid(), 'reason', 'invalid_content',
                 'fingerprint', 'a08fc799a9db',
                 'explanation', 'lines[0].quantity: must be at least 1, is 0',
                 'last_at', now() - {number} * interval '7 minutes'))).*
             FROM dead_letters AS letter WHERE fingerprint = 'feedc0ffee00'"
        );
        world.sql("order", &copy);
    }
    let adjust = json!({"adjustment_id": "came", "sku": "lamp", "delta": 1_000_000}).to_string();
    assert!(world.run(&["publish", "stock.adjust.v1", "--body", &adjust]).status.success());

    let orders = world.folder.path().join("orders.jsonl");
    let mut file = std::fs::File::create(&orders).unwrap();
    for number in 0..RATE * (SECONDS + 15) {
        let token = if number % 13 == 0 { "tok_decline" } else { "tok_visa" };
        let body = json!({
            "order_id": format!("p-{number}"), "currency": "GBP", "payment_token": token,
            "lines": [{"sku": "lamp", "quantity": 1, "unit_price": 1250}],
        });
        let line =
            json!({"type": "order.place.v1", "message_id": format!("m-{number}"), "body": body});
        writeln!(file, "{line}").unwrap();
    }
    let rate = RATE.to_string();
    let publish = ["publish", "--format", "jsonl", orders.to_str().unwrap(), "--rate", &rate];
    let mut publishing = world.orderly(&publish);
    let mut publishing = publishing.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();

    let terminal = Terminal::new(SIZE, &world.environment());
    terminal.run(&format!("clear; {} top", env!("CARGO_BIN_EXE_orderly")));
    terminal.press("Tab");
    terminal.press("Tab");
    // A pause fills a queue for a while.
    assert!(world.run(&["pause", "stock", "--why", "stocktaking"]).status.success());
    terminal.shows_where("the pause", |screen| screen.contains("by ada: stocktaking"));
    terminal.shows_where("a backlog", |screen| {
        let queue = screen.lines().find(|line| line.contains("stock.commands"));
        let ready = queue.and_then(|line| line.split_whitespace().nth(1)?.parse::<u64>().ok());
        ready > Some(200)
    });
    assert!(world.run(&["resume", "stock"]).status.success());
    // A second a column: full when the curve of placed orders is.
    terminal.shows_within(Duration::from_secs(90), "a full curve", |screen| {
        let placed = screen.lines().find(|line| line.trim_start().starts_with("placed"));
        let columns = placed.unwrap_or_default().chars().take(40);
        columns.filter(|c| ('\u{2581}'..='\u{2588}').contains(c)).count() >= 18
    });
    std::fs::write(path(), svg(&terminal.coloured(), SIZE.0.into(), "orderly top")).unwrap();
    terminal.press("q");
    publishing.kill().unwrap();
    publishing.wait().unwrap();
}

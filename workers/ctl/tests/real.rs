//! The commands on a real broker and real databases.
#![expect(clippy::unwrap_used, reason = "a test's helper fails as its test does")]

use std::collections::BTreeSet;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use orderly_devstack::{Endpoints, TestBed, wait_for};
use serde_json::{Value, json};

/// `orderly` with the variables of a test bed as its only `ORDERLY_*` ones.
fn command(bed: &TestBed, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orderly"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("ORDERLY_") {
            command.env_remove(name);
        }
    }
    command.args(arguments).envs(bed.env());
    command
}

fn orderly(bed: &TestBed, arguments: &[&str]) -> Output {
    command(bed, arguments).output().unwrap()
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Runs a command that has to succeed; its JSON, line by line.
fn lines(bed: &TestBed, arguments: &[&str]) -> Vec<Value> {
    let output = orderly(bed, arguments);
    assert!(output.status.success(), "{arguments:?}: {}", stderr(&output));
    let text = String::from_utf8(output.stdout).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// How many messages are in a queue. The management page counts every few seconds.
fn depth(bed: &TestBed, queue: &str, at_least: u64) -> u64 {
    let path = format!("/api/queues/{}/{queue}", bed.vhost());
    wait_for("the queue to be counted", Duration::from_secs(20), || {
        let count = bed.endpoints().management_get(&path)?["messages"].as_u64();
        Ok(count.filter(|count| *count >= at_least))
    })
    .unwrap()
}

fn write_orders(path: &Path, count: usize) {
    let mut file = std::fs::File::create(path).unwrap();
    for number in 0..count {
        let body = json!({
            "order_id": format!("o-{number}"), "currency": "EUR", "payment_token": "tok_visa",
            "lines": [{"sku": "a", "quantity": 1, "unit_price": 100}],
        });
        let line = json!({
            "type": "order.place.v1", "message_id": format!("m-{number}"), "body": body,
        });
        writeln!(file, "{line}").unwrap();
    }
}

fn receipts(path: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(path).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn setup_can_be_repeated_and_checks_what_is_in_effect() {
    let bed = TestBed::new().unwrap();
    let first = lines(&bed, &["setup", "--json"]);
    let second = lines(&bed, &["setup", "--json"]);
    assert_eq!(first, second);
    assert_eq!(first[0]["effects_checked"], true);
    assert!(first[0]["queues"].as_array().unwrap().contains(&json!("order.new")));

    let policy = json!({
        "pattern": "^order\\.new$", "apply-to": "queues", "definition": {"delivery-limit": 5},
    });
    let path = format!("/api/policies/{}/p", bed.vhost());
    bed.endpoints().management_put(&path, &policy).unwrap();
    let output = wait_for("the policy to take effect", Duration::from_secs(10), || {
        let output = orderly(&bed, &["setup"]);
        Ok((!output.status.success()).then_some(output))
    })
    .unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(text.contains("queue order.new: delivery-limit is 5 by the policy p"), "{text}");
    assert_eq!(text.lines().count(), 1, "{text}");
}

#[test]
fn setup_names_what_an_earlier_ladder_left_behind() {
    let bed = TestBed::new().unwrap();
    lines(&bed, &["setup", "--json"]);
    let other = ("ORDERLY_RETRY_DELAYS_MS", "2000");
    let output = command(&bed, &["setup"]).env(other.0, other.1).output().unwrap();
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(text.contains("queue order.retry.0.1000ms: is bound to orderly.retry"), "{text}");
}

#[test]
fn setup_names_the_queue_that_is_there_and_is_different() {
    let bed = TestBed::new().unwrap();
    let path = format!("/api/queues/{}/stock.settle", bed.vhost());
    let classic = json!({"durable": true, "arguments": {"x-queue-type": "classic"}});
    bed.endpoints().management_put(&path, &classic).unwrap();
    let output = orderly(&bed, &["setup"]);
    assert_eq!(output.status.code(), Some(1));
    let text = stderr(&output);
    assert!(text.contains("queue stock.settle"), "{text}");
    assert!(text.contains("other arguments"), "{text}");
}

#[test]
fn setup_says_what_it_could_not_check() {
    let bed = TestBed::new().unwrap();
    let mut command = command(&bed, &["setup"]);
    let output = command.env_remove("ORDERLY_MANAGEMENT_URL").output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("policies"), "{}", stderr(&output));
}

/// The runtime's for each of the workers, and their own.
fn migrations_of_all_workers() -> u64 {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../migrations");
    let files = |name| std::fs::read_dir(folder.join(name)).unwrap().count() as u64;
    3 * files("runtime") + files("order") + files("stock") + files("payment")
}

#[test]
fn four_migrations_at_once_are_as_good_as_one() {
    let bed = TestBed::new().unwrap();
    let start = || {
        let mut command = command(&bed, &["migrate", "--json"]);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let running: Vec<Child> = (0..4).map(|_| start()).collect();
    let mut applied = 0;
    for child in running {
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", stderr(&output));
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            let line: Value = serde_json::from_str(line).unwrap();
            applied += line["applied"].as_u64().unwrap();
        }
    }
    assert_eq!(applied, migrations_of_all_workers());
    for line in lines(&bed, &["migrate", "--json"]) {
        assert_eq!(line["applied"], 0);
    }
}

#[test]
fn every_message_has_a_receipt_and_lies_in_the_queue() {
    let bed = TestBed::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let [orders, receipt, refused] = ["o", "r", "x"].map(|name| folder.path().join(name));
    lines(&bed, &["setup", "--json"]);
    write_orders(&orders, 500);
    let mut file = std::fs::OpenOptions::new().append(true).open(&orders).unwrap();
    writeln!(file, "nonsense").unwrap();
    let files = [&orders, &receipt, &refused].map(|path| path.to_str().unwrap());
    let [orders, receipts_to, refused_to] = files;
    let arguments = ["publish", "--format", "jsonl", orders, "--json"];
    let files = ["--receipts", receipts_to, "--refused", refused_to];
    let told = lines(&bed, &[&arguments[..], &files].concat());
    assert_eq!((&told[0]["confirmed"], &told[0]["refused"]), (&json!(500), &json!(1)));

    let receipts = receipts(&receipt);
    let first = json!({"type": "order.place.v1", "message_id": "m-0", "order_id": "o-0"});
    assert_eq!((receipts.len(), &receipts[0]), (500, &first));
    let refused = std::fs::read_to_string(&refused).unwrap();
    let refused: Value = serde_json::from_str(&refused).unwrap();
    assert_eq!((&refused["line"], &refused["reason"]), (&json!(501), &json!("unreadable_line")));
    assert_eq!(depth(&bed, "order.new", 500), 500);

    let strict = orderly(&bed, &[&arguments[..], &["--strict"]].concat());
    assert_eq!(strict.status.code(), Some(1));
}

#[test]
fn a_lost_connection_costs_no_message() {
    let bed = TestBed::new().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let [orders, receipt] = ["o", "r"].map(|name| folder.path().join(name));
    lines(&bed, &["setup", "--json"]);
    write_orders(&orders, 1000);
    let files = [&orders, &receipt].map(|path| path.to_str().unwrap());
    let arguments = ["publish", "--format", "jsonl", files[0], "--receipts", files[1]];
    let mut command = command(&bed, &[&arguments[..], &["--rate", "80"]].concat());
    let running = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    wait_for("the connections to be cut", Duration::from_secs(12), || {
        Ok(cut(bed.endpoints(), bed.vhost())?.then_some(()))
    })
    .unwrap();
    let output = running.wait_with_output().unwrap();
    assert!(output.status.success(), "{}", stderr(&output));
    assert!(stderr(&output).contains("trying again"), "{}", stderr(&output));
    let ids: BTreeSet<_> = receipts(&receipt)
        .iter()
        .map(|receipt| receipt["message_id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids.len(), 1000);
    assert!(depth(&bed, "order.new", 1000) < 1100, "not more than a window came twice");
}

/// Cuts every connection to a virtual host; whether there was one.
fn cut(endpoints: &Endpoints, vhost: &str) -> anyhow::Result<bool> {
    let found = endpoints.management_get(&format!("/api/vhosts/{vhost}/connections"))?;
    let names: Vec<_> = found.as_array().into_iter().flatten().collect();
    for connection in &names {
        let name = connection["name"].as_str().unwrap_or_default();
        let name = name.replace(' ', "%20").replace('>', "%3E").replace(':', "%3A");
        endpoints.management_delete(&format!("/api/connections/{name}"))?;
    }
    Ok(!names.is_empty())
}

#[test]
fn a_missing_topology_is_said_and_fails() {
    let bed = TestBed::new().unwrap();
    let body = r#"{"order_id":"1"}"#;
    let start = Instant::now();
    let one = ["publish", "order.cancel.v1", "--id", "m", "--body", body];
    let output = orderly(&bed, &one);
    assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
    assert!(stderr(&output).contains("orderly setup"), "{}", stderr(&output));
    assert!(start.elapsed() < Duration::from_secs(20), "that is not waited for");
    lines(&bed, &["setup", "--json"]);
    assert!(orderly(&bed, &one).status.success());
}

#[test]
fn what_is_in_the_databases_is_shown_to_people_and_programs() {
    let bed = TestBed::new().unwrap();
    lines(&bed, &["migrate", "--json"]);
    let sql = |service: &str, text: &str| {
        bed.endpoints().query(&bed.database(service), text).unwrap();
    };
    sql(
        "order",
        r#"INSERT INTO orders (order_id, currency, payment_token, lines, total, placed_at, status,
            version, round, owes_release, owes_refund, refunded) VALUES ('1', 'GBP', 'tok_visa',
            '[{"sku":"a b","quantity":2,"unit_price":255}]', 510, '2026-01-01Z', 'pending',
            1, 0, false, false, false);
        INSERT INTO order_history VALUES ('1', 1, '2026-01-01Z', NULL, 'pending', NULL, 'client',
            'm', 'order.place.v1', NULL);
        INSERT INTO timers VALUES ('1', 'reserve', 0, '2026-01-01Z')"#,
    );
    sql("stock", "INSERT INTO items VALUES ('a b', 5, 2)");
    sql(
        "payment",
        r#"INSERT INTO dead_letters (id, reason, explanation, attempts, queue, exchange,
            routing_key, worker, first_at, last_at, properties, body) VALUES
            ('00000000-0000-4000-8000-000000000001', 'invalid_utf8', 'bad', 0, 'q', 'e', 'k', 'w',
            now(), now(), '{"type":"t"}', '\xff00')"#,
    );
    let order = &lines(&bed, &["order", "show", "1", "--json"])[0];
    assert_eq!((&order["total"], &order["deadline"]["step"]), (&json!(510), &json!("reserve")));
    assert_eq!(order["placed_at"], "2026-01-01T00:00:00.000000Z");
    let text = orderly(&bed, &["order", "show", "1"]).stdout;
    assert!(String::from_utf8(text).unwrap().contains("5.10 GBP"));
    assert_eq!(lines(&bed, &["order", "list", "--status", "pending", "--json"]).len(), 1);
    assert_eq!(lines(&bed, &["order", "list", "--after", "1", "--json"]).len(), 0);
    assert_eq!(lines(&bed, &["stock", "show", "a b", "--json"])[0]["available"], 3);
    assert_eq!(lines(&bed, &["deadlines", "list", "--due", "--json"])[0]["owner"], "1");
    let letter = &lines(&bed, &["dead", "list", "--json"])[0];
    let id = letter["id"].as_str().unwrap();
    assert_eq!(lines(&bed, &["dead", "show", id, "--json"])[0]["body_hex"], "ff00");
    assert_eq!(orderly(&bed, &["dead", "show", id, "--raw"]).stdout, [0xff, 0]);
    assert_eq!(orderly(&bed, &["payment", "show", "1"]).status.code(), Some(1));
}

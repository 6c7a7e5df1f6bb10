//! The log: what is told of batches, messages and failures, and what is never told.

use std::collections::BTreeMap;
use std::io::Write;
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use orderly_devstack::TestBed;
use orderly_e2e::{Message, System, eventually, program};
use serde_json::{Value, json};

/// What no line may hold, be it as a text or as the bytes that a library prints.
const SECRET: &str = "canary";
/// Its bytes, as `{:?}` shows them.
const SECRET_BYTES: &str = "99, 97, 110, 97, 114, 121";

fn order(id: &str, change: impl FnOnce(&mut Value)) -> Message {
    let mut body = json!({
        "order_id": id,
        "customer_id": "canary-customer",
        "lines": [{ "sku": "lamp", "quantity": 1, "unit_price": 250 }],
        "currency": "GBP",
        "payment_token": "tok_canary",
    });
    change(&mut body);
    Message::new("order.place.v1", &format!("place-{id}"), &body)
}

/// Messages that are given up, each under an id of its own.
fn bad() -> Vec<Message> {
    let raw = |id: &str, body: &str| Message::raw("order.place.v1", &format!("place-{id}"), body);
    let adjust =
        json!({ "adjustment_id": "bad", "sku": "lamp", "delta": "canary", "note": "canary" });
    vec![
        raw("no-json", r#"{"order_id": "canary", "currency": canary"#),
        raw("text", r#""canary canary canary""#),
        order("currency", |body| body["currency"] = json!("canary")),
        order("token", |body| body["payment_token"] = json!({ "number": "canary" })),
        order("lines", |body| body["lines"] = json!("canary")),
        order("name", |body| body["order_id"] = json!("canary \u{1}")),
        order("poison", |body| body["customer_id"] = json!("canary-poison")),
        order("kind", |_| {}).with(|properties| properties.content_type = Some("text/xml".into())),
        Message::new("stock.adjust.v1", "place-adjust", &adjust),
    ]
}

/// Sends good and bad orders through a system whose database refuses some and is in the way of all.
async fn provoke(system: &System) -> Result<()> {
    let (client, databases) = (&system.client, &system.databases);
    let note = json!({
        "adjustment_id": "goods-in", "sku": "lamp", "delta": 100, "note": "canary on the shelf",
    });
    client.publish([Message::new("stock.adjust.v1", "goods-in", &note)]).await?;
    databases.item_reaches("lamp", 100, 0).await?;
    let refuse = "ALTER TABLE orders ADD CONSTRAINT drill CHECK (customer_id <> 'canary-poison')";
    databases.order.batch_execute(refuse).await?;
    client.publish([order("good", |_| {})]).await?;
    databases.reaches("good", "confirmed").await?;
    client.publish(bad()).await?;
    // The same id with another content, the same order with another content, and calls that fail.
    let other = |body: &mut Value| body["customer_id"] = json!("canary-other");
    let token = |token: &'static str| move |body: &mut Value| body["payment_token"] = json!(token);
    client.publish([order("good", other)]).await?;
    let again = order("good", other).with(|it| it.message_id = Some("place-conflict".into()));
    client.publish([again]).await?;
    client.publish([order("flaky", token("tok_flaky_1_canary"))]).await?;
    client.publish([order("error", token("tok_error_canary"))]).await?;
    databases.reaches("flaky", "confirmed").await?;
    databases.order.batch_execute("BEGIN; LOCK TABLE orders IN ACCESS EXCLUSIVE MODE").await?;
    client.publish([order("late", |_| {})]).await?;
    told(system, "order", "batch in conflict").await?;
    databases.order.batch_execute("ROLLBACK").await?;
    databases.reaches("late", "confirmed").await?;
    eventually("the dead letters", async || {
        let sql = "SELECT count(*) FROM dead_letters";
        let count = async |database: &tokio_postgres::Client| -> Result<i64> {
            Ok(database.query_one(sql, &[]).await?.get(0))
        };
        // Those that are bad, the conflict; one is stock's. The call that fails for ever is payment's.
        let counts = [
            count(&databases.order).await?,
            count(&databases.stock).await?,
            count(&databases.payment).await?,
        ];
        Ok((counts == [9, 1, 1]).then_some(()))
    })
    .await
}

/// Waits until the worker of `service` has logged `text`.
async fn told(system: &System, service: &str, text: &str) -> Result<()> {
    let log = || {
        let mut workers = system.running().iter();
        let worker = workers.find(|worker| worker.process.name().contains(service));
        worker.map(|worker| worker.process.output()).unwrap_or_default()
    };
    eventually(&format!("{service} to say: {text}"), async || {
        Ok(log().contains(text).then_some(()))
    })
    .await
}

/// What workers say that are not let in, and `orderly` as well, under a wrong password.
async fn shut_out(system: &System) -> Result<Vec<String>> {
    let mut password = tempfile::NamedTempFile::new()?;
    write!(password, "canary-password")?;
    let file = password.path().display().to_string();
    let mut said = Vec::new();
    for name in ["ORDERLY_BROKER_PASSWORD_FILE", "ORDERLY_ORDER_DATABASE_PASSWORD_FILE"] {
        let mut worker = system.launch("order", "order-worker", &[(name, &*file)])?;
        eventually("the worker to be refused", async || {
            worker.process.expect_running()?;
            Ok(worker.process.output().contains("password").then_some(()))
        })
        .await?;
        worker.process.terminate(Duration::from_secs(15))?;
        said.push(worker.process.output());
        let mut orderly = Command::new(program("orderly")?);
        orderly.arg("audit").envs(system.environment()).env_remove("ORDERLY_TEST_NODES");
        let output = orderly.env(name, &file).output()?;
        ensure!(!output.status.success(), "orderly is let in");
        said.extend([output.stdout, output.stderr].map(|it| String::from_utf8_lossy(&it).into()));
    }
    Ok(said)
}

fn lines(log: &str) -> Result<Vec<Value>> {
    let read = |line: &str| serde_json::from_str(line).with_context(|| line.to_owned());
    log.lines().map(read).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_batch_and_every_failure_is_told_once_and_no_secret_ever() -> Result<()> {
    let collector = format!("http://127.0.0.1:{}", orderly_devstack::free_port()?);
    let settings = [
        ("ORDERLY_LOG", "trace"),
        ("ORDERLY_LOG_FORMAT", "json"),
        ("ORDERLY_STATEMENT_TIMEOUT_MS", "1000"),
        // So much fails here that queues would be left alone for long.
        ("ORDERLY_BREAKER_PAUSE_MS", "100"),
        ("ORDERLY_BREAKER_PAUSE_MAX_MS", "100"),
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*collector),
        ("OTEL_EXPORTER_OTLP_HEADERS", "authorization=canary"),
    ];
    let mut system = System::prepare(TestBed::new()?, &settings).await?;
    system.start_workers()?;
    provoke(&system).await?;
    let shut_out = shut_out(&system).await?;
    let mut said = Vec::new();
    let order = order("shown", |_| {}).body;
    let order = String::from_utf8(order)?;
    for arguments in [
        &["publish", "order.place.v1", "--id", "place-shown", "--body", &*order][..],
        &["order", "show", "good"],
        &["payment", "show", "good", "--json"],
        &["audit"],
        &["dead", "list"],
    ] {
        said.push(system.orderly(arguments)?.1);
    }
    system.databases.reaches("shown", "confirmed").await?;
    let mut logs = BTreeMap::new();
    for worker in system.workers() {
        worker.process.terminate(Duration::from_secs(15))?;
        logs.insert(worker.process.name().to_owned(), worker.process.output());
    }
    for log in shut_out.iter().chain(logs.values()) {
        expect_untold(log, &[SECRET, SECRET_BYTES])?;
    }
    for said in &said {
        // Who asks for an order is told the customer, and no more.
        expect_untold(said, &["tok_canary", "canary-password"])?;
    }
    let log = lines(&logs["order-worker"])?;
    expect_batches(&log)?;
    expect_failures(&log)
}

fn expect_untold(output: &str, secrets: &[&str]) -> Result<()> {
    let is_told = |line: &&str| secrets.iter().any(|secret| line.contains(secret));
    let told = output.lines().find(is_told);
    ensure!(told.is_none(), "told: {}", told.unwrap_or_default());
    Ok(())
}

/// A line for each batch, and a line at debug for each of its messages, found by their ids.
fn expect_batches(log: &[Value]) -> Result<()> {
    let of = |text: &str| log.iter().filter(|line| line["message"] == text).collect::<Vec<_>>();
    let batches = of("batch done");
    let messages = of("message done");
    ensure!(!batches.is_empty());
    for batch in batches {
        assert_eq!(batch["level"], "INFO");
        assert!(batch["queue"].is_string() && batch["duration_ms"].is_number(), "{batch}");
        let own = messages.iter().filter(|line| line["batch"] == batch["batch"]).count();
        assert_eq!(batch["messages"], own, "{batch}");
        let counts = ["done", "rejected", "failed", "known"];
        let sum: u64 = counts.iter().filter_map(|name| batch[*name].as_u64()).sum();
        assert_eq!(batch["messages"], sum, "{batch}");
    }
    let good = messages.iter().find(|line| line["message.id"] == "place-good");
    let good = good.context("the good order")?;
    assert_eq!((&good["level"], &good["correlation"]), (&json!("DEBUG"), &json!("good")));
    assert_eq!((&good["kind"], &good["outcome"]), (&json!("order.place.v1"), &json!("done")));
    assert_eq!(good["trace_id"].as_str().map(str::len), Some(32), "{good}");
    Ok(())
}

/// Each failure once, with what it is found by.
fn expect_failures(log: &[Value]) -> Result<()> {
    let given_up = |id: &str| {
        let lines = log.iter().filter(|line| line["message"] == "message given up");
        lines.filter(|line| line["message.id"] == id).count()
    };
    for id in ["no-json", "text", "currency", "token", "lines", "name", "poison", "kind", "good"] {
        assert_eq!(given_up(&format!("place-{id}")), 1, "{id}");
    }
    let failures = log.iter().filter(|line| line["level"] == "WARN");
    for line in failures.filter(|line| line["message"] == "message given up") {
        assert!(line["queue"].is_string() && line["reason"].is_string(), "{line}");
        assert_eq!(line["letter.id"].as_str().map(str::len), Some(36), "{line}");
    }
    Ok(())
}

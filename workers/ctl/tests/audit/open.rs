//! What is open for a reason, what is on its way, and what a publisher was promised.

use std::collections::BTreeMap;
use std::io::Write;

use orderly_runtime::amqp::broker::AmqpBroker;
use orderly_runtime::broker::{Broker, Confirmation, Publisher};
use orderly_runtime::config::Reader;
use orderly_runtime::message::{Outgoing, Properties};
use serde_json::json;

use super::world::{World, id, violations};

async fn broker(world: &World) -> AmqpBroker {
    let address = Reader::new(world.bed.env()).address("ORDERLY_BROKER", &["amqp"]);
    AmqpBroker::connect(&address.unwrap(), "test").await.unwrap()
}

async fn publish(broker: &AmqpBroker, exchange: &str, routing_key: &str) {
    let message = Outgoing {
        exchange: exchange.to_owned(),
        routing_key: routing_key.to_owned(),
        mandatory: true,
        properties: Properties::default(),
        body: b"{}".to_vec(),
    };
    let mut publisher = broker.publisher().await.unwrap();
    let confirmations = publisher.publish(&[message]).await.unwrap();
    assert_eq!(confirmations, [Confirmation::Confirmed]);
}

/// Takes back the commit of a confirmed order.
fn uncommit(world: &World, order: &str) {
    world.sql(
        "stock",
        &format!(
            "UPDATE reservations SET status = 'reserved' WHERE order_id = '{order}';
             DELETE FROM stock_ledger WHERE order_id = '{order}' AND operation = 'commit';
             UPDATE items SET on_hand = on_hand + 2, reserved = reserved + 2
             WHERE sku IN ('a', 'b')"
        ),
    );
}

fn file_letter(world: &World, service: &str, message: &str, order: &str) {
    world.sql(
        service,
        &format!(
            "INSERT INTO dead_letters (id, reason, explanation, attempts, queue, exchange,
                 routing_key, message_id, correlation_id, worker, first_at, last_at, properties,
                 body)
             VALUES (gen_random_uuid(), 'exhausted', 'it failed', 5, 'stock.settle', '', '',
                 '{message}', '{order}', 'stock', now(), now(), '{{}}', '')"
        ),
    );
}

#[test]
fn an_open_saga_has_its_reason() {
    let world = World::with_orders(20);
    world.sql(
        "order",
        "INSERT INTO orders (order_id, currency, payment_token, lines, total, placed_at,
             status, version, round, owes_release, owes_refund, refunded)
         VALUES ('p-1', 'GBP', 't', '[]', 0, now(), 'pending', 1, 2, false, false, false);
         INSERT INTO order_history (order_id, version, at, to_status, cause_source, cause_id, kind)
         VALUES ('p-1', 1, now(), 'pending', 'client', 'm', 'test');
         INSERT INTO timers (owner, step, round, due_at)
         VALUES ('p-1', 'reserve', 2, now() + interval '1 minute')",
    );
    let (is_fine, report) = world.audit(&["--settle", "0s"]);
    assert!(is_fine, "{report}");
    assert_eq!(report["verdict"], "open");
    let open = &report["open"]["list"][0];
    assert_eq!((&open["order_id"], &open["reason"]), (&json!("p-1"), &json!("awaits_reservation")));
    let text = open["text"].as_str().unwrap();
    assert!(text.contains("asked again 2 times, next deadline in"), "{text}");
}

#[tokio::test]
async fn an_unsettled_order_is_explained_by_a_letter_or_by_what_waits_or_else_violated() {
    let world = World::with_orders(20);
    let (explained, other) = (id(2), id(3));
    uncommit(&world, &explained);
    uncommit(&world, &other);
    file_letter(&world, "stock", "m-1", &explained);
    let (is_fine, report) = world.audit(&["--settle", "1s"]);
    assert!(!is_fine);
    assert_eq!(violations(&report), [(other, "commit_missing".to_owned())]);
    assert_eq!(report["open"]["list"][0]["order_id"], json!(explained));
    assert_eq!(report["open"]["list"][0]["reason"], "dead_letter");

    let broker = broker(&world).await;
    publish(&broker, "orderly.events", "order.confirmed.v1").await;
    let (is_fine, report) = world.audit(&["--settle", "0s"]);
    assert!(is_fine, "{report}");
    assert_eq!(report["orders"]["open"], json!({"dead_letter": 1, "commit_under_way": 1}));
    let queues = report["queues"].as_array().unwrap();
    let depths: BTreeMap<_, _> =
        queues.iter().map(|it| (it["name"].as_str().unwrap(), it["ready"].as_u64())).collect();
    assert_eq!(depths["stock.settle"], Some(1));
    assert_eq!(depths["order.answers"], Some(0));
}

#[test]
fn what_settles_in_time_is_clean() {
    let world = World::with_orders(20);
    let order = id(2);
    uncommit(&world, &order);
    let database = world.bed.database("stock");
    let endpoints = world.bed.endpoints().clone();
    let settle = std::thread::spawn(move || {
        std::thread::sleep(std::time::Duration::from_secs(2));
        let statement = format!(
            "BEGIN; UPDATE reservations SET status = 'committed' WHERE order_id = '{order}';
             INSERT INTO stock_ledger (sku, order_id, operation, pieces, at)
             SELECT sku, '{order}', 'commit', 2, now() FROM unnest(ARRAY['a', 'b']) AS sku;
             UPDATE items SET on_hand = on_hand - 2, reserved = reserved - 2
             WHERE sku IN ('a', 'b'); COMMIT"
        );
        endpoints.query(&database, &statement).unwrap();
    });
    let (is_fine, report) = world.audit(&["--settle", "60s"]);
    settle.join().unwrap();
    assert!(is_fine, "{report}");
    assert_eq!(report["verdict"], "clean");
    let seconds = report["seconds"].as_f64().unwrap();
    assert!((1.0..30.0).contains(&seconds), "it ends once all have settled: {seconds}");
}

#[tokio::test]
async fn every_receipt_is_accounted_for() {
    let world = World::with_orders(20);
    let mut receipts = tempfile::NamedTempFile::new().unwrap();
    for (kind, message) in [
        ("order.place.v1", "known"),
        ("stock.adjust.v1", "adjusted"),
        ("order.cancel.v1", "given-up"),
        ("order.place.v1", "nobody-knows"),
    ] {
        let line = json!({"type": kind, "message_id": message, "order_id": "o-0000002"});
        writeln!(receipts, "{line}").unwrap();
    }
    let inbox = "INSERT INTO inbox (source, message_id, kind, body_hash, batch)
                 VALUES ('client', '@', 'test', '', gen_random_uuid())";
    world.sql("order", &inbox.replace('@', "known"));
    world.sql("stock", &inbox.replace('@', "adjusted"));
    // An answer with the same id is another message.
    let answer = inbox.replace('@', "nobody-knows").replace("client", "stock");
    world.sql("order", &answer);
    file_letter(&world, "order", "given-up", "o-0000002");

    let path = receipts.path().to_str().unwrap();
    let (is_fine, report) = world.audit(&["--settle", "0s", "--receipts", path]);
    assert!(!is_fine);
    assert_eq!(violations(&report), [("nobody-knows".to_owned(), "message_lost".to_owned())]);
    let fates = json!({"receipts": 4, "received": 2, "dead_letters": 1, "queued": 0, "lost": 1});
    assert_eq!(report["receipts"], fates);

    let broker = broker(&world).await;
    publish(&broker, "orderly.commands", "order.place.v1").await;
    let (is_fine, report) = world.audit(&["--settle", "0s", "--receipts", path]);
    assert!(is_fine, "{report}");
    assert_eq!((&report["verdict"], &report["receipts"]["queued"]), (&json!("open"), &json!(1)));
}

#[tokio::test]
async fn an_old_batch_that_a_running_worker_does_not_publish_is_stuck() {
    let world = World::empty();
    world.sql(
        "order",
        "INSERT INTO batches (id, at, outputs) VALUES (gen_random_uuid(), now() - interval '5 minutes', '[]')",
    );
    let (is_fine, report) = world.audit(&["--settle", "0s"]);
    assert!(is_fine, "no worker is running: {report}");
    assert_eq!(report["outboxes"][0]["unsent_batches"], 1);

    let broker = broker(&world).await;
    let _consuming = broker.consume("order.answers", 1).await.unwrap();
    let (is_fine, report) = world.audit(&["--settle", "0s"]);
    assert!(!is_fine);
    assert_eq!(violations(&report), [("order".to_owned(), "outbox_stuck".to_owned())]);
}

#[test]
fn what_keeps_the_audit_from_working_is_said() {
    let world = World::empty();
    let missing = world.orderly(&["audit"]).env_remove("ORDERLY_STOCK_DATABASE_URL").output();
    let missing = missing.unwrap();
    assert_eq!(missing.status.code(), Some(2));
    let text = String::from_utf8_lossy(&missing.stderr).into_owned();
    assert!(text.contains("ORDERLY_STOCK_DATABASE_URL is missing"), "{text}");

    let other = world.orderly(&["audit"]).env("ORDERLY_RETRY_DELAYS_MS", "77").output().unwrap();
    assert_eq!(other.status.code(), Some(1));
    let text = String::from_utf8_lossy(&other.stderr).into_owned();
    assert!(text.contains("order.retry.0.77ms") && text.contains("orderly setup"), "{text}");
}

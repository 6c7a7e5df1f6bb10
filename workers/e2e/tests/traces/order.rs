//! What a collector receives of the publisher and the three workers: one connected trace an order.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use orderly_devstack::TestBed;
use orderly_e2e::System;
use orderly_e2e::collector::{Collector, Exported};
use serde_json::{Value, json};

/// Kinds of spans, as the protocol counts them.
const INTERNAL: i32 = 1;
const PRODUCER: i32 = 4;
const CONSUMER: i32 = 5;
/// The trace of a client's own.
const OWN: &str = "0af7651916cd43dd8448eb211c80319c";
const OWN_SPAN: &str = "b7ad6b7169203331";

/// An order as a line for `orderly publish`.
fn line(order: &str, quantity: i64, token: &str, headers: &Value) -> String {
    let lines = json!([{ "sku": "lamp", "quantity": quantity, "unit_price": 250 }]);
    let body =
        json!({ "order_id": order, "lines": lines, "currency": "GBP", "payment_token": token });
    let line = json!({
        "type": "order.place.v1", "message_id": format!("m-{order}"), "body": body, "headers": headers,
    });
    line.to_string()
}

/// Runs orders of every kind through a system that exports, and ends its workers.
async fn run(collector: &Collector) -> Result<()> {
    let settings = [
        ("OTEL_EXPORTER_OTLP_ENDPOINT", &*collector.url()),
        ("OTEL_EXPORTER_OTLP_HEADERS", "x-api-key=open%20sesame"),
        // Calls fail here on purpose: their queue should not be left alone for long.
        ("ORDERLY_BREAKER_PAUSE_MS", "100"),
        ("ORDERLY_BREAKER_PAUSE_MAX_MS", "100"),
        // No span is sent for its age: at a stop all have to be out.
        ("OTEL_BSP_SCHEDULE_DELAY", "3600000"),
    ];
    let mut system = System::prepare(TestBed::new()?, &settings).await?;
    system.start_workers()?;
    let (client, databases) = (&system.client, &system.databases);
    client.stock_up(&[("lamp", 10)]).await?;
    databases.item_reaches("lamp", 10, 0).await?;
    let own = |sampled: &str| json!({ "traceparent": format!("00-{OWN}-{OWN_SPAN}-{sampled}") });
    let mut file = tempfile::NamedTempFile::new()?;
    for line in [
        line("paid", 1, "tok_visa", &json!({})),
        line("short", 50, "tok_visa", &json!({})),
        line("declined", 1, "tok_decline", &json!({})),
        // Two calls fail, so its request is on the retry ladder twice.
        line("flaky", 1, "tok_flaky_2", &json!({})),
        line("own", 1, "tok_visa", &own("01")),
        line("unwanted", 1, "tok_visa", &own("00")),
        line(
            "hostile",
            1,
            "tok_visa",
            &json!({ "traceparent": format!("00-{}", "f".repeat(900)) }),
        ),
    ] {
        writeln!(file, "{line}")?;
    }
    let path = file.path().display().to_string();
    let (is_done, said) = system.orderly(&["publish", "--format", "jsonl", &path])?;
    ensure!(is_done, "{said}");
    assert_eq!(databases.settled(7).await?["confirmed"], 5);
    // The last step of an order is the stock worker's, who hears of its confirmation.
    databases.item_reaches("lamp", 5, 0).await?;
    for worker in system.workers() {
        let status = worker.process.terminate(Duration::from_secs(15))?;
        ensure!(status.success(), "{status}");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_order_is_one_connected_trace_from_its_publisher_to_its_last_event() -> Result<()> {
    let collector = Collector::start()?;
    run(&collector).await?;
    let spans = collector.spans();
    let services: BTreeSet<_> = spans.iter().map(|span| span.service.as_str()).collect();
    let all = ["orderly", "orderly-order", "orderly-payment", "orderly-stock"];
    assert_eq!(services, BTreeSet::from(all));
    for head in collector.requests() {
        assert!(head.to_lowercase().contains("x-api-key: open sesame"), "{head}");
    }
    let of_orders = by_order(&spans);
    let orders: Vec<_> = of_orders.keys().copied().collect();
    assert_eq!(orders, ["declined", "flaky", "goods-in-lamp", "hostile", "own", "paid", "short"]);
    for (order, spans) in &of_orders {
        expect_connected(order, spans)?;
    }
    for (order, last) in [
        ("paid", "process stock.commands"),
        ("flaky", "process stock.commands"),
        ("hostile", "process stock.commands"),
        ("own", "process stock.commands"),
        ("short", "publish orderly.events:order.rejected.v1"),
        ("declined", "publish orderly.events:order.cancelled.v1"),
    ] {
        let is_last = |span: &&&Exported| span.name == last;
        let last_one = of_orders[order].iter().rfind(is_last);
        let last_one = last_one.with_context(|| format!("{order}: no {last}"))?;
        assert!(!last_one.is_error, "{last_one:?}");
    }
    let first = &of_orders["paid"].iter().find(|span| span.parent.is_empty()).context("a root")?;
    assert_eq!((&*first.service, first.kind), ("orderly", PRODUCER));
    assert_eq!(first.name, "publish orderly.commands:order.place.v1");
    expect_attempts(&of_orders["flaky"]);
    expect_conventions(&spans);
    expect_batches(&spans)
}

/// The spans of each order, but for those of batches, which belong to many.
fn by_order(spans: &[Exported]) -> BTreeMap<&str, Vec<&Exported>> {
    let mut orders: BTreeMap<&str, Vec<&Exported>> = BTreeMap::new();
    for span in spans.iter().filter(|span| !span.name.starts_with("transact ")) {
        let order = &span.attributes["messaging.message.conversation_id"];
        orders.entry(order).or_default().push(span);
    }
    orders
}

/// One trace, in which every span has another as its parent, but for the one it begins with.
fn expect_connected(order: &str, spans: &[&Exported]) -> Result<()> {
    let traces: BTreeSet<_> = spans.iter().map(|span| span.trace.as_str()).collect();
    ensure!(traces.len() == 1, "{order} is in {traces:?}");
    let ids: BTreeSet<_> = spans.iter().map(|span| span.id.as_str()).collect();
    ensure!(ids.len() == spans.len(), "{order} has a span twice: {spans:#?}");
    let is_own = order == "own";
    assert_eq!(traces.contains(OWN), is_own, "{order}");
    let begins = |span: &&&Exported| match is_own {
        true => span.parent == OWN_SPAN,
        false => span.parent.is_empty(),
    };
    let roots: Vec<_> = spans.iter().filter(begins).collect();
    ensure!(roots.len() == 1, "{order} begins {} times: {roots:#?}", roots.len());
    for span in spans.iter().filter(|span| !begins(span)) {
        ensure!(ids.contains(span.parent.as_str()), "{order}: nothing led to {span:#?}");
    }
    Ok(())
}

/// Attempts that failed stand beside the one that came through, under the same parent.
fn expect_attempts(flaky: &[&Exported]) {
    let calls: Vec<_> =
        flaky.iter().filter(|span| span.name == "process payment.effects").collect();
    let outcomes: Vec<_> = calls.iter().map(|span| &*span.attributes["orderly.outcome"]).collect();
    assert_eq!(outcomes, ["postponed", "postponed", "done"]);
    let attempts: Vec<_> = calls.iter().map(|span| &*span.attributes["orderly.attempts"]).collect();
    assert_eq!(attempts, ["0", "1", "2"]);
    let parents: BTreeSet<_> = calls.iter().map(|span| &span.parent).collect();
    assert_eq!(parents.len(), 1);
    for call in &calls[..2] {
        assert!(call.is_error && call.attributes["error.type"] == "postponed", "{call:?}");
    }
}

fn expect_conventions(spans: &[Exported]) {
    for span in spans {
        let attribute = |name: &str| span.attributes.get(name).map(String::as_str);
        assert_eq!(attribute("messaging.system"), Some("rabbitmq"), "{span:?}");
        let (operation, rest) = span.name.split_once(' ').unwrap_or_default();
        assert_eq!(attribute("messaging.operation.name"), Some(operation), "{span:?}");
        let destination = attribute("messaging.destination.name").unwrap_or_default();
        let (kind, operation_type) = match operation {
            "publish" => (PRODUCER, "send"),
            "process" => (CONSUMER, "process"),
            _ => (INTERNAL, "process"),
        };
        assert_eq!(span.kind, kind, "{span:?}");
        assert_eq!(attribute("messaging.operation.type"), Some(operation_type), "{span:?}");
        assert!(destination.ends_with(rest), "{span:?}");
        if operation != "transact" {
            for name in ["messaging.message.id", "messaging.rabbitmq.destination.routing_key"] {
                assert!(attribute(name).is_some_and(|value| !value.is_empty()), "{span:?}");
            }
        }
    }
}

/// A batch points at what its messages came with: spans that their senders exported, or a client's.
fn expect_batches(spans: &[Exported]) -> Result<()> {
    let known: BTreeSet<_> =
        spans.iter().map(|span| (span.trace.clone(), span.id.clone())).collect();
    let batches: Vec<_> = spans.iter().filter(|span| span.name.starts_with("transact ")).collect();
    for queue in ["order.new", "order.answers", "stock.commands", "payment.commands"] {
        let is_here = batches.iter().any(|batch| batch.name == format!("transact {queue}"));
        ensure!(is_here, "no batch of {queue}");
    }
    for batch in batches {
        ensure!(!batch.links.is_empty() && batch.parent.is_empty(), "{batch:?}");
        let count: usize = batch.attributes["messaging.batch.message_count"].parse()?;
        ensure!(batch.links.len() <= count, "{batch:?}");
        for link in &batch.links {
            ensure!(known.contains(link), "{batch:?} points at nothing");
        }
    }
    Ok(())
}

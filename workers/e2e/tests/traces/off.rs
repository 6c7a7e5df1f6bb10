//! Without the variables of OpenTelemetry nothing is exported, and a collector that is away, or takes
//! and never answers, holds nobody up.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use lapin::options::{QueueBindOptions, QueueDeclareOptions};
use lapin::types::FieldTable;
use orderly_contracts::envelope::{TRACEPARENT, TRACESTATE};
use orderly_contracts::routes::EVENTS;
use orderly_devstack::TestBed;
use orderly_e2e::{System, eventually, place};
use orderly_runtime::amqp::broker::AmqpBroker;
use orderly_runtime::broker::{Broker, Deliveries};

const OWN: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

/// The trace contexts of all events about `order` until it is confirmed.
async fn contexts(
    broker: &AmqpBroker,
    order: &str,
    publish: impl Future<Output = Result<()>>,
) -> Result<BTreeSet<(Option<String>, Option<String>)>> {
    let channel = broker.channel().await?;
    let exclusive = QueueDeclareOptions { exclusive: true, ..QueueDeclareOptions::default() };
    channel.queue_declare(order.into(), exclusive, FieldTable::default()).await?;
    let bind = QueueBindOptions::default();
    channel
        .queue_bind(order.into(), EVENTS.into(), "#".into(), bind, FieldTable::default())
        .await?;
    let (mut deliveries, _acks) = broker.consume(order, 100).await?;
    publish.await?;
    let mut contexts = BTreeSet::new();
    loop {
        let heard = tokio::time::timeout(Duration::from_secs(30), deliveries.next()).await??;
        let heard = heard.context("the queue is gone")?;
        if heard.properties.correlation_id.as_deref() != Some(order) {
            continue;
        }
        let header = |name| heard.properties.text_header(name).map(str::to_owned);
        contexts.insert((header(TRACEPARENT), header(TRACESTATE)));
        if heard.routing_key == "order.confirmed.v1" {
            return Ok(contexts);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_senders_context_is_handed_on_as_it_is_where_no_export_is_asked_for() -> Result<()> {
    let system = System::start().await?;
    let (client, databases) = (&system.client, &system.databases);
    client.stock_up(&[("lamp", 10)]).await?;
    databases.item_reaches("lamp", 10, 0).await?;
    let heard = async |order: &str, parent: Option<&str>| {
        let placed = place(order, "lamp", 1, "tok_visa").with(|properties| {
            if let Some(parent) = parent {
                properties.set_header(TRACEPARENT, parent);
                properties.set_header(TRACESTATE, "shop=1");
            }
        });
        contexts(client.broker(), order, client.publish([placed])).await
    };
    let own = (Some(OWN.to_owned()), Some("shop=1".to_owned()));
    assert_eq!(heard("own", Some(OWN)).await?, BTreeSet::from([own]));
    // One that breaks the standard goes no further, and harms nobody.
    let nothing = BTreeSet::from([(None, None)]);
    assert_eq!(heard("none", None).await?, nothing);
    assert_eq!(heard("hostile", Some(&"0".repeat(60_000))).await?, nothing);
    assert_eq!(
        heard("zeros", Some(&OWN.replace("b7ad6b7169203331", &"0".repeat(16)))).await?,
        nothing
    );
    for worker in system.running() {
        assert_eq!(worker.metric("orderly_trace_spans_total")?, 0.0);
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn orders_flow_whatever_the_collector_does_and_a_stop_keeps_its_deadline() -> Result<()> {
    // The kernel completes connections that nobody accepts: requests are taken and never answered.
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let silent = format!("http://{}", listener.local_addr()?);
    let nobody = format!("http://127.0.0.1:{}", orderly_devstack::free_port()?);
    for collector in [silent, nobody] {
        let settings = [
            ("OTEL_EXPORTER_OTLP_ENDPOINT", &*collector),
            ("OTEL_EXPORTER_OTLP_TIMEOUT", "1000"),
            ("OTEL_BSP_MAX_QUEUE_SIZE", "100"),
            ("ORDERLY_DRAIN_DEADLINE_MS", "5000"),
        ];
        let mut system = System::prepare(TestBed::new()?, &settings).await?;
        system.start_workers()?;
        let (client, databases) = (&system.client, &system.databases);
        client.stock_up(&[("lamp", 500)]).await?;
        databases.item_reaches("lamp", 500, 0).await?;
        let orders = (0..500).map(|n| place(&format!("o{n}"), "lamp", 1, "tok_visa"));
        client.publish(orders).await?;
        assert_eq!(databases.settled(500).await?["confirmed"], 500);
        databases.item_reaches("lamp", 0, 0).await?;
        for worker in system.workers() {
            // Far more spans than there is room for: they are dropped and counted, and not kept.
            let page = worker.get("/metrics")?;
            let is_it = |it: &&str| {
                it.starts_with("orderly_trace_spans_total{") && it.contains("outcome=\"dropped\"")
            };
            let line = page.lines().find(is_it).context("no count")?;
            let (_, dropped) = line.rsplit_once(' ').context("no value")?;
            ensure!(dropped.parse::<f64>()? > 100.0, "{dropped}");
            let status = worker.process.terminate(Duration::from_secs(15))?;
            ensure!(status.success(), "{status}");
            eventually("the log to tell it", async || {
                let log = worker.process.output();
                Ok((log.matches("traces can't be exported").count() == 1).then_some(()))
            })
            .await?;
        }
    }
    Ok(())
}

//! Bodies and headers at their limits: one byte less, exactly as many, one more, and far too many.

use anyhow::Result;
use orderly_e2e::{Message, System, eventually, place};
use orderly_runtime::broker::{Broker, Publisher};
use orderly_runtime::config::Config;
use orderly_runtime::letter::LETTER_BODY_MAX;
use orderly_runtime::message::Outgoing;
use sha2::{Digest, Sha256};
use tokio_postgres::Client;

/// The longest body that a worker of this system reads.
fn limit(system: &System) -> Result<usize> {
    let variables = system.environment().iter().map(|(name, value)| (name.clone(), value.clone()));
    Ok(Config::read(orderly_contracts::routes::Party::Order, variables)?.body_bytes_max)
}

/// A body with an unknown field in front that makes it exactly so long.
fn padded(body: &str, bytes: usize) -> Vec<u8> {
    let missing = bytes - body.len() - r#""x":"","#.len();
    let body = body.replacen('{', &format!("{{\"x\":\"{}\",", "x".repeat(missing)), 1);
    assert_eq!(body.len(), bytes);
    body.into_bytes()
}

/// A message to each worker, each with a body of so many bytes.
fn messages(bytes: usize) -> Vec<Message> {
    let id = |service: &str| format!("{service}-{bytes}");
    let adjust = format!(r#"{{"adjustment_id":"a{bytes}","sku":"mug","delta":1}}"#);
    let place = format!(
        r#"{{"order_id":"o{bytes}","lines":[{{"sku":"lamp","quantity":1,"unit_price":250}}],"currency":"GBP","payment_token":"tok_visa"}}"#
    );
    let refund = format!(r#"{{"order_id":"r{bytes}"}}"#);
    [
        ("order", "order.place.v1", place),
        ("stock", "stock.adjust.v1", adjust),
        ("payment", "payment.refund.v1", refund),
    ]
    .map(|(service, kind, body)| Message::raw(kind, &id(service), padded(&body, bytes)))
    .to_vec()
}

/// The letter about a message: its reason, how much of its body it holds, and what is said of the rest.
async fn letter(client: &Client, id: &str) -> Result<(String, i32, Option<i64>, Option<String>)> {
    eventually(&format!("the letter about {id}"), async || {
        let sql = "SELECT reason, octet_length(body), whole_bytes, whole_sha256
                   FROM dead_letters WHERE message_id = $1";
        let row = client.query_opt(sql, &[&id]).await?;
        Ok(row.map(|row| (row.get(0), row.get(1), row.get(2), row.get(3))))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_body_is_read_up_to_its_limit_kept_up_to_a_letters_and_cut_beyond() -> Result<()> {
    let system = System::start().await?;
    let limit = limit(&system)?;
    let databases = &system.databases;
    let clients =
        [("order", &databases.order), ("stock", &databases.stock), ("payment", &databases.payment)];
    system.client.stock_up(&[("lamp", 10)]).await?;
    databases.item_reaches("lamp", 10, 0).await?;
    for bytes in [limit - 1, limit] {
        system.client.publish(messages(bytes)).await?;
        for (service, client) in clients {
            let id = format!("{service}-{bytes}");
            eventually(&format!("{id} to be read"), async || {
                let sql = "SELECT 1 FROM inbox WHERE message_id = $1";
                Ok(client.query_opt(sql, &[&id]).await?.map(|_| ()))
            })
            .await?;
        }
        databases.reaches(&format!("o{bytes}"), "confirmed").await?;
    }
    // The last is as long as the broker takes anything at all.
    for bytes in [limit + 1, LETTER_BODY_MAX, LETTER_BODY_MAX + 1, 2 * LETTER_BODY_MAX] {
        let sent = messages(bytes);
        system.client.publish(sent.clone()).await?;
        for ((service, client), message) in clients.into_iter().zip(&sent) {
            let (reason, kept, whole, sha256) =
                letter(client, &format!("{service}-{bytes}")).await?;
            assert_eq!(
                (reason.as_str(), kept as usize),
                ("body_too_large", bytes.min(LETTER_BODY_MAX))
            );
            let is_cut = bytes > LETTER_BODY_MAX;
            assert_eq!(whole, is_cut.then_some(bytes as i64));
            let hash = Sha256::digest(&message.body).iter().map(|b| format!("{b:02x}")).collect();
            assert_eq!(sha256, is_cut.then_some(hash));
        }
    }
    system.expect_clean_audit().map(drop)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_broker_does_not_take_reaches_nobody() -> Result<()> {
    let system = System::start().await?;
    system.client.stock_up(&[("lamp", 10)]).await?;
    system.databases.item_reaches("lamp", 10, 0).await?;
    for bytes in [2 * LETTER_BODY_MAX + 1, 16 << 20] {
        let Message { exchange, routing_key, properties, body } = messages(bytes).remove(0);
        let message = Outgoing { exchange, routing_key, mandatory: true, properties, body };
        let mut publisher = system.client.broker().publisher().await?;
        let refused = publisher.publish(&[message]).await.expect_err("the broker must not take it");
        assert!(refused.to_string().contains("larger than configured"), "{refused}");
    }
    system.client.publish([place("next", "lamp", 1, "tok_visa")]).await?;
    system.databases.reaches("next", "confirmed").await?;
    for worker in system.running() {
        assert!((worker.metric("orderly_sessions_total")? - 1.0).abs() < 0.1, "it began anew");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_are_read_up_to_64_kib_and_refused_beyond() -> Result<()> {
    let system = System::start().await?;
    system.client.stock_up(&[("lamp", 10)]).await?;
    system.databases.item_reaches("lamp", 10, 0).await?;
    // A text counts its own length and five bytes more, and its name counts as well.
    let with_headers = |order: &str, bytes: usize| {
        let text = "x".repeat(bytes - "large".len() - 5);
        place(order, "lamp", 1, "tok_visa").with(|p| p.set_header("large", text))
    };
    let limit = 64 * 1024;
    system.client.publish([with_headers("exact", limit), with_headers("more", limit + 1)]).await?;
    system.databases.reaches("exact", "confirmed").await?;
    let (reason, ..) = letter(&system.databases.order, "place-more").await?;
    assert_eq!(reason, "body_too_large");
    assert_eq!(system.databases.order("more").await?, None);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_longest_letter_that_can_be_gets_past_the_broker() -> Result<()> {
    let system = System::start().await?;
    // As much as a frame takes, of a character that JSON writes as six.
    let text = "\0".repeat(120_000);
    let body = vec![b'{'; LETTER_BODY_MAX];
    let message = Message::raw("order.place.v1", "long", body).with(|p| p.set_header("x", text));
    system.client.publish([message]).await?;
    let (reason, kept, whole, _) = letter(&system.databases.order, "long").await?;
    assert_eq!((reason.as_str(), kept as usize, whole), ("body_too_large", LETTER_BODY_MAX, None));
    let sql = "SELECT octet_length(properties) FROM dead_letters WHERE message_id = 'long'";
    let properties: i32 = system.databases.order.query_one(sql, &[]).await?.get(0);
    assert!(properties > 720_000, "{properties} bytes of properties");
    Ok(())
}

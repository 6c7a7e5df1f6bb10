//! Bad input: every bad message ends as an explained dead letter and harms no neighbour.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use orderly_e2e::{Message, System, eventually, place};
use orderly_runtime::message::{HeaderValue, Properties};
use serde_json::{Value, json};

fn order(order_id: &str, lines: &Value) -> Value {
    json!({ "order_id": order_id, "lines": lines, "currency": "GBP", "payment_token": "tok_visa" })
}

fn line(quantity: &Value, unit_price: i64) -> Value {
    json!({ "sku": "lamp", "quantity": quantity, "unit_price": unit_price })
}

/// Every kind of bad message, with the reason it is given up for and a word of the explanation.
/// `tag` keeps the ids of two sets apart.
fn bad_messages(tag: &str) -> Vec<(Message, &'static str, &'static str)> {
    let kind = "order.place.v1";
    let id = |name: &str| format!("{name}-{tag}");
    let raw = |name: &str, body: &[u8]| Message::raw(kind, &id(name), body);
    let body = |name: &str, body: &Value| Message::new(kind, &id(name), body);
    let good = |name: &str| place(&id(name), "lamp", 1, "tok_visa");
    let lines = |count: usize| Value::Array(vec![line(&json!(1), 1); count]);
    let deep = format!("{}{}", "[".repeat(200), "]".repeat(200));
    let twenty = r#"{"order_id":"o","lines":[{"sku":"lamp","quantity":12345678901234567890,"unit_price":1}],"currency":"GBP","payment_token":"t"}"#;
    let max_price = 1_000_000_000_000i64;
    vec![
        (raw("empty", b""), "empty_body", "empty"),
        (raw("utf8", b"{\"order_id\":\"\xff\xfe\"}"), "invalid_utf8", "UTF-8"),
        (raw("truncated", br#"{"order_id": "o""#), "invalid_json", "JSON"),
        (raw("array", b"[]"), "invalid_content", ""),
        (raw("null", b"null"), "invalid_content", ""),
        (raw("number", b"17"), "invalid_content", ""),
        (body("missing", &json!({ "order_id": "o" })), "invalid_content", "missing field"),
        (body("nul", &order("a\0b", &json!([line(&json!(1), 1)]))), "invalid_content", "order_id"),
        (raw("twenty-digits", twenty.as_bytes()), "invalid_content", "quantity"),
        (
            body("negative", &order("o", &json!([line(&json!(-1), 1)]))),
            "invalid_content",
            "quantity",
        ),
        (body("zero", &order("o", &json!([line(&json!(0), 1)]))), "invalid_content", "quantity"),
        (
            body(
                "overflow",
                &order("o", &Value::Array(vec![line(&json!(1_000_000), max_price); 9])),
            ),
            "invalid_content",
            "total",
        ),
        (body("no-lines", &order("o", &json!([]))), "invalid_content", "at least one"),
        (body("lines", &order("o", &lines(10_000))), "invalid_content", "2000"),
        (raw("long", &vec![b' '; (1 << 20) + 1]), "body_too_large", "1048576"),
        (raw("deep", deep.as_bytes()), "invalid_json", ""),
        (
            good("type").with(|p| p.kind = Some("order.plaice.v1".into())),
            "unknown_type",
            "order.place.v1",
        ),
        (good("no-type").with(|p| p.kind = None), "unknown_type", "missing"),
        (
            good("version").with(|p| p.kind = Some("order.place.v2".into())),
            "unsupported_version",
            "order.place.v1",
        ),
        (
            good("content-type").with(|p| p.content_type = Some("text/xml".into())),
            "wrong_content_type",
            "application/json",
        ),
        (
            good("long-id").with(|p| p.message_id = Some(format!("{tag}{}", "x".repeat(200)))),
            "invalid_message_id",
            "128",
        ),
        (
            good("odd-id").with(|p| p.message_id = Some(format!("ümlaut-{tag}"))),
            "invalid_message_id",
            "message_id",
        ),
    ]
}

/// The letters of the order worker, by a name that bad ids don't spoil: id, else reason.
async fn letters(system: &System) -> Result<BTreeMap<String, (String, String)>> {
    system.databases.letters(&system.databases.order).await
}

fn key(message: &Message) -> String {
    message.properties.message_id.clone().unwrap_or_default()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_orders_among_good_ones_and_alone_are_explained_and_harm_nobody() -> Result<()> {
    let system = System::start().await?;
    let (client, databases) = (&system.client, &system.databases);
    client.stock_up(&[("lamp", 1_000)]).await?;
    databases.item_reaches("lamp", 1_000, 0).await?;

    let among = bad_messages("among");
    let mut batch: Vec<Message> =
        (0..200).map(|n| place(&format!("good-{n}"), "lamp", 1, "tok_visa")).collect();
    for (n, (bad, _, _)) in among.iter().enumerate() {
        batch.insert(n * 9, bad.clone());
    }
    client.publish(batch).await?;
    let outcomes = databases.settled(200).await?;
    assert_eq!(outcomes, BTreeMap::from([("confirmed".to_owned(), 200)]));

    for (alone, _, _) in bad_messages("alone") {
        let name = key(&alone);
        client.publish([alone]).await?;
        eventually(&format!("the letter of {name}"), async || {
            Ok(letters(&system).await?.contains_key(&name).then_some(()))
        })
        .await?;
    }
    let filed = letters(&system).await?;
    for (bad, reason, word) in among.iter().chain(&bad_messages("alone")) {
        let (found, text) = filed.get(&key(bad)).with_context(|| format!("no {}", key(bad)))?;
        assert_eq!(found, reason, "{}: {text}", key(bad));
        assert!(text.contains(word), "{}: {text:?} should say {word:?}", key(bad));
        let sql = "SELECT body FROM dead_letters WHERE message_id = $1 AND queue = 'order.new'";
        let row = databases.order.query_one(sql, &[&key(bad)]).await?;
        assert!(row.get::<_, Vec<u8>>(0) == bad.body, "the body of {} was kept", key(bad));
    }
    databases.item_reaches("lamp", 800, 0).await?;
    databases.expect_conserved().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_without_id_an_unknown_word_and_a_forged_answer_are_explained() -> Result<()> {
    let system = System::start().await?;
    let (client, databases) = (&system.client, &system.databases);
    let unknown_word = json!({ "order_id": "o", "reason": "moonlight" });
    let mut forged = Message::new("stock.reserved.v1", "forged", &json!({ "order_id": "o" }));
    forged.exchange = String::new();
    forged.routing_key = "order.answers".to_owned();
    // As a client could: with his own right to cancel, and headers of the ladder's names.
    let mut disguised = Message::new("stock.reserved.v1", "disguised", &json!({ "order_id": "o" }));
    disguised.exchange = "orderly.commands".to_owned();
    disguised.routing_key = "order.cancel.v1".to_owned();
    disguised.properties.set_header("orderly-attempts", 1);
    disguised.properties.set_header("orderly-exchange", "orderly.events");
    disguised.properties.set_header("orderly-routing-key", "stock.reserved.v1");
    client
        .publish([
            place("o", "lamp", 1, "tok_visa").with(|p| p.message_id = None),
            Message::new("stock.rejected.v1", "unknown-word", &unknown_word),
            forged,
            disguised,
        ])
        .await?;
    let filed = eventually("four letters", async || {
        Ok(Some(letters(&system).await?).filter(|filed| filed.len() == 4))
    })
    .await?;
    assert_eq!(filed[""].0, "missing_message_id");
    assert!(filed[""].1.contains("set it to an id"), "it says how: {}", filed[""].1);
    assert_eq!(filed["unknown-word"].0, "invalid_content");
    assert!(filed["unknown-word"].1.contains("moonlight"));
    assert_eq!(filed["forged"].0, "wrong_route");
    assert_eq!(filed["disguised"].0, "wrong_route");
    assert_eq!(databases.order("o").await?, None);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_same_id_with_another_body_is_dead_and_the_same_order_id_is_an_event() -> Result<()> {
    let system = System::start().await?;
    let (client, databases) = (&system.client, &system.databases);
    client.stock_up(&[("lamp", 10)]).await?;
    databases.item_reaches("lamp", 10, 0).await?;
    client.publish([place("one", "lamp", 1, "tok_visa")]).await?;
    databases.reaches("one", "confirmed").await?;

    // The same message again is no news; its id with another body is a mistake.
    client.publish([place("one", "lamp", 1, "tok_visa")]).await?;
    let mut other = place("two", "lamp", 1, "tok_visa");
    other.properties.message_id = Some("place-one".to_owned());
    client.publish([other]).await?;
    // Other content under the same order id is told to everybody, and is no dead letter.
    let conflicting = place("one", "lamp", 5, "tok_visa")
        .with(|p| p.message_id = Some("place-one-otherwise".to_owned()));
    let repeated = place("one", "lamp", 1, "tok_visa")
        .with(|p| p.message_id = Some("place-one-again".to_owned()));
    client.publish([conflicting, repeated]).await?;
    let said = async |cause: &str| {
        eventually(&format!("what {cause} led to"), async || {
            let sql = "SELECT output->>'routing_key', output->>'body'
                       FROM batches, json_array_elements(outputs::json) AS output
                       WHERE output->>'cause' = $1";
            let row = databases.order.query_opt(sql, &[&cause]).await?;
            Ok(row.map(|row| (row.get::<_, String>(0), row.get::<_, String>(1))))
        })
        .await
    };
    let (kind, body) = said("place-one-otherwise").await?;
    assert_eq!(kind, "order.conflicted.v1");
    assert_eq!(body, r#"{"order_id":"one","refused_message_id":"place-one-otherwise"}"#);
    assert_eq!(said("place-one-again").await?.0, "order.unchanged.v1");
    let filed = eventually("the letter", async || {
        Ok(Some(letters(&system).await?).filter(|filed| !filed.is_empty()))
    })
    .await?;
    assert_eq!(filed.len(), 1);
    assert_eq!(filed["place-one"].0, "id_conflict");
    assert_eq!(databases.order("two").await?, None);
    databases.item_reaches("lamp", 9, 0).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn headers_of_every_type_pass_through_and_are_kept_in_a_dead_letter() -> Result<()> {
    let system = System::start().await?;
    let (client, databases) = (&system.client, &system.databases);
    let values = [
        ("void", HeaderValue::Void),
        ("bool", HeaderValue::Bool(true)),
        ("i8", HeaderValue::I8(-8)),
        ("u8", HeaderValue::U8(8)),
        ("i16", HeaderValue::I16(-16)),
        ("u16", HeaderValue::U16(16)),
        ("i32", HeaderValue::I32(-32)),
        ("u32", HeaderValue::U32(32)),
        ("i64", HeaderValue::I64(i64::MIN)),
        ("f32", HeaderValue::F32Bits(1.5f32.to_bits())),
        ("f64", HeaderValue::F64Bits((-0.1f64).to_bits())),
        ("decimal", HeaderValue::Decimal(2, 1234)),
        ("text", HeaderValue::Text("ünïcode \0 and nul".into())),
        ("text-bytes", HeaderValue::TextBytes(vec![0xff, 0, 0xfe])),
        ("bytes", HeaderValue::Bytes(vec![0, 1, 255])),
        ("timestamp", HeaderValue::Timestamp(1_700_000_000)),
        ("list", HeaderValue::List(vec![HeaderValue::Void, HeaderValue::I64(1)])),
        (
            "table",
            HeaderValue::Table(BTreeMap::from([("nested".into(), HeaderValue::Bool(false))])),
        ),
    ];
    let with_all = |properties: &mut Properties| {
        for (name, value) in &values {
            properties.set_header(name, value.clone());
        }
    };
    let good = place("good", "lamp", 1, "tok_visa").with(with_all);
    let bad = Message::raw("order.place.v1", "bad", "nonsense").with(with_all).with(|p| {
        p.reply_to = Some("somewhere".into());
        p.app_id = Some("a shop".into());
        p.priority = Some(3);
        p.timestamp = Some(1_700_000_000);
    });
    let sent = bad.properties.clone();
    client.publish([good, bad]).await?;
    databases.reaches("good", "rejected").await?;
    let sql = "SELECT properties FROM dead_letters WHERE message_id = 'bad'";
    let kept = eventually("the letter", async || {
        let row = databases.order.query_opt(sql, &[]).await?;
        Ok(row.map(|row| row.get::<_, String>(0)))
    })
    .await?;
    assert_eq!(serde_json::from_str::<Properties>(&kept)?, sent);
    Ok(())
}

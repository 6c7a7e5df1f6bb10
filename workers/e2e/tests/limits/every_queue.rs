//! The same mistakes in every kind of message, in every queue: each is explained, none harms another.

use std::collections::BTreeMap;

use anyhow::Result;
use orderly_contracts::catalogue::entry_of;
use orderly_contracts::routes::{PAYMENT_EFFECTS, Party, ROUTES, Route};
use orderly_e2e::{Message, System, eventually, place};
use orderly_runtime::message::Properties;

/// A name, a message, and the reason it is given up for.
type Mistake = (&'static str, Message, &'static str);

fn example(route: &Route) -> String {
    let example = entry_of(route.kind).expect("every route has an entry").example();
    String::from_utf8(example).expect("JSON is UTF-8")
}

/// Bodies that are wrong.
fn bodies(route: &Route) -> Vec<Mistake> {
    let example = example(route);
    let (first, rest) = example.split_once(',').unwrap_or((&example[..example.len() - 1], "}"));
    let rest = if rest == "}" { rest.to_owned() } else { format!(",{rest}") };
    let (name, _) = first.split_once(':').expect("a field has a value");
    // The first field is an id in all of them.
    let with = |value: &str| format!("{name}:{value}{rest}").into_bytes();
    let extra = |field: &str| example.replacen('{', &format!("{{{field},"), 1).into_bytes();
    let deep = format!("\"x\":{}{}", "[".repeat(200), "]".repeat(200));
    let mut invalid_utf8 = with("\"?\"");
    let place = invalid_utf8.iter().position(|byte| *byte == b'?').expect("it is there");
    invalid_utf8[place] = 0xff;
    [
        ("empty", vec![], "empty_body"),
        ("truncated", example.as_bytes()[..example.len() - 1].to_vec(), "invalid_json"),
        ("byte-order-mark", [b"\xef\xbb\xbf", example.as_bytes()].concat(), "invalid_json"),
        ("nan", extra("\"x\":NaN"), "invalid_json"),
        ("nul-byte", with("\"a\0b\""), "invalid_json"),
        ("nul-escaped", with("\"a\\u0000b\""), "invalid_content"),
        ("twice", [example.as_bytes(), example.as_bytes()].concat(), "invalid_json"),
        ("same-field-twice", extra(&first[1..]), "invalid_content"),
        ("deep", extra(&deep), "invalid_json"),
        ("huge-number", with("1e400"), "invalid_content"),
        ("twenty-digits", with("12345678901234567890"), "invalid_content"),
        ("not-utf8", invalid_utf8, "invalid_utf8"),
        ("list", b"[]".to_vec(), "invalid_content"),
        ("missing-field", b"{}".to_vec(), "invalid_content"),
        ("encoded-twice", serde_json::to_vec(&example).expect("a text"), "invalid_content"),
    ]
    .map(|(mistake, body, reason)| (mistake, Message::raw(route.kind, "", body), reason))
    .to_vec()
}

/// Good bodies in wrong envelopes.
fn envelopes(route: &Route) -> Vec<Mistake> {
    let kind = route.kind;
    let changed = |change: &dyn Fn(&mut Properties)| {
        Message::raw(kind, "", example(route)).with(|p| change(p))
    };
    let version = kind.replace(".v1", ".v2");
    let mut mistakes = vec![
        ("version", changed(&|p| p.kind = Some(version.clone())), "unsupported_version"),
        ("type", changed(&|p| p.kind = Some("order.plaice.v1".into())), "unknown_type"),
        ("no-type", changed(&|p| p.kind = None), "unknown_type"),
        ("xml", changed(&|p| p.content_type = Some("text/xml".into())), "wrong_content_type"),
        ("gzip", changed(&|p| p.content_encoding = Some("gzip".into())), "wrong_content_type"),
    ];
    if route.sender != Party::Client {
        // Put into the queue past the exchange that guards who may send it.
        let mut message = changed(&|_| ());
        message.exchange = String::new();
        message.routing_key = route.consumer.map_or("", |(_, queue)| queue).to_owned();
        mistakes.push(("forged", message, "wrong_route"));
    }
    mistakes
}

/// Good messages without an id, or with one that is none.
fn ids(route: &Route) -> Vec<Mistake> {
    [
        ("no-id", None, "missing_message_id"),
        ("empty-id", Some(String::new()), "missing_message_id"),
        ("long-id", Some("x".repeat(129)), "invalid_message_id"),
        ("odd-id", Some("a b\0ü".to_owned()), "invalid_message_id"),
    ]
    .map(|(mistake, id, reason)| {
        // Without an id the body alone tells two letters apart.
        let body = example(route) + &" ".repeat(mistake.len());
        (mistake, Message::raw(route.kind, "", body).with(|p| p.message_id = id), reason)
    })
    .to_vec()
}

/// A message of `route` for each mistake, and the reason it is given up for. The mistake's name is the
/// correlation id, as some have no message id.
fn mistakes(route: &Route) -> Vec<(String, Message, &'static str)> {
    let with_ids = bodies(route).into_iter().chain(envelopes(route)).map(|mistake| {
        let (name, message, reason) = mistake;
        let id = format!("{}:{name}", route.kind);
        (name, message.with(|p| p.message_id = Some(id)), reason)
    });
    with_ids
        .chain(ids(route))
        .map(|(name, message, reason)| {
            let name = format!("{}:{name}", route.kind);
            let correlation = Some(name.clone());
            (name, message.with(|p| p.correlation_id = correlation), reason)
        })
        .collect()
}

/// The dead letters of all workers: the mistake's name and what was given up for it.
async fn letters(system: &System) -> Result<BTreeMap<String, String>> {
    let databases = &system.databases;
    let mut letters = BTreeMap::new();
    for client in [&databases.order, &databases.stock, &databases.payment] {
        let sql = "SELECT correlation_id, reason FROM dead_letters WHERE correlation_id LIKE '%:%'";
        let rows = client.query(sql, &[]).await?;
        letters.extend(rows.iter().map(|row| (row.get(0), row.get(1))));
    }
    Ok(letters)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_mistake_in_every_kind_is_explained_and_the_next_order_goes_through() -> Result<()> {
    let system = System::start().await?;
    let consumed = ROUTES.iter().filter(|route| route.consumer.is_some());
    let all: Vec<(String, Message, &str)> = consumed.flat_map(mistakes).collect();
    assert!(all.len() > 400, "{} mistakes", all.len());
    system.client.stock_up(&[("lamp", 10)]).await?;
    system.databases.item_reaches("lamp", 10, 0).await?;
    system.client.publish(all.iter().map(|(_, message, _)| message.clone())).await?;
    let expected: BTreeMap<String, String> =
        all.iter().map(|(name, _, reason)| (name.clone(), (*reason).to_owned())).collect();
    let filed = eventually("a letter for each", async || {
        Ok(Some(letters(&system).await?).filter(|filed| filed.len() >= expected.len()))
    });
    if let Err(error) = filed.await {
        let filed = letters(&system).await?;
        let missing: Vec<_> = expected.keys().filter(|name| !filed.contains_key(*name)).collect();
        anyhow::bail!("{error}: {missing:?}");
    }
    let filed = letters(&system).await?;
    for (name, reason) in &expected {
        assert_eq!(filed.get(name), Some(reason), "{name}");
    }
    assert_eq!(filed.len(), expected.len());

    system.client.publish([place("good", "lamp", 1, "tok_visa")]).await?;
    system.databases.reaches("good", "confirmed").await?;
    for worker in system.running() {
        assert!((worker.metric("orderly_sessions_total")? - 1.0).abs() < 0.1, "it began anew");
        // What a stranger writes is no label, or there would be no end to them.
        let page = worker.get("/metrics")?;
        assert!(!page.contains("plaice") && !page.contains("v2\""), "{page}");
        let series = page.lines().filter(|line| !line.starts_with('#')).count();
        assert!(series < 600, "{series} series");
    }
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_field_that_nobody_knows_is_no_mistake_in_any_kind() -> Result<()> {
    let system = System::start().await?;
    let consumed: Vec<_> = ROUTES.iter().filter(|route| route.consumer.is_some()).collect();
    let messages = consumed.iter().map(|route| {
        let example = entry_of(route.kind).expect("every route has an entry").example();
        let body = String::from_utf8_lossy(&example).replacen('{', "{\"since\":\"v1.1\",", 1);
        let correlation = Some(format!("{}:unknown-field", route.kind));
        Message::raw(route.kind, &format!("{}-unknown-field", route.kind), body)
            .with(|p| p.correlation_id = correlation)
    });
    system.client.publish(messages).await?;
    let databases = &system.databases;
    for route in consumed {
        let Some((party, queue)) = route.consumer else { continue };
        let client = match party {
            Party::Stock => &databases.stock,
            Party::Payment => &databases.payment,
            _ => &databases.order,
        };
        // Calls to the outside have no inbox; what shows is the answer.
        let (kind, id) = match queue {
            PAYMENT_EFFECTS => ("payment.executed.v1".to_owned(), "%-%".to_owned()),
            _ => (route.kind.to_owned(), format!("{}-unknown-field", route.kind)),
        };
        eventually(&format!("{} to be read", route.kind), async || {
            let sql = "SELECT 1 FROM inbox WHERE kind = $1 AND message_id LIKE $2
                       UNION ALL
                       SELECT 1 FROM dead_letters WHERE kind = $1 AND reason = 'unknown_order'";
            Ok(client.query(sql, &[&kind, &id]).await?.first().map(|_| ()))
        })
        .await?;
    }
    // A charge for an order that nobody placed was read, and then found to need a person.
    let filed = letters(&system).await?;
    let only = BTreeMap::from([(
        "payment.charged.v1:unknown-field".to_owned(),
        "unknown_order".to_owned(),
    )]);
    assert!(filed.is_empty() || filed == only, "{filed:?}");
    Ok(())
}

//! The drain: whatever lies in the queue of dead letters is filed, also what no database takes.

use std::sync::Arc;
use std::time::{Duration, Instant};

use orderly_contracts::routes::STOCK_COMMANDS;
use orderly_contracts::{Reason, Refusal};
use orderly_devstack::TestBed;
use orderly_runtime::broker::{Broker, Publisher};
use orderly_runtime::clock::{Clock, SystemClock};
use orderly_runtime::drain::Drain;
use orderly_runtime::health::Health;
use orderly_runtime::letter::{LETTER_BODY_MAX, Letter};
use orderly_runtime::message::{Delivery, Properties};
use orderly_runtime::postgres::connect::client;
use orderly_runtime::stop;

use uuid::Uuid;

use crate::broker::memory as memory_broker;
use crate::counters::Counters;
use crate::stores::{address, postgres};

fn letter(message_id: &str, body: Vec<u8>) -> Letter {
    let delivery = Delivery {
        tag: 1,
        returns: 0,
        exchange: "orderly.commands".to_owned(),
        routing_key: "stock.adjust.v1".to_owned(),
        properties: Properties { message_id: Some(message_id.to_owned()), ..Properties::default() },
        body,
    };
    let refusal = Refusal::new(Reason::Poison, "why");
    Letter::about(&delivery, STOCK_COMMANDS, "test", &refusal, SystemClock.now())
}

/// A message id that no broker carries, and no index takes: a stranger wrote the letter by hand.
fn forged() -> Letter {
    let mut letter = letter("forged", b"body".to_vec());
    let word = |n: u32| Uuid::new_v5(&Uuid::NAMESPACE_OID, &n.to_be_bytes()).simple().to_string();
    let id = (0..300).map(word).collect();
    letter.explanation.properties.message_id = Some(id);
    letter.explanation.properties.set_header("mine", "lost");
    letter
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_letter_that_the_database_refuses_is_filed_bare_and_its_neighbours_whole()
-> anyhow::Result<()> {
    let bed = TestBed::new()?;
    let store = Arc::new(postgres(&bed).await?);
    let broker = Arc::new(memory_broker());
    let before = letter("before", b"one".to_vec());
    let long = letter("long", vec![7; LETTER_BODY_MAX + 1]);
    // A drain that crashed before its ack finds the same letter again.
    let letters = [before.clone(), before, forged(), long];
    let outgoing: Vec<_> = letters.iter().map(Letter::outgoing).collect();
    broker.publisher().await?.publish(&outgoing).await?;
    let (stopper, stop) = stop::channel();
    let drain = Drain {
        broker: broker.clone(),
        is_careful: false,
        store,
        clock: Arc::new(SystemClock),
        worker: "test".to_owned(),
        health: Health::default(),
        stop,
    };
    let running = tokio::spawn(drain.run::<Counters>());
    let client = client(&address(&bed)?, "test").await?;
    let count = "SELECT count(*) FROM dead_letters";
    let deadline = Instant::now() + Duration::from_secs(20);
    while client.query_one(count, &[]).await?.get::<_, i64>(0) < 3 {
        anyhow::ensure!(!running.is_finished(), "it ended: {:?}", running.await?);
        anyhow::ensure!(Instant::now() < deadline, "the letters are still not filed");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    stopper.request();
    running.await??;

    let filed = "SELECT left(message_id, 6), explanation, octet_length(body), whole_bytes
                 FROM dead_letters ORDER BY octet_length(body)";
    let rows = client.query(filed, &[]).await?;
    let rows: Vec<(String, String, i32, Option<i64>)> =
        rows.iter().map(|row| (row.get(0), row.get(1), row.get(2), row.get(3))).collect();
    let max = LETTER_BODY_MAX as i32;
    assert_eq!(rows[0], ("before".to_owned(), "why".to_owned(), 3, None));
    assert_eq!(rows[2], ("long".to_owned(), "why".to_owned(), max, Some(i64::from(max) + 1)));
    let sum = "SELECT sum(occurrences)::bigint FROM dead_letters";
    assert_eq!(client.query_one(sum, &[]).await?.get::<_, i64>(0), 3, "it is the same death");
    let (_, text, bytes, _) = &rows[1];
    assert_eq!((*bytes, rows.len()), (4, 3));
    assert!(text.starts_with("why (filed without its headers: index row"), "{text}");
    Ok(())
}

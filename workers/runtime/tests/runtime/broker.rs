//! The suite for brokers.

use std::sync::Arc;
use std::time::Duration;

use orderly_contracts::routes::{COMMANDS, Party, STOCK_COMMANDS};
use orderly_devstack::TestBed;
use orderly_runtime::amqp::broker::AmqpBroker;
use orderly_runtime::amqp::declare::declare;
use orderly_runtime::broker::{Acks, Broker, Confirmation, Deliveries, Publisher};
use orderly_runtime::clock::{Micros, SystemClock, SystemEntropy};
use orderly_runtime::config::Reader;
use orderly_runtime::memory::broker::MemoryBroker;
use orderly_runtime::message::{Delivery, HeaderValue, Outgoing, Properties};
use orderly_runtime::retry::{Attempts, Ladder, Past, Setback};
use orderly_runtime::topology::{DEAD, WORKERS, dead_queue, queues};

type Outcome = anyhow::Result<()>;

const KIND: &str = "stock.reserve.v1";

pub(crate) fn ladder() -> Ladder {
    Ladder::new(vec![Duration::from_millis(50), Duration::from_millis(100)])
}

pub(crate) fn memory() -> MemoryBroker {
    let all = WORKERS.into_iter().flat_map(|party| queues(party, &ladder()));
    MemoryBroker::new(all, Arc::new(SystemClock))
}

pub(crate) async fn rabbitmq(bed: &TestBed) -> anyhow::Result<AmqpBroker> {
    let address = Reader::new(bed.env())
        .address("ORDERLY_BROKER", &["amqp"])
        .ok_or_else(|| anyhow::anyhow!("no broker"))?;
    let broker = AmqpBroker::connect(&address, "test").await?;
    declare(&broker, &ladder()).await?;
    Ok(broker)
}

macro_rules! conforms {
    ($($test:ident),* $(,)?) => {
        mod memory_broker {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() -> super::Outcome {
                super::$test(&super::memory()).await
            })*
        }
        mod rabbitmq_broker {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() -> super::Outcome {
                let bed = orderly_devstack::TestBed::new()?;
                super::$test(&super::rabbitmq(&bed).await?).await
            })*
        }
    };
}

conforms!(
    what_is_published_arrives_unchanged_and_in_order,
    what_nobody_is_bound_for_returns_if_mandatory,
    prefetch_bounds_what_is_unsettled,
    what_is_not_acknowledged_comes_back_counted,
    a_cancelled_consumer_ends,
    a_failed_message_comes_back_from_the_ladder,
    a_dead_letter_reaches_the_queue_of_its_worker,
);

fn message(id: &str) -> Outgoing {
    let mut properties = Properties {
        message_id: Some(id.to_owned()),
        kind: Some(KIND.to_owned()),
        delivery_mode: Some(2),
        timestamp: Some(1_700_000_000),
        ..Properties::default()
    };
    properties.set_header("number", HeaderValue::I64(7));
    properties.set_header("nested", HeaderValue::List(vec![HeaderValue::Bool(true)]));
    Outgoing {
        exchange: COMMANDS.to_owned(),
        routing_key: KIND.to_owned(),
        mandatory: true,
        properties,
        body: id.as_bytes().to_vec(),
    }
}

async fn publish(broker: &impl Broker, messages: &[Outgoing]) -> anyhow::Result<()> {
    let confirmations = broker.publisher().await?.publish(messages).await?;
    assert!(confirmations.iter().all(|one| *one == Confirmation::Confirmed));
    Ok(())
}

async fn next(deliveries: &mut impl Deliveries) -> anyhow::Result<Delivery> {
    let next = tokio::time::timeout(Duration::from_secs(20), deliveries.next()).await??;
    next.ok_or_else(|| anyhow::anyhow!("the consumer ended"))
}

async fn what_is_published_arrives_unchanged_and_in_order(broker: &impl Broker) -> Outcome {
    let sent: Vec<Outgoing> = (0..50).map(|n| message(&format!("m{n}"))).collect();
    publish(broker, &sent).await?;
    let (mut deliveries, mut acks) = broker.consume(STOCK_COMMANDS, 100).await?;
    for (n, sent) in sent.iter().enumerate() {
        let delivery = next(&mut deliveries).await?;
        assert_eq!(delivery.tag, n as u64 + 1);
        assert_eq!(delivery.returns, 0);
        assert_eq!(
            (&delivery.exchange, &delivery.routing_key),
            (&sent.exchange, &sent.routing_key)
        );
        assert_eq!((&delivery.properties, &delivery.body), (&sent.properties, &sent.body));
    }
    acks.ack_up_to(50).await?;
    acks.close().await?;
    assert_eq!(broker.depth(STOCK_COMMANDS).await?.ready, 0);
    Ok(())
}

async fn what_nobody_is_bound_for_returns_if_mandatory(broker: &impl Broker) -> Outcome {
    let lost = Outgoing { routing_key: "nobody.wants.v1".to_owned(), ..message("lost") };
    let public = Outgoing { mandatory: false, ..lost.clone() };
    let window = [message("a"), lost, message("b"), public];
    let confirmations = broker.publisher().await?.publish(&window).await?;
    use Confirmation::{Confirmed, Returned};
    assert_eq!(confirmations, [Confirmed, Returned, Confirmed, Confirmed]);
    Ok(())
}

async fn prefetch_bounds_what_is_unsettled(broker: &impl Broker) -> Outcome {
    publish(broker, &["a", "b", "c", "d", "e"].map(message)).await?;
    let (mut deliveries, mut acks) = broker.consume(STOCK_COMMANDS, 2).await?;
    next(&mut deliveries).await?;
    next(&mut deliveries).await?;
    let third = tokio::time::timeout(Duration::from_millis(300), deliveries.next()).await;
    assert!(third.is_err(), "a third came though two are unsettled");
    acks.ack_up_to(2).await?;
    assert_eq!(next(&mut deliveries).await?.body, b"c");
    Ok(())
}

async fn what_is_not_acknowledged_comes_back_counted(broker: &impl Broker) -> Outcome {
    publish(broker, &["a", "b", "c"].map(message)).await?;
    let (mut deliveries, mut acks) = broker.consume(STOCK_COMMANDS, 10).await?;
    for _ in 0..3 {
        next(&mut deliveries).await?;
    }
    acks.ack_up_to(1).await?;
    acks.close().await?;
    drop(deliveries);
    let (mut deliveries, _acks) = broker.consume(STOCK_COMMANDS, 10).await?;
    let (second, third) = (next(&mut deliveries).await?, next(&mut deliveries).await?);
    assert_eq!((second.body, second.returns), (b"b".to_vec(), 1));
    assert_eq!((third.body, third.returns), (b"c".to_vec(), 1));
    Ok(())
}

async fn a_cancelled_consumer_ends(broker: &impl Broker) -> Outcome {
    let (mut deliveries, acks) = broker.consume(STOCK_COMMANDS, 10).await?;
    assert_eq!(broker.depth(STOCK_COMMANDS).await?.consumers, 1);
    deliveries.cancel().await?;
    // The end may be come upon while gathering a batch; it must be told again to who waits.
    while deliveries.buffered()?.is_some() {}
    tokio::time::sleep(Duration::from_millis(50)).await;
    while deliveries.buffered()?.is_some() {}
    let end = tokio::time::timeout(Duration::from_secs(20), deliveries.next()).await??;
    assert_eq!(end, None);
    acks.close().await?;
    assert_eq!(broker.depth(STOCK_COMMANDS).await?.consumers, 0);
    Ok(())
}

async fn a_failed_message_comes_back_from_the_ladder(broker: &impl Broker) -> Outcome {
    publish(broker, &[message("a")]).await?;
    let (mut deliveries, mut acks) = broker.consume(STOCK_COMMANDS, 10).await?;
    for failed in 0..2u32 {
        let delivery = next(&mut deliveries).await?;
        assert_eq!(Past::of(&delivery).attempts, failed);
        assert_eq!(
            (delivery.properties.message_id.as_deref(), &*delivery.body),
            (Some("a"), &b"a"[..])
        );
        let copy = ladder()
            .next_attempt(&delivery, STOCK_COMMANDS, Setback::Asked, Micros(1), &SystemEntropy)
            .ok_or_else(|| anyhow::anyhow!("exhausted too early"))?;
        publish(broker, &[copy]).await?;
        acks.ack_up_to(delivery.tag).await?;
    }
    let last = next(&mut deliveries).await?;
    let again = |ladder: Ladder, delivery, setback| {
        ladder.next_attempt(delivery, STOCK_COMMANDS, setback, Micros(1), &SystemEntropy)
    };
    assert!(again(ladder(), &last, Setback::Asked).is_none());
    // Each setback is worth its own number of attempts: two have failed here.
    let attempts = Attempts { conflict: 3, asked: 2, outside: 9 };
    let long = Ladder::new(vec![Duration::from_millis(50); 4]).with_attempts(attempts);
    assert!(again(long.clone(), &last, Setback::Asked).is_none());
    assert!(again(long.clone(), &last, Setback::Conflict).is_some());
    assert!(again(long, &last, Setback::Outside).is_some());
    assert_eq!(last.properties.text_header("orderly-routing-key"), Some(KIND));
    Ok(())
}

async fn a_dead_letter_reaches_the_queue_of_its_worker(broker: &impl Broker) -> Outcome {
    let dead = Outgoing {
        exchange: DEAD.to_owned(),
        routing_key: STOCK_COMMANDS.to_owned(),
        ..message("dead")
    };
    publish(broker, &[dead]).await?;
    let (mut deliveries, _acks) = broker.consume(&dead_queue(Party::Stock), 10).await?;
    assert_eq!(next(&mut deliveries).await?.body, b"dead");
    Ok(())
}

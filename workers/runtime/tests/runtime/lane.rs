//! The loop over a queue: what becomes of good and bad messages, alone and in one batch.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use orderly_contracts::Reason;
use orderly_contracts::routes::{COMMANDS, ORDER_ANSWERS, Party, STOCK_COMMANDS};
use orderly_devstack::TestBed;
use orderly_runtime::batch::Processor;
use orderly_runtime::breaker::BreakerLimits;
use orderly_runtime::broker::{Acks, Broker, Confirmation, Deliveries, Publisher};
use orderly_runtime::clock::{Clock, Micros, SystemClock, SystemEntropy};
use orderly_runtime::domain::Domain;
use orderly_runtime::gate::Gate;
use orderly_runtime::health::Health;
use orderly_runtime::intake::BatchLimits;
use orderly_runtime::lane::{Lane, Watermark};
use orderly_runtime::letter::Letter;
use orderly_runtime::message::{Delivery, Outgoing, Properties};
use orderly_runtime::reception::Reception;
use orderly_runtime::stop;
use orderly_runtime::store::{Store, Unit};
use orderly_runtime::topology::dead_queue;
use orderly_runtime::trouble::Trouble;
use orderly_runtime::unnoted::Unnoted;
use proptest::prelude::*;
use uuid::Uuid;

use crate::broker::{ladder, memory as memory_broker, rabbitmq};
use crate::counters::Counters;
use crate::stores::{memory as memory_store, postgres};

type Outcome = anyhow::Result<()>;

const BREAKER: BreakerLimits = BreakerLimits {
    failures_percent: 50,
    pause: Duration::from_millis(50),
    longest: Duration::from_millis(200),
};
pub(crate) const KIND: &str = "stock.adjust.v1";

pub(crate) fn message(id: &str, body: &str) -> Outgoing {
    Outgoing {
        exchange: COMMANDS.to_owned(),
        routing_key: KIND.to_owned(),
        mandatory: true,
        properties: Properties {
            message_id: Some(id.to_owned()),
            kind: Some(KIND.to_owned()),
            delivery_mode: Some(2),
            ..Properties::default()
        },
        body: body.as_bytes().to_vec(),
    }
}

pub(crate) fn lane<B: Broker, S: Store<Counters>>(
    broker: &Arc<B>,
    store: &Arc<S>,
    batch: usize,
    stop: stop::Stop,
) -> Lane<Counters, B, S> {
    Lane {
        broker: broker.clone(),
        reception: Reception {
            queue: STOCK_COMMANDS,
            body_bytes_max: 1 << 20,
            decode: Counters::decode,
        },
        processor: Processor {
            domain: Arc::new(Counters),
            store: store.clone(),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            ladder: ladder(),
            queue: STOCK_COMMANDS,
            worker: "test".to_owned(),
            process: Uuid::max(),
        },
        limits: BatchLimits {
            messages: batch,
            bytes: 1 << 20,
            prefetch: 1_000,
            patience: Duration::ZERO,
            rest: 0,
        },
        careful_until: Micros::default(),
        gate: Gate::always_open(),
        breaker: BREAKER,
        watermark: Watermark::default(),
        health: Health::default(),
        stop,
    }
}

/// What a lane made of messages: the outputs by their ids, and the dead letters by message ids.
struct Result {
    outputs: BTreeMap<String, Vec<u8>>,
    letters: BTreeMap<String, Letter>,
    letter_count: usize,
}

/// Publishes, runs a lane until as many letters are there as expected and every message is
/// settled, and collects.
async fn run<B: Broker, S: Store<Counters>>(
    broker: B,
    store: Arc<S>,
    messages: &[Outgoing],
    batch: usize,
    letters: usize,
) -> anyhow::Result<(Result, Arc<S>)> {
    let broker = Arc::new(broker);
    let confirmations = broker.publisher().await?.publish(messages).await?;
    assert!(confirmations.iter().all(|one| *one == Confirmation::Confirmed));
    let (stopper, stop) = stop::channel();
    let running = tokio::spawn(lane(&broker, &store, batch, stop).run());
    let dead = dead_queue(Party::Stock);
    let deadline = std::time::Instant::now() + Duration::from_secs(30);
    loop {
        anyhow::ensure!(std::time::Instant::now() < deadline, "the lane did not finish in time");
        let is_done = broker.depth(STOCK_COMMANDS).await?.ready == 0
            && broker.depth(&dead).await?.ready as usize >= letters;
        if is_done || running.is_finished() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    // A stop settles whatever the lane has in hand.
    stopper.request();
    tokio::time::timeout(Duration::from_secs(20), running).await???;
    let outputs = drain(&*broker, ORDER_ANSWERS, 0).await?;
    let letters = drain(&*broker, &dead, letters).await?;
    let letter_count = letters.len();
    let letters = letters.into_iter().map(|delivery| {
        let letter = Letter::read(delivery, "test", SystemClock.now());
        let id = letter.explanation.properties.message_id.clone();
        (id.unwrap_or_default(), letter)
    });
    let outputs = outputs
        .into_iter()
        .map(|delivery| (delivery.properties.message_id.unwrap_or_default(), delivery.body));
    let letters = letters.collect();
    Ok((Result { outputs: outputs.collect(), letters, letter_count }, store))
}

/// Everything in a queue, and at least so many messages: a quorum queue's count lags behind.
async fn drain(
    broker: &impl Broker,
    queue: &str,
    count_min: usize,
) -> anyhow::Result<Vec<orderly_runtime::message::Delivery>> {
    let count = count_min.max(broker.depth(queue).await?.ready as usize);
    let (mut deliveries, mut acks) = broker.consume(queue, 2_000).await?;
    let mut all = Vec::new();
    for _ in 0..count {
        all.extend(tokio::time::timeout(Duration::from_secs(10), deliveries.next()).await??);
    }
    if let Some(last) = all.last() {
        acks.ack_up_to(last.tag).await?;
    }
    acks.close().await?;
    Ok(all)
}

async fn counter(store: &impl Store<Counters>, name: &str) -> anyhow::Result<Option<i64>> {
    let mut unit = store.begin().await?;
    let found = unit.load(&BTreeSet::from([name.to_owned()])).await?;
    unit.rollback().await;
    Ok(found.get(name).copied())
}

/// Bad messages among good ones, in one batch: each ends as it must and harms no neighbour.
async fn bad_neighbours<B: Broker, S: Store<Counters>>(broker: B, store: S) -> Outcome {
    let mut messages: Vec<Outgoing> =
        (0..40).map(|n| message(&format!("good-{n}"), "x+1")).collect();
    messages.insert(10, message("empty", ""));
    messages.insert(20, message("never", "never"));
    messages.insert(25, message("later", "later"));
    messages.insert(30, message("panic", "panic"));
    messages.insert(35, message("good-3", "x+7"));
    messages.insert(36, message("good-3", "x+1"));
    let (result, store) = run(broker, Arc::new(store), &messages, 500, 5).await?;
    assert_eq!(counter(&*store, "x").await?, Some(40));
    assert_eq!(result.outputs.len(), 40);
    assert_eq!(result.letter_count, 5);
    let reasons: BTreeMap<&str, (Reason, u32)> = result
        .letters
        .iter()
        .map(|(id, Letter { explanation, .. })| {
            (id.as_str(), (explanation.reason, explanation.attempts))
        })
        .collect();
    let expected = BTreeMap::from([
        ("empty", (Reason::InvalidContent, 0)),
        ("never", (Reason::InvalidContent, 0)),
        ("later", (Reason::Exhausted, 2)),
        ("panic", (Reason::Poison, 0)),
        ("good-3", (Reason::IdConflict, 0)),
    ]);
    assert_eq!(reasons, expected);
    let later = &result.letters["later"];
    assert_eq!(later.body, b"later");
    assert_eq!(later.explanation.routing_key, KIND);
    assert!(later.explanation.first_at < later.explanation.last_at);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_messages_harm_no_neighbour_in_memory() -> Outcome {
    bad_neighbours(memory_broker(), memory_store()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn bad_messages_harm_no_neighbour_on_real_servers() -> Outcome {
    let bed = TestBed::new()?;
    bad_neighbours(rabbitmq(&bed).await?, postgres(&bed).await?).await
}

/// The table refuses a counter above a million: only the database can find this culprit.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_that_only_the_database_refuses_is_found_by_bisecting() -> Outcome {
    let bed = TestBed::new()?;
    let mut messages: Vec<Outgoing> =
        (0..30).map(|n| message(&format!("good-{n}"), &format!("c{n}+1"))).collect();
    messages.insert(17, message("poison", "p+2000000"));
    let (broker, store) = (rabbitmq(&bed).await?, postgres(&bed).await?);
    let (result, store) = run(broker, Arc::new(store), &messages, 500, 1).await?;
    assert_eq!(result.outputs.len(), 30);
    assert_eq!(result.letters["poison"].explanation.reason, Reason::Poison);
    assert!(result.letters["poison"].explanation.text.contains("23514"), "names the SQLSTATE");
    assert_eq!(counter(&*store, "p").await?, None);
    assert_eq!(counter(&*store, "c29").await?, Some(1));
    Ok(())
}

/// A lane that dies between commit and publish: the redelivery says again what was decided.
#[tokio::test]
async fn what_was_committed_but_not_published_is_published_on_redelivery() -> Outcome {
    let (broker, store) = (memory_broker(), Arc::new(memory_store()));
    let (_stopper, stop) = stop::channel();
    let processor = lane(&Arc::new(broker.clone()), &store, 10, stop).processor;
    broker.publisher().await?.publish(&[message("a", "x+1")]).await?;
    let (mut deliveries, acks) = broker.consume(STOCK_COMMANDS, 10).await?;
    let delivery = deliveries.next().await?.ok_or_else(|| anyhow::anyhow!("nothing came"))?;
    let reception =
        Reception { queue: STOCK_COMMANDS, body_bytes_max: 100, decode: Counters::decode };
    let received = reception.receive(delivery, SystemClock.now());
    let lost = processor.process(vec![received], &mut Unnoted::default()).await?;
    acks.close().await?;
    let (result, _) = run(broker, store.clone(), &[], 10, 0).await?;
    let lost: BTreeMap<String, Vec<u8>> =
        lost.outgoing.into_iter().map(|message| (message.id().to_owned(), message.body)).collect();
    assert_eq!(result.outputs, lost);
    assert_eq!(counter(&*store, "x").await?, Some(1));
    Ok(())
}

/// Somebody sits on a lock, and all else in the batch is known: that is no jam, or they would come back for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_in_conflict_among_known_ones_waits_in_the_ladder() -> Outcome {
    let bed = TestBed::new()?;
    let (store, (_stopper, stop)) = (Arc::new(postgres(&bed).await?), stop::channel());
    let Lane { processor, reception, .. } = lane(&Arc::new(memory_broker()), &store, 10, stop);
    let received = |(id, body, tag)| {
        let Outgoing { exchange, routing_key, properties, body, .. } = message(id, body);
        let delivery = Delivery { tag, returns: 0, exchange, routing_key, properties, body };
        reception.receive(delivery, SystemClock.now())
    };
    let mut out = Unnoted::default();
    processor
        .process(vec![received(("a", "x+1", 1)), received(("known", "y+1", 2))], &mut out)
        .await?;
    let mut holder = store.begin().await?;
    holder.load(&BTreeSet::from(["x".to_owned()])).await?;
    let batch = [("new", "x+1", 3), ("known", "y+1", 4)].map(received).into();
    let processed = processor.process(batch, &mut out).await?;
    holder.rollback().await;
    assert_eq!((processed.left, processed.postponed, processed.tags.len()), (None, 1, 2));
    Ok(())
}

/// Returned three times, noted three times: the fourth time nobody tries any more.
#[tokio::test]
async fn a_message_that_kills_its_process_again_and_again_is_given_up() -> Outcome {
    let (broker, store) = (memory_broker(), memory_store());
    broker.publisher().await?.publish(&[message("killer", "x+1")]).await?;
    for _ in 0..3 {
        let (mut deliveries, acks) = broker.consume(STOCK_COMMANDS, 10).await?;
        deliveries.next().await?;
        acks.close().await?;
    }
    for process in 1..=3 {
        let cause = orderly_runtime::domain::Cause { source: "client", id: "killer".to_owned() };
        store.note_suspect(&cause, Uuid::from_u128(process)).await?;
    }
    let (result, store) = run(broker, Arc::new(store), &[message("good", "x+1")], 10, 1).await?;
    assert_eq!(result.letters["killer"].explanation.reason, Reason::CrashLoop);
    assert_eq!(counter(&*store, "x").await?, Some(1));
    Ok(())
}

/// Runs a lane with `patience` over a batch of two, and publishes one message, which it has in hand then.
async fn patient(
    patience: Duration,
) -> anyhow::Result<(Arc<impl Broker>, Arc<impl Store<Counters>>, stop::Stopper, Running)> {
    let (broker, store) = (Arc::new(memory_broker()), Arc::new(memory_store()));
    let (stopper, stop) = stop::channel();
    let mut lane = lane(&broker, &store, 2, stop);
    lane.limits.patience = patience;
    let running = tokio::spawn(lane.run());
    broker.publisher().await?.publish(&[message("a", "x+1")]).await?;
    until("it is in hand", async || Ok(broker.depth(STOCK_COMMANDS).await?.ready == 0)).await?;
    Ok((broker, store, stopper, running))
}

type Running = tokio::task::JoinHandle<std::result::Result<(), Trouble>>;

/// Waits until `is_so`; it is not worth more than twenty seconds.
pub(crate) async fn until(
    what: &str,
    mut is_so: impl AsyncFnMut() -> anyhow::Result<bool>,
) -> Outcome {
    for _ in 0..4_000 {
        if is_so().await? {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    anyhow::bail!("waited in vain: {what}")
}

#[tokio::test]
async fn what_is_in_no_hurry_is_gathered_for_a_moment() -> Outcome {
    let forever = Duration::from_secs(3_600);
    let (broker, store, stopper, running) = patient(forever).await?;
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert_eq!(counter(&*store, "x").await?, None, "it did not wait for others");
    // A full batch waits for nobody, and neither does a stop.
    broker.publisher().await?.publish(&[message("b", "x+1")]).await?;
    until("both are done", async || Ok(counter(&*store, "x").await? == Some(2))).await?;
    broker.publisher().await?.publish(&[message("c", "x+1")]).await?;
    until("it is in hand", async || Ok(broker.depth(STOCK_COMMANDS).await?.ready == 0)).await?;
    stopper.request();
    tokio::time::timeout(Duration::from_secs(20), running).await???;
    assert_eq!(counter(&*store, "x").await?, Some(3));

    let (_broker, store, _stopper, _running) = patient(Duration::from_millis(20)).await?;
    until("it is done", async || Ok(counter(&*store, "x").await? == Some(1))).await
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Batching is invisible: any size of batches gives the same states, outputs and dead letters,
    /// with deliberate duplicates and with other bodies under an id that was used before.
    #[test]
    fn any_split_of_the_messages_gives_the_same_result(
        additions in proptest::collection::vec((0..20u8, 0..4u8, 0..3i64), 1..60),
        batch in 1..20usize,
    ) {
        let message = |(id, name, by): (u8, u8, i64)| message(&format!("m{id}"), &format!("c{name}+{by}"));
        let mut first = BTreeMap::new();
        let conflicting = additions.iter().filter(|(id, name, by)| {
            *first.entry(*id).or_insert((*name, *by)) != (*name, *by)
        });
        let conflicting = conflicting.count();
        let messages: Vec<Outgoing> = additions.into_iter().map(message).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let run = async |batch| {
                run(memory_broker(), Arc::new(memory_store()), &messages, batch, conflicting).await.unwrap()
            };
            let (whole, one) = run(500).await;
            let (split, many) = run(batch).await;
            assert_eq!(whole.outputs, split.outputs);
            let ids = |result: &Result| result.letters.keys().cloned().collect::<Vec<_>>();
            assert_eq!(ids(&whole), ids(&split));
            assert_eq!(whole.letter_count, conflicting);
            assert_eq!(split.letter_count, conflicting);
            let (one, many) = (one.content(), many.content());
            assert_eq!(one.states, many.states);
            assert_eq!(one.entries, many.entries);
            let timers = |content: &orderly_runtime::memory::store::Content<Counters>| {
                content.timers.values().map(|(timer, _)| timer.clone()).collect::<Vec<_>>()
            };
            assert_eq!(timers(&one), timers(&many));
        });
    }
}

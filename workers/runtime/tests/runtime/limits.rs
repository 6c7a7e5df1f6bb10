//! What the loop bounds, each at its bound: batches, windows, calls, attempts, waits and headers.

use std::collections::BTreeMap;
use std::net::TcpListener;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use orderly_contracts::Refusal;
use orderly_contracts::envelope::{TRACEPARENT, TRACESTATE};
use orderly_contracts::routes::{COMMANDS, PAYMENT_EFFECTS, PAYMENT_SETTLE, Party, STOCK_COMMANDS};
use orderly_devstack::TestBed;
use orderly_runtime::amqp::broker::AmqpBroker;
use orderly_runtime::breaker::BreakerLimits;
use orderly_runtime::broker::{Broker, BrokerError, Confirmation, Publisher};
use orderly_runtime::clock::{Entropy, Micros, SystemClock, SystemEntropy};
use orderly_runtime::config::{Address, Reader};
use orderly_runtime::domain::{Domain, Output};
use orderly_runtime::effect::{Effect, EffectLimits, EffectRunner};
use orderly_runtime::gate::Gate;
use orderly_runtime::health::Health;
use orderly_runtime::memory::broker::MemoryBroker;
use orderly_runtime::message::{Delivery, Outgoing, Properties};
use orderly_runtime::outlet::publish_all;
use orderly_runtime::postgres::connect::{client, pool};
use orderly_runtime::postgres::store::PgStore;
use orderly_runtime::reception::Reception;
use orderly_runtime::retry::{Attempts, Ladder, Setback};
use orderly_runtime::stop::{self, Stop};
use orderly_runtime::store::{Store, StoreError, Unit};
use orderly_runtime::topology::dead_queue;

use crate::broker::{ladder, memory as memory_broker, rabbitmq};
use crate::counters::{CounterTables, Counters};
use crate::lane::{KIND, lane, message, until};
use crate::stores::{self, memory as memory_store, postgres};

type Outcome = anyhow::Result<()>;

/// Runs a lane over 100 messages, with at most ten and at most a hundred bytes in a batch.
async fn in_batches<B: Broker, S: Store<Counters>>(broker: B, store: &Arc<S>) -> Outcome {
    let broker = Arc::new(broker);
    let short = (0..60).map(|n| message(&format!("short-{n}"), &format!("c{n}+1")));
    // Forty bytes each: the third is the one that reaches the bound.
    let long = (0..40).map(|n| message(&format!("long-{n}"), &format!("{n:<38}+1")));
    let messages: Vec<Outgoing> = short.chain(long).collect();
    broker.publisher().await?.publish(&messages).await?;
    let (stopper, stop) = stop::channel();
    let mut lane = lane(&broker, store, 10, stop);
    lane.limits.bytes = 100;
    let running = tokio::spawn(lane.run());
    let queue = STOCK_COMMANDS;
    until("the queue to be empty", async || Ok(broker.depth(queue).await?.ready == 0)).await?;
    stopper.request();
    Ok(tokio::time::timeout(Duration::from_secs(20), running).await???)
}

/// Checks batches, given as the names of the messages in them.
fn check_batches(batches: &[Vec<String>]) {
    assert_eq!(batches.iter().map(Vec::len).sum::<usize>(), 100);
    for batch in batches {
        let long = batch.iter().filter(|name| name.starts_with("long")).count();
        assert!(batch.len() <= 10, "{batch:?}");
        // One message may reach over the bound, and none is taken beyond.
        assert!(long <= 3, "{batch:?}");
    }
    assert!(
        batches.iter().any(|batch| batch.len() > 3),
        "the bytes bound every batch: {batches:?}"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_keeps_its_bounds_in_memory() -> Outcome {
    let store = Arc::new(memory_store());
    in_batches(memory_broker(), &store).await?;
    let content = store.content();
    let names = content.batches.values().map(|batch| {
        batch.outputs.iter().map(|(cause, _)| cause.id.clone()).collect::<Vec<String>>()
    });
    check_batches(&names.collect::<Vec<_>>());
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_keeps_its_bounds_on_real_servers() -> Outcome {
    let bed = TestBed::new()?;
    let store = Arc::new(postgres(&bed).await?);
    in_batches(rabbitmq(&bed).await?, &store).await?;
    let client = client(&stores::address(&bed)?, "test").await?;
    let mut batches: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for row in client.query("SELECT batch::text, message_id FROM inbox", &[]).await? {
        batches.entry(row.get(0)).or_default().push(row.get(1));
    }
    check_batches(&batches.into_values().collect::<Vec<_>>());
    Ok(())
}

/// Confirms everything, and notes how much of it came at once.
struct Windows(Vec<usize>);

impl Publisher for Windows {
    async fn publish(&mut self, messages: &[Outgoing]) -> Result<Vec<Confirmation>, BrokerError> {
        self.0.push(messages.len());
        Ok(vec![Confirmation::Confirmed; messages.len()])
    }
}

#[tokio::test]
async fn no_more_than_a_window_waits_for_its_confirms() -> Outcome {
    let mut windows = Windows(vec![]);
    publish_all(&mut windows, &vec![message("m", "c+1"); 2_500]).await?;
    assert_eq!(windows.0, [1_000, 1_000, 500]);
    Ok(())
}

/// A call that takes a moment, or for ever.
#[derive(Default)]
struct Call {
    running: AtomicUsize,
    most: AtomicUsize,
    made: AtomicUsize,
    done: AtomicUsize,
}

impl Effect for Call {
    const PARTY: Party = Party::Payment;
    type Request = String;

    async fn call(&self, request: &String, _: u32) -> Result<Output, String> {
        self.made.fetch_add(1, Ordering::SeqCst);
        if request == "hang" {
            std::future::pending::<()>().await;
        }
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(running, Ordering::SeqCst);
        tokio::time::sleep(Duration::from_millis(10)).await;
        self.running.fetch_sub(1, Ordering::SeqCst);
        self.done.fetch_add(1, Ordering::SeqCst);
        Ok(answer("done"))
    }

    fn exhausted(&self, _: &String) -> Output {
        answer("unknown")
    }
}

fn answer(word: &str) -> Output {
    let body = word.as_bytes().to_vec();
    Output { kind: "payment.executed.v1", correlation: word.to_owned(), body }
}

fn request(_: &str, body: &[u8]) -> Result<String, Refusal> {
    Ok(String::from_utf8_lossy(body).into_owned())
}

/// Requests for calls of these names.
fn requests(names: &[&str]) -> Vec<Outgoing> {
    let requests = names.iter().enumerate().map(|(n, name)| {
        let mut request = message(&format!("call-{n}"), name);
        request.properties.kind = Some("payment.execute.v1".to_owned());
        Outgoing { exchange: COMMANDS.into(), routing_key: "payment.execute.v1".into(), ..request }
    });
    requests.collect()
}

/// Makes three calls at once, each for 100 ms.
fn runner(
    effect: &Arc<Call>,
    broker: &Arc<MemoryBroker>,
    stop: Stop,
) -> EffectRunner<Call, MemoryBroker> {
    let second = Duration::from_secs(1);
    EffectRunner {
        effect: effect.clone(),
        broker: broker.clone(),
        reception: Reception { queue: PAYMENT_EFFECTS, body_bytes_max: 1_000, decode: request },
        ladder: ladder(),
        limits: EffectLimits { calls: 3, timeout: Duration::from_millis(100) },
        careful_until: Micros::default(),
        gate: Gate::always_open(),
        breaker: BreakerLimits { failures_percent: 100, pause: second, longest: second },
        clock: Arc::new(SystemClock),
        entropy: Arc::new(SystemEntropy),
        worker: "test".to_owned(),
        health: Health::default(),
        stop,
    }
}

/// Runs calls of these names until each is answered.
async fn calls(names: &[&str]) -> anyhow::Result<(Arc<Call>, Vec<String>, u32)> {
    let broker = Arc::new(memory_broker());
    broker.publisher().await?.publish(&requests(names)).await?;
    let effect = Arc::new(Call::default());
    let (stopper, stop) = stop::channel();
    let running = tokio::spawn(runner(&effect, &broker, stop).run());
    until("every call to be answered", async || {
        Ok(broker.depth(PAYMENT_SETTLE).await?.ready as usize == names.len())
    })
    .await?;
    stopper.request();
    tokio::time::timeout(Duration::from_secs(20), running).await???;
    let letters = broker.depth(&dead_queue(Party::Payment)).await?.ready;
    let (mut deliveries, _acks) = broker.consume(PAYMENT_SETTLE, 1_000).await?;
    let mut answers = Vec::new();
    while answers.len() < names.len() {
        use orderly_runtime::broker::Deliveries;
        let delivery = deliveries.next().await?.ok_or_else(|| anyhow::anyhow!("it ended"))?;
        answers.push(String::from_utf8(delivery.body)?);
    }
    Ok((effect, answers, letters))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_calls_than_allowed_are_made_at_once() -> Outcome {
    let (effect, answers, letters) = calls(&["quick"; 30]).await?;
    assert_eq!(effect.most.load(Ordering::SeqCst), 3);
    assert_eq!((answers, letters), (vec!["done".to_owned(); 30], 0));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_call_that_hangs_is_given_its_time_and_attempts_and_then_given_up() -> Outcome {
    let (effect, answers, letters) = calls(&["hang"]).await?;
    // The first attempt, and one for each rung of the ladder.
    assert_eq!(effect.made.load(Ordering::SeqCst), 1 + ladder().rungs().len());
    assert_eq!((answers, letters), (vec!["unknown".to_owned()], 1));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_go_on_while_an_answer_waits_for_its_confirm() -> Outcome {
    let broker = Arc::new(memory_broker());
    broker.publisher().await?.publish(&requests(&["quick"; 2])).await?;
    broker.block(true);
    let effect = Arc::new(Call::default());
    let (stopper, stop) = stop::channel();
    let running = tokio::spawn(runner(&effect, &broker, stop).run());
    until("both calls to be done", async || Ok(effect.done.load(Ordering::SeqCst) == 2)).await?;
    broker.block(false);
    until("both calls to be answered", async || Ok(broker.depth(PAYMENT_SETTLE).await?.ready == 2))
        .await?;
    stopper.request();
    Ok(tokio::time::timeout(Duration::from_secs(20), running).await???)
}

struct Bits(u64);

impl Entropy for Bits {
    fn next(&self) -> u64 {
        self.0
    }
}

fn delivery(properties: Properties) -> Delivery {
    let (exchange, routing_key) = (COMMANDS.to_owned(), KIND.to_owned());
    Delivery { tag: 1, returns: 0, exchange, routing_key, properties, body: b"c+1".to_vec() }
}

#[test]
fn every_attempt_waits_as_long_as_its_rung_says_and_none_comes_after_the_last() {
    let all = Ladder::default();
    let attempts = Attempts { conflict: 5, asked: 2, outside: 0 };
    let few = Ladder::default().with_attempts(attempts);
    for bits in [0, 1, u64::MAX / 2, u64::MAX] {
        for (ladder, setback, most) in [
            (&all, Setback::Asked, 5),
            (&few, Setback::Conflict, 5),
            (&few, Setback::Asked, 2),
            (&few, Setback::Outside, 0),
        ] {
            let mut waiting = delivery(Properties::default());
            let mut delays = Vec::new();
            while let Some(copy) =
                ladder.next_attempt(&waiting, STOCK_COMMANDS, setback, Micros(7), &Bits(bits))
            {
                let expiration = copy.properties.expiration.clone().unwrap_or_default();
                delays.push(expiration.parse::<f64>().unwrap_or_default() / 1_000.0);
                waiting = delivery(copy.properties);
                waiting.exchange = "orderly.return".to_owned();
            }
            assert_eq!(delays.len(), most, "{setback:?}");
            for (delay, rung) in delays.iter().zip([1.0, 5.0, 25.0, 125.0, 600.0]) {
                assert!((0.8 * rung - 0.001..=rung).contains(delay), "{delay} of {rung}");
            }
        }
    }
}

#[test]
fn a_trace_is_handed_on_with_a_state_of_up_to_512_bytes() {
    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    let reception =
        Reception { queue: STOCK_COMMANDS, body_bytes_max: 1_000, decode: Counters::decode };
    let long = "x".repeat(1_000);
    for (parent, bytes, is_kept) in
        [(PARENT, 512, [true; 2]), (PARENT, 513, [true, false]), (&*long, 512, [false; 2])]
    {
        let mut properties = message("m", "c+1").properties;
        properties.set_header(TRACEPARENT, parent);
        properties.set_header(TRACESTATE, "y".repeat(bytes));
        let content = reception.receive(delivery(properties), Micros(7)).content;
        let context = content.expect("it is a good one").arrival.context;
        let [has_trace, has_state] = is_kept;
        assert_eq!(context.trace.map(|place| place.to_string()).is_some(), has_trace, "{parent}");
        assert_eq!(context.tracestate.is_some(), has_state, "{parent} {bytes}");
    }
}

fn address(scheme: &str, listener: &TcpListener) -> anyhow::Result<Address> {
    let url = format!("{scheme}://user:secret@{}/x", listener.local_addr()?);
    let variables = [("ORDERLY_X_URL".to_owned(), url)];
    let address = Reader::new(variables).address("ORDERLY_X", &[scheme]);
    address.ok_or_else(|| anyhow::anyhow!("no address"))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_takes_connections_and_says_nothing_is_waited_for_five_seconds() -> Outcome {
    // The kernel completes connections that nobody accepts.
    let silent = TcpListener::bind("127.0.0.1:0")?;
    let (broker, database) = (address("amqp", &silent)?, address("postgres", &silent)?);
    let pool = pool(&database, "test", 1, Duration::from_secs(1))?;
    let store = PgStore::<CounterTables>::new(pool, Duration::from_secs(1));
    let all = async {
        tokio::join!(
            AmqpBroker::connect(&broker, "test"),
            client(&database, "test"),
            Store::<Counters>::ping(&store),
        )
    };
    let (broker, client, ping) = tokio::time::timeout(Duration::from_secs(30), all).await?;
    let said = broker.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(said.contains("within 5s"), "{said}");
    let said = client.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(said.contains("within 5s"), "{said}");
    assert!(matches!(ping, Err(StoreError::Unavailable(_))), "{ping:?}");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_connection_of_an_exhausted_pool_is_not_waited_for_without_end() -> Outcome {
    let bed = TestBed::new()?;
    let address = stores::address(&bed)?;
    let timeout = Duration::from_secs(60);
    let store = PgStore::<CounterTables>::new(pool(&address, "test", 1, timeout)?, timeout);
    let only = Store::<Counters>::begin(&store).await?;
    let second = Store::<Counters>::ping(&store);
    let second = tokio::time::timeout(Duration::from_secs(30), second).await?;
    assert!(matches!(second, Err(StoreError::Unavailable(_))), "{second:?}");
    Unit::<Counters>::rollback(only).await;
    Ok(Store::<Counters>::ping(&store).await?)
}

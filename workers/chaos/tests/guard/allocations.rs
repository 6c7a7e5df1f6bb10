//! How many allocations a message takes, counted by the allocator of this test binary.

use std::collections::BTreeSet;
use std::sync::Arc;

use allocation_counter::measure;
use anyhow::{Context, Result, ensure};
use orderly_contracts::routes::route;
use orderly_contracts::text::Sku;
use orderly_e2e::{Message, place};
use orderly_order::Order;
use orderly_payment::Payment;
use orderly_runtime::batch::{Processed, Processor};
use orderly_runtime::clock::{Clock, Entropy, SystemClock, SystemEntropy};
use orderly_runtime::domain::{Arrival, Domain, States};
use orderly_runtime::fold::fold;
use orderly_runtime::memory::store::MemoryStore;
use orderly_runtime::message::{Delivery, Outgoing};
use orderly_runtime::reception::Reception;
use orderly_runtime::retry::Ladder;
use orderly_runtime::store::{Store, StoreError, Unit};
use orderly_runtime::unnoted::Unnoted;
use orderly_stock::Stock;
use orderly_stock::state::{Item, Key, State};
use tokio::runtime::{Builder, Runtime};

use crate::table::{ALLOCATIONS, row, table, told};

/// How many messages a batch has.
const BATCH: u64 = 200;

#[test]
fn a_message_takes_no_more_allocations_than_the_table_says() -> Result<()> {
    let (order, stock, payment) = (
        Bench::of(Order::default())?,
        Bench::of(Stock::default())?,
        Bench::of(Payment::default())?,
    );
    stock.put(Key::Item(Sku::new("lamp")?), State::Item(Item { on_hand: 1_000, reserved: 0 }));
    let mut measured = Measured::default();
    let orders = (0..BATCH).map(|n| outgoing(place(&format!("o-{n}"), "lamp", 1, "tok_visa")));
    let reserve = order.take(orders.collect(), &mut measured)?;
    let reserved = stock.take(reserve, &mut measured)?;
    let charge = order.take(reserved, &mut measured)?;
    let charged = payment.take(charge, &mut measured)?;
    let confirmed = order.take(charged, &mut measured)?;
    stock.take(confirmed, &mut measured)?;
    let found = measured.table();
    ensure!(measured.is_within(ALLOCATIONS), told("ALLOCATIONS", &found));
    println!("{found}");
    Ok(())
}

/// Allocations a message, by the kind of message: to read it, to decide on it, in all.
#[derive(Default)]
struct Measured(Vec<(&'static str, [u64; 3])>);

impl Measured {
    fn table(&self) -> String {
        let head = row("step", &["reading", "deciding", "in all"]);
        let rows = self.0.iter().map(|(kind, counts)| row(kind, counts));
        table(&std::iter::once(head).chain(rows).collect::<Vec<_>>())
    }

    /// Whether `bounds` names the same steps, and each of its numbers is not exceeded and not a tenth
    /// too large either: behind a wide bound, costs could grow unseen.
    fn is_within(&self, bounds: &str) -> bool {
        let mut lines = bounds.lines().skip(2);
        let are_held = self.0.iter().all(|(kind, counts)| {
            let mut words = lines.next().unwrap_or_default().split_whitespace();
            let is_same = words.next() == Some(*kind);
            let bounds: Vec<u64> = words.filter_map(|word| word.parse().ok()).collect();
            let is_held = |(count, bound): (&u64, &u64)| count <= bound && bound * 10 <= count * 11;
            is_same && bounds.len() == counts.len() && counts.iter().zip(&bounds).all(is_held)
        });
        are_held && lines.next().is_none()
    }
}

/// A worker over a store in memory, on one thread: the one whose allocations are counted.
struct Bench<D: Domain> {
    domain: Arc<D>,
    store: Arc<MemoryStore<D>>,
    runtime: Runtime,
}

impl<D: Domain> Bench<D> {
    fn of(domain: D) -> Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let runtime = Builder::new_current_thread().enable_time().build()?;
        Ok(Self { domain: Arc::new(domain), store: Arc::new(MemoryStore::new(clock)), runtime })
    }

    fn put(&self, key: D::Key, state: D::State) {
        self.store.content().states.insert(key, state);
    }

    /// Takes in a batch of messages of one kind, and counts; what follows from them.
    fn take(&self, messages: Vec<Outgoing>, measured: &mut Measured) -> Result<Vec<Outgoing>> {
        let first = messages.first().context("nothing came of the step before")?;
        let route = route(&first.routing_key).context("every kind has a route")?;
        let (_, queue) = route.consumer.context("somebody takes it")?;
        let deliveries: Vec<Delivery> = (1..).zip(messages).map(delivery).collect();
        let counts = [self.read(queue, &deliveries), self.decide(queue, &deliveries)?];
        let (count, processed) = self.process(queue, deliveries);
        let Processed { outgoing, tags, .. } = processed?;
        ensure!(tags.len() as u64 == BATCH, "{} of a batch are settled", tags.len());
        measured.0.push((route.kind, [counts[0], counts[1], count].map(|n| n.div_ceil(BATCH))));
        Ok(outgoing)
    }

    fn reception(&self, queue: &'static str) -> Reception<D::Input> {
        Reception { queue, body_bytes_max: 1 << 20, decode: D::decode }
    }

    fn read(&self, queue: &'static str, deliveries: &[Delivery]) -> u64 {
        let (deliveries, reception) = (deliveries.to_vec(), self.reception(queue));
        let now = SystemClock.now();
        let mut received = Vec::with_capacity(deliveries.len());
        let read =
            || received.extend(deliveries.into_iter().map(|one| reception.receive(one, now)));
        measure(read).count_total
    }

    fn decide(&self, queue: &'static str, deliveries: &[Delivery]) -> Result<u64> {
        let (reception, now) = (self.reception(queue), SystemClock.now());
        let received = deliveries.iter().map(|one| reception.receive(one.clone(), now).content);
        let contents = received.collect::<Result<Vec<_>, _>>();
        let contents = contents.map_err(|refusal| anyhow::anyhow!("{refusal:?}"))?;
        let arrivals: Vec<&Arrival<D::Input>> = contents.iter().map(|one| &one.arrival).collect();
        let keys: BTreeSet<D::Key> = arrivals.iter().flat_map(|one| D::keys(&one.input)).collect();
        let rows = self.runtime.block_on(async {
            let mut unit = self.store.begin().await?;
            unit.load(&keys).await
        })?;
        let mut states = Some(States::new(keys, rows));
        let batch = SystemEntropy.uuid();
        let decide = || {
            if let Some(states) = states.take() {
                drop(fold(&*self.domain, batch, &arrivals, states));
            }
        };
        Ok(measure(decide).count_total)
    }

    fn process(
        &self,
        queue: &'static str,
        deliveries: Vec<Delivery>,
    ) -> (u64, Result<Processed, StoreError>) {
        let processor = Processor {
            domain: self.domain.clone(),
            store: self.store.clone(),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            ladder: Ladder::default(),
            queue,
            worker: "guard".to_owned(),
            process: SystemEntropy.uuid(),
        };
        let (reception, now) = (self.reception(queue), SystemClock.now());
        let mut processed = Ok(Processed::default());
        let count = measure(|| {
            let received = deliveries.into_iter().map(|one| reception.receive(one, now)).collect();
            let mut unnoted = Unnoted::default();
            processed = self.runtime.block_on(processor.process(received, &mut unnoted));
        });
        (count.count_total, processed)
    }
}

fn outgoing(message: Message) -> Outgoing {
    let Message { exchange, routing_key, properties, body } = message;
    Outgoing { exchange, routing_key, mandatory: true, properties, body }
}

fn delivery((tag, message): (u64, Outgoing)) -> Delivery {
    let Outgoing { exchange, routing_key, properties, body, .. } = message;
    Delivery { tag, returns: 0, exchange, routing_key, properties, body }
}

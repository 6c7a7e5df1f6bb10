//! A whole system in memory: its processes, its clients, its faults, and how it is when all is over.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use orderly_contracts::routes::PAYMENT_EFFECTS;
use orderly_contracts::text::OrderId;
use orderly_ctl::audit::books::{Books, audit};
use orderly_faults::trace::Name;
use orderly_order::domain::{Entry, Saga};
use orderly_payment::effect::{ProviderCalls, decode_request};
use orderly_payment::state as payment;
use orderly_runtime::broker::{Broker, Publisher};
use orderly_runtime::clock::Clock;
use orderly_runtime::domain::Domain;
use orderly_runtime::memory::broker::MemoryBroker;
use orderly_runtime::memory::store::{Content, MemoryStore};
use orderly_runtime::retry::Ladder;
use orderly_runtime::topology::{WORKERS, queues};
use orderly_runtime::worker::{EffectPart, NoEffect};
use orderly_stock::state as stock;

use crate::bug::Bug;
use crate::clock::VirtualClock;
use crate::plan::{Mishap, Plan, Sending};
use crate::process::{Process, Program, Surroundings};
use crate::provider::WeatherProvider;
use crate::report::Report;
use crate::sky::Sky;
use crate::tape::Tape;
use crate::weather::Lines;

/// How long a system may take to come to rest once nothing strikes any more.
const REST_LIMIT: Duration = Duration::from_secs(120);
/// How often it is looked whether it is at rest.
const LOOK: Duration = Duration::from_millis(50);

/// A domain that decides about orders.
pub trait Orders: Domain<Key = OrderId, State = Saga, Entry = Entry> {}
impl<D: Domain<Key = OrderId, State = Saga, Entry = Entry>> Orders for D {}

/// A domain that decides about stock.
pub trait Stocks: Domain<Key = stock::Key, State = stock::State, Entry = stock::Posting> {}
impl<D: Domain<Key = stock::Key, State = stock::State, Entry = stock::Posting>> Stocks for D {}

/// A domain that decides about payments.
pub trait Payments:
    Domain<Key = OrderId, State = payment::State, Entry = payment::Posting>
{
}
impl<D: Domain<Key = OrderId, State = payment::State, Entry = payment::Posting>> Payments for D {}

/// A system.
pub struct World<O: Domain, S: Domain, P: Domain> {
    plan: Plan,
    surroundings: Surroundings,
    order: Program<O, NoEffect>,
    stock: Program<S, NoEffect>,
    payment: Program<P, ProviderCalls<WeatherProvider>>,
    processes: Vec<Option<Process>>,
    started: u64,
    sent: BTreeSet<Name>,
}

impl<O: Orders, S: Stocks, P: Payments> World<O, S, P> {
    /// The system of `plan`, with nothing running yet. It has to be made within a runtime.
    pub fn new(plan: Plan, domains: (O, S, P), bug: Option<Bug>, keeps: bool) -> Self {
        let clock = VirtualClock::begin();
        let shared: Arc<dyn Clock> = Arc::new(clock);
        let ladder = Ladder::new([40, 80, 160].map(Duration::from_millis).to_vec());
        let all = WORKERS.into_iter().flat_map(|party| queues(party, &ladder));
        let broker = MemoryBroker::new(all, shared.clone());
        let sky = Arc::new(Sky::new(plan.climate.clone(), plan.seed ^ 0x5eed));
        let (order, stock, payment) = domains;
        let calls = EffectPart {
            effect: Arc::new(ProviderCalls(WeatherProvider::new(sky.clone()))),
            queue: PAYMENT_EFFECTS,
            decode: decode_request,
        };
        Self {
            surroundings: Surroundings {
                broker,
                tape: Tape::new(keeps),
                sky,
                lines: Lines::default(),
                clock,
                batch_messages: plan.batch_messages,
                bug,
            },
            order: program(order, &shared, None),
            stock: program(stock, &shared, None),
            payment: program(payment, &shared, Some(Arc::new(calls))),
            processes: vec![],
            started: 0,
            sent: BTreeSet::new(),
            plan,
        }
    }

    /// Runs it to the end.
    pub async fn run(mut self) -> Report {
        for place in 0..self.plan.replicas.iter().sum() {
            self.processes.push(None);
            self.start(place);
        }
        self.storm().await;
        self.surroundings.sky.clear_up();
        for place in 0..self.processes.len() {
            self.start(place);
        }
        let is_at_rest = self.comes_to_rest().await;
        self.judge(is_at_rest).await
    }

    fn start(&mut self, place: usize) {
        if self.processes[place].is_some() {
            return;
        }
        self.started += 1;
        let seed = self.plan.seed.wrapping_mul(31).wrapping_add(self.started);
        let [orders, stocks, _] = self.plan.replicas;
        let process = if place < orders {
            self.order.start(&self.surroundings, seed)
        } else if place < orders + stocks {
            self.stock.start(&self.surroundings, seed)
        } else {
            self.payment.start(&self.surroundings, seed)
        };
        self.processes[place] = Some(process);
    }

    /// Everything that is planned, at its time.
    async fn storm(&mut self) {
        enum Event {
            Send(Box<Sending>),
            Happen(Mishap),
            Start(usize),
        }
        let mut agenda: BTreeMap<(u64, usize), Event> = BTreeMap::new();
        let sendings = self.plan.sendings.drain(..).map(|(at, it)| (at, Event::Send(Box::new(it))));
        let mishaps = self.plan.mishaps.drain(..).map(|(at, it)| (at, Event::Happen(it)));
        for (n, (at, event)) in sendings.chain(mishaps).enumerate() {
            agenda.insert((at, n), event);
        }
        while let Some(((at, n), event)) = agenda.pop_first() {
            self.wait_until(at).await;
            match event {
                Event::Send(sending) => self.send(sending.0).await,
                Event::Happen(Mishap::CutAll) => self.surroundings.lines.cut(),
                Event::Happen(Mishap::Crash(place, ms)) => {
                    if let Some(process) = self.processes[place].take() {
                        process.crash().await;
                    }
                    agenda.insert((at + ms, n + 1_000), Event::Start(place));
                }
                Event::Happen(Mishap::Stop(place)) => {
                    if let Some(process) = self.processes[place].take() {
                        process.stop().await;
                    }
                    self.start(place);
                }
                Event::Start(place) => self.start(place),
            }
        }
        self.wait_until(self.plan.storm_ms).await;
    }

    async fn wait_until(&self, ms: u64) {
        let left = Duration::from_millis(ms).saturating_sub(self.surroundings.clock.elapsed());
        tokio::time::sleep(left).await;
    }

    /// Clients are not under the sky: what they were told was taken is what must not be lost.
    async fn send(&mut self, message: orderly_runtime::message::Outgoing) {
        let kind = message.properties.kind.as_deref().unwrap_or_default();
        self.sent.insert(Name::of(kind, message.id()));
        let publisher = self.surroundings.broker.publisher().await;
        let mut publisher = publisher.expect("nobody cuts the clients' connection");
        publisher.publish(&[message]).await.expect("nobody cuts the clients' connection");
    }

    /// Whether nothing moves any more before patience is over.
    async fn comes_to_rest(&self) -> bool {
        let begin = self.surroundings.clock.elapsed();
        while self.surroundings.clock.elapsed() - begin < REST_LIMIT {
            if self.is_at_rest().await {
                return true;
            }
            tokio::time::sleep(LOOK).await;
        }
        false
    }

    async fn is_at_rest(&self) -> bool {
        if !self.surroundings.broker.is_empty() {
            return false;
        }
        let order = self.order.store.content();
        let stock = self.stock.store.content();
        let payment = self.payment.store.content();
        let is_open = |state: &payment::State| {
            matches!(state, payment::State::Open(_) | payment::State::Refunding(_))
        };
        let is_held = |state: &stock::State| match state {
            stock::State::Reservation(it) => it.status == stock::Status::Reserved,
            _ => false,
        };
        order.states.values().all(|saga| saga.stage.status().is_final())
            && !stock.states.values().any(is_held)
            && !payment.states.values().any(is_open)
            && all_sent(&order)
            && all_sent(&stock)
            && all_sent(&payment)
    }

    /// What is to be said of it.
    async fn judge(self, is_at_rest: bool) -> Report {
        let deadlocks = self.order.store.deadlocks()
            + self.stock.store.deadlocks()
            + self.payment.store.deadlocks();
        let order = self.order.store.content();
        let stock = self.stock.store.content();
        let payment = self.payment.store.content();
        let findings = audit(Books {
            orders: &order.states,
            history: &order.entries,
            timers: &order.timers,
            stock: &stock.states,
            stock_ledger: &stock.entries,
            payments: &payment.states,
            payment_ledger: &payment.entries,
        });
        let mut report = Report::new(self.plan.seed, self.surroundings.clock.elapsed());
        report.count_strikes(&self.surroundings.sky);
        report.count("processes started", self.started);
        for saga in order.states.values() {
            report.count(saga.stage.status().as_str(), 1);
            report.count_reason(saga.stage.reason());
        }
        report.count_stock(&stock.states);
        report.count_payments(&payment.states);
        for content in [letters(&order), letters(&stock), letters(&payment)] {
            report.count_letters(content);
        }
        report.add_findings(findings);
        if let Some(calls) = &self.payment.effect {
            report.judge_provider(&calls.effect.0.ledger(), &payment.states);
        }
        report.add_trace(self.surroundings.tape.take_checker().finish(&self.sent));
        report.events = self.surroundings.tape.take_events();
        if !is_at_rest {
            report.add("not_at_rest", format!("something still moves after {REST_LIMIT:?}"));
        }
        if deadlocks > 0 {
            report.add("deadlock", format!("{deadlocks} deadlocks"));
        }
        report
    }
}

fn program<D: Domain, E: orderly_runtime::effect::Effect>(
    domain: D,
    clock: &Arc<dyn Clock>,
    effect: Option<Arc<EffectPart<E>>>,
) -> Program<D, E> {
    let store = Arc::new(MemoryStore::new(clock.clone()));
    Program { domain: Arc::new(domain), store, effect }
}

fn all_sent<D: Domain>(content: &Content<D>) -> bool {
    content.batches.values().all(|batch| batch.is_sent)
}

fn letters<D: Domain>(content: &Content<D>) -> Vec<&'static str> {
    content.letters.values().map(|(letter, _)| letter.explanation.reason.code()).collect()
}

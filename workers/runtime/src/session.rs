//! A session: everything a worker does between connecting and the first trouble.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinSet;
use uuid::Uuid;

use crate::batch::Processor;
use crate::broker::{Broker, BrokerError};
use crate::care::Care;
use crate::census::Census;
use crate::clock::{Clock, Entropy};
use crate::config::Config;
use crate::domain::Domain;
use crate::drain::Drain;
use crate::effect::{Effect, EffectRunner};
use crate::gate::{Gate, GateKeeper};
use crate::health::Health;
use crate::intake::BatchLimits;
use crate::lane::{Lane, Watermark};
use crate::metrics;
use crate::pause::PauseWatch;
use crate::reception::Reception;
use crate::retry::Pauses;
use crate::servers::Servers;
use crate::stop::Stop;
use crate::timers::Timers;
use crate::topology::{dead_queue, work_queues};
use crate::trouble::Trouble;
use crate::upkeep::Upkeep;
use crate::worker::EffectPart;

/// How long it may take to reach both servers; each step has a limit of its own, but for those
/// that happen once, such as looking at the schema.
const CONNECT_LIMIT: Duration = Duration::from_secs(30);
/// A session that lasted this long was a good one: the next pause is the shortest again.
const GOOD_SESSION: Duration = Duration::from_secs(30);

/// What all sessions of a worker share.
pub struct Session<D, P, E: Effect> {
    /// The worker's decisions.
    pub domain: Arc<D>,
    /// The worker's broker and database.
    pub servers: P,
    /// Calls to the outside, if the worker makes any.
    pub effect: Option<Arc<EffectPart<E>>>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Gives random numbers.
    pub entropy: Arc<dyn Entropy>,
    /// The worker's name and version.
    pub name: String,
    /// This process among all that ever ran the worker.
    pub process: Uuid,
    /// The configuration.
    pub config: Arc<Config>,
    /// The worker's health.
    pub health: Health,
    /// Ends the session.
    pub stop: Stop,
}

/// How the sessions before went.
#[derive(Default)]
struct Past {
    pauses: Pauses,
    short_sessions: u32,
}

type Tasks = JoinSet<Result<(), Trouble>>;
type Consumer = Pin<Box<dyn Future<Output = Result<(), Trouble>> + Send>>;

impl<D: Domain, P: Servers<D>, E: Effect> Session<D, P, E> {
    /// Runs one session after the other, with growing pauses, until told to stop. Whatever ends a
    /// session, everything is rebuilt from nothing: clients that recover by themselves lose
    /// consumers silently.
    pub async fn supervise(&self) {
        let mut past = Past::default();
        let mut last = String::new();
        while !self.stop.is_requested() {
            let Err(trouble) = self.run(&mut past).await else { break };
            let text = trouble.to_string();
            // The same trouble is told once, not at every attempt.
            if text == last {
                tracing::debug!("{text}");
            } else {
                tracing::error!("{text}");
            }
            self.health.trouble(text.clone());
            last = text;
            tokio::select! {
                biased;
                () = past.pauses.pause(trouble.is_lasting(), &*self.clock, &*self.entropy) => {}
                () = self.stop.requested() => {}
            }
        }
    }

    /// Runs until stopped (`Ok`) or in trouble.
    async fn run(&self, past: &mut Past) -> Result<(), Trouble> {
        let connect = tokio::time::timeout(CONNECT_LIMIT, self.servers.connect());
        let broker = tokio::select! {
            biased;
            connected = connect => match connected {
                Ok(broker) => Arc::new(broker?),
                Err(_) => {
                    let text = format!("broker and database not reached within {CONNECT_LIMIT:?}");
                    return Err(BrokerError::Unavailable(text).into());
                }
            },
            () = self.stop.requested() => return Ok(()),
        };
        let started = self.clock.now();
        let (pause, not_paused) = self.pause_watch();
        // Before anything is consumed: a paused worker takes nothing, not even for a moment.
        pause.look::<D>().await?;
        metrics::connected(true);
        let mut tasks = Tasks::new();
        tasks.spawn(pause.run::<D>());
        let care = Care::after(past.short_sessions, started);
        self.spawn_all(&mut tasks, &broker, &not_paused, care);
        let outcome = self.work(&mut tasks, &broker).await;
        if let Err(trouble) = &outcome {
            // Told before anything is closed: a server that does not answer takes its time for that.
            self.health.trouble(trouble.to_string());
        }
        // What is unsettled goes back to its queue now, once, and not when a timeout finds it.
        tasks.shutdown().await;
        broker.close().await;
        metrics::connected(false);
        if self.clock.now() - started > GOOD_SESSION {
            *past = Past::default();
        } else {
            past.short_sessions += 1;
        }
        outcome
    }

    /// Waits for the first trouble, or for the end of all tasks after a stop.
    async fn work(&self, tasks: &mut Tasks, broker: &P::Broker) -> Result<(), Trouble> {
        let end = async {
            while let Some(ended) = tasks.join_next().await {
                match ended {
                    Ok(outcome) => outcome?,
                    Err(error) => {
                        return Err(
                            BrokerError::Unavailable(format!("a task ended: {error}")).into()
                        );
                    }
                }
            }
            Ok(())
        };
        let deadline = async {
            self.stop.requested().await;
            self.clock.sleep(self.config.drain_deadline).await;
        };
        tokio::select! {
            biased;
            outcome = end => outcome,
            error = broker.watch(&self.health) => Err(error.into()),
            () = deadline => {
                tracing::warn!("the deadline is over: what is unfinished goes back to its queue");
                Ok(())
            }
        }
    }

    fn spawn_all(&self, tasks: &mut Tasks, broker: &Arc<P::Broker>, not_paused: &Gate, care: Care) {
        let watermark = Watermark::default();
        let (has_room, keeper) = Gate::new();
        if D::NEW_WORK.is_some() {
            tasks.spawn(self.keep_gate(keeper));
        }
        tasks.spawn(self.timers(broker, watermark.clone(), not_paused.clone()).run());
        tasks.spawn(self.upkeep(broker).run::<D>());
        tasks.spawn(self.census().run::<D>());
        let consumers = self.consumers(broker, not_paused, &has_room, &watermark, care);
        let count = consumers.len();
        for (place, consumer) in consumers.into_iter().enumerate() {
            let clock = self.clock.clone();
            tasks.spawn(async move {
                care.turn(place, count, &*clock).await;
                consumer.await
            });
        }
    }

    /// All that consume a queue.
    fn consumers(
        &self,
        broker: &Arc<P::Broker>,
        not_paused: &Gate,
        has_room: &Gate,
        watermark: &Watermark,
        care: Care,
    ) -> Vec<Consumer> {
        let effect_queue = self.effect.as_ref().map(|part| part.queue);
        let queues = work_queues(D::PARTY);
        let dead = dead_queue(D::PARTY);
        self.health.session_begins(queues.iter().map(|queue| (*queue).to_owned()).chain([dead]));
        let mut consumers: Vec<Consumer> = Vec::new();
        for queue in queues.into_iter().filter(|queue| Some(*queue) != effect_queue) {
            let is_gated = D::NEW_WORK == Some(queue);
            let gate = if is_gated { not_paused.and(has_room) } else { not_paused.clone() };
            // Only the lane of answers tells how far the answers have been processed.
            let is_answers = D::ANSWERS == Some(queue);
            let watermark = if is_answers { watermark.clone() } else { Watermark::default() };
            consumers.push(Box::pin(self.lane(queue, broker, gate, watermark, care).run()));
        }
        if let Some(part) = &self.effect {
            let effects = self.effects(part, broker, not_paused.clone(), care);
            consumers.push(Box::pin(effects.run()));
        }
        consumers.push(Box::pin(self.drain(broker, care).run::<D>()));
        consumers
    }

    fn lane(
        &self,
        queue: &'static str,
        broker: &Arc<P::Broker>,
        gate: Gate,
        watermark: Watermark,
        care: Care,
    ) -> Lane<D, P::Broker, P::Store> {
        let batch = self.config.batch;
        let patience = if D::UNHURRIED == Some(queue) { batch.patience } else { Duration::ZERO };
        let rest = if D::NEW_WORK == Some(queue) { batch.rest } else { 0 };
        Lane {
            broker: broker.clone(),
            reception: Reception {
                queue,
                body_bytes_max: self.config.body_bytes_max,
                decode: D::decode,
            },
            processor: Processor {
                domain: self.domain.clone(),
                store: self.servers.store().clone(),
                clock: self.clock.clone(),
                entropy: self.entropy.clone(),
                ladder: self.config.ladder.clone(),
                queue,
                worker: self.name.clone(),
                process: self.process,
            },
            limits: BatchLimits { patience, rest, ..batch },
            careful_until: care.until(),
            gate,
            breaker: self.config.breaker,
            watermark,
            health: self.health.clone(),
            stop: self.stop.clone(),
        }
    }

    fn keep_gate(
        &self,
        keeper: GateKeeper,
    ) -> impl Future<Output = Result<(), Trouble>> + Send + use<D, P, E> {
        let limit = self.config.in_progress_max;
        keeper.run::<D, P::Store>(
            self.servers.store().clone(),
            self.clock.clone(),
            limit,
            self.stop.clone(),
        )
    }

    fn timers(
        &self,
        broker: &Arc<P::Broker>,
        watermark: Watermark,
        gate: Gate,
    ) -> Timers<D, P::Broker, P::Store> {
        Timers {
            domain: self.domain.clone(),
            broker: broker.clone(),
            store: self.servers.store().clone(),
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            watermark,
            gate,
            period: self.config.timer_period,
            stop: self.stop.clone(),
        }
    }

    fn upkeep(&self, broker: &Arc<P::Broker>) -> Upkeep<P::Broker, P::Store> {
        Upkeep {
            broker: broker.clone(),
            store: self.servers.store().clone(),
            clock: self.clock.clone(),
            sweep_after: self.config.sweep_after,
            retention: self.config.inbox_retention,
            letter_retention: self.config.letter_retention,
            stop: self.stop.clone(),
        }
    }

    fn census(&self) -> Census<P::Store> {
        Census {
            store: self.servers.store().clone(),
            clock: self.clock.clone(),
            stop: self.stop.clone(),
        }
    }

    fn drain(&self, broker: &Arc<P::Broker>, care: Care) -> Drain<P::Broker, P::Store> {
        Drain {
            broker: broker.clone(),
            is_careful: care.is_needed(),
            store: self.servers.store().clone(),
            clock: self.clock.clone(),
            worker: self.name.clone(),
            health: self.health.clone(),
            stop: self.stop.clone(),
        }
    }

    fn effects(
        &self,
        part: &EffectPart<E>,
        broker: &Arc<P::Broker>,
        gate: Gate,
        care: Care,
    ) -> EffectRunner<E, P::Broker> {
        EffectRunner {
            effect: part.effect.clone(),
            broker: broker.clone(),
            reception: Reception {
                queue: part.queue,
                body_bytes_max: self.config.body_bytes_max,
                decode: part.decode,
            },
            ladder: self.config.ladder.clone(),
            limits: self.config.effects,
            careful_until: care.until(),
            gate,
            breaker: self.config.breaker,
            clock: self.clock.clone(),
            entropy: self.entropy.clone(),
            worker: self.name.clone(),
            health: self.health.clone(),
            stop: self.stop.clone(),
        }
    }

    fn pause_watch(&self) -> (PauseWatch<P::Store>, Gate) {
        let (gate, keeper) = Gate::new();
        let watch = PauseWatch {
            store: self.servers.store().clone(),
            keeper,
            health: self.health.clone(),
            clock: self.clock.clone(),
            stop: self.stop.clone(),
        };
        (watch, gate)
    }
}

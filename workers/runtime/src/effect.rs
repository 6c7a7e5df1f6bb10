//! The effect runner: calls to the outside, several at once, never inside a transaction.

use std::collections::VecDeque;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use futures_util::stream::FuturesUnordered;
use futures_util::{Stream, StreamExt};
use orderly_contracts::routes::Party;
use orderly_contracts::{Reason, Refusal};

use crate::account;
use crate::batch::Processed;
use crate::breaker::BreakerLimits;
use crate::broker::{Broker, BrokerError, Deliveries};
use crate::clock::{Clock, Entropy, Micros};
use crate::domain::{Arrival, Output};
use crate::fold::{Fate, compose_answer};
use crate::gate::Gate;
use crate::health::Health;
use crate::letter::Letter;
use crate::message::{Delivery, Outgoing};
use crate::metrics::{self, Waits};
use crate::outlet::Outlet;
use crate::reception::{Content, Received, Reception};
use crate::retry::{Ladder, Past, Setback};
use crate::stop::Stop;
use crate::trace;
use crate::trouble::Trouble;
use crate::valve::Valve;

/// How often an idle runner looks whether it may go on consuming.
const LOOK_AGAIN: Duration = Duration::from_millis(500);

/// A call to the outside that is safe to repeat.
pub trait Effect: Send + Sync + 'static {
    /// Whose effect it is.
    const PARTY: Party;
    /// What is asked for.
    type Request: Clone + Send + Sync + 'static;

    /// Makes the call. `attempt` counts from 0. An error is worth another attempt; a refusal by
    /// the other side is an answer.
    fn call(
        &self,
        request: &Self::Request,
        attempt: u32,
    ) -> impl Future<Output = Result<Output, String>> + Send;

    /// The answer when every attempt has failed: the outcome is unknown.
    fn exhausted(&self, request: &Self::Request) -> Output;
}

/// The bounds of an effect runner.
#[derive(Debug, Clone, Copy)]
pub struct EffectLimits {
    /// The most calls at once.
    pub calls: usize,
    /// How long a call may take.
    pub timeout: Duration,
}

/// Takes requests from a queue, makes the calls, publishes the answers, acknowledges.
pub struct EffectRunner<E: Effect, B> {
    /// Makes the calls.
    pub effect: Arc<E>,
    /// The broker.
    pub broker: Arc<B>,
    /// Reads requests.
    pub reception: Reception<E::Request>,
    /// The retry ladder.
    pub ladder: Ladder,
    /// Its bounds.
    pub limits: EffectLimits,
    /// Until when it takes one request at a time.
    pub careful_until: Micros,
    /// Lets requests in, or not.
    pub gate: Gate,
    /// When it pauses by itself.
    pub breaker: BreakerLimits,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Gives random numbers.
    pub entropy: Arc<dyn Entropy>,
    /// The worker's name and version.
    pub worker: String,
    /// Tells whether this loop consumes.
    pub health: Health,
    /// Ends the loop.
    pub stop: Stop,
}

impl<E: Effect, B: Broker> EffectRunner<E, B> {
    /// Runs until stopped or in trouble.
    pub async fn run(self) -> Result<(), Trouble> {
        let mut valve = Valve::new(
            self.reception.queue,
            self.gate.clone(),
            self.breaker,
            self.health.clone(),
            self.clock.clone(),
            self.stop.clone(),
        );
        while valve.opened().await {
            self.consume(&mut valve).await?;
        }
        Ok(())
    }

    /// Consumes until stopped, in trouble, or the valve closes.
    async fn consume(&self, valve: &mut Valve) -> Result<(), Trouble> {
        let queue = self.reception.queue;
        let is_careful = self.is_careful();
        let calls_max = if is_careful { 1 } else { self.limits.calls };
        let prefetch = if is_careful { 1 } else { calls_max * 2 };
        let prefetch = u16::try_from(prefetch).unwrap_or(u16::MAX);
        let (mut deliveries, acks) = self.broker.consume(queue, prefetch).await?;
        let mut outlet = Outlet::new(self.broker.publisher().await?, acks, 1);
        let mut calls = FuturesUnordered::new();
        let mut handled = VecDeque::new();
        self.health.lane_open(queue);
        let mut is_drained = false;
        let mut is_cancelled = false;
        loop {
            let goes_on = valve.is_open() && is_careful == self.is_careful();
            if !goes_on && !is_cancelled {
                deliveries.cancel().await?;
                is_cancelled = true;
            }
            is_drained |= valve.has_tripped();
            if let Some(Handled { processed, has_failed }) = handled.pop_front() {
                valve.note(usize::from(has_failed), 1);
                let out = outlet.deliver(Some(processed));
                meanwhile(out, calls.by_ref().map(|one| handled.push_back(one))).await?;
                continue;
            }
            if is_drained && calls.is_empty() {
                break;
            }
            let has_room = calls.len() < calls_max && !is_drained;
            tokio::select! {
                biased;
                Some(one) = calls.next() => handled.push_back(one),
                delivery = deliveries.next(), if has_room => match delivery? {
                    Some(delivery) => calls.push(self.handle(delivery)),
                    None if is_cancelled => is_drained = true,
                    None => {
                        let text = format!("the broker ended the consumer of {queue}");
                        return Err(BrokerError::Unavailable(text).into());
                    }
                },
                () = self.stop.requested(), if !is_cancelled => {}
                // The gate may have closed meanwhile.
                () = self.clock.sleep(LOOK_AGAIN), if !is_cancelled => {}
            }
        }
        Ok(outlet.close().await?)
    }

    fn is_careful(&self) -> bool {
        self.clock.now() < self.careful_until
    }

    /// Makes one call; whatever comes of it is a message to publish.
    async fn handle(&self, delivery: Delivery) -> Handled {
        let now = self.clock.now();
        let received = self.reception.receive(delivery, now);
        let waits = Waits::begin(self.reception.queue, std::slice::from_ref(&received));
        let Received { mut delivery, content, .. } = received;
        let (outgoing, has_failed) = match content {
            Err(refusal) => (vec![self.letter(&delivery, &refusal)], false),
            Ok(Content { mut arrival, .. }) => {
                let about = delivery.properties.correlation_id.clone().unwrap_or_default();
                let cause = &arrival.cause.id;
                trace::follow(&mut delivery.properties, &mut arrival.context, cause, &about);
                self.call(&delivery, &arrival).await
            }
        };
        let processed =
            Processed { outgoing, tags: vec![delivery.tag], waits, ..Processed::default() };
        Handled { processed, has_failed }
    }

    async fn call(
        &self,
        delivery: &Delivery,
        arrival: &Arrival<E::Request>,
    ) -> (Vec<Outgoing>, bool) {
        let started = std::time::Instant::now();
        let attempt = Past::of(delivery).attempts;
        let queue = self.reception.queue;
        let outcome = tokio::select! {
            biased;
            outcome = self.effect.call(&arrival.input, attempt) => outcome,
            () = self.clock.sleep(self.limits.timeout) => Err("the call took too long".to_owned()),
        };
        let why = match outcome {
            Ok(answer) => {
                metrics::effect("answered", started.elapsed());
                metrics::message(queue, arrival.kind, &Fate::Done);
                account::answered(delivery, queue, (arrival.at, self.clock.now()));
                return (vec![compose_answer(E::PARTY, arrival, answer)], false);
            }
            Err(why) => why,
        };
        metrics::effect("failed", started.elapsed());
        let now = self.clock.now();
        let copy = self.ladder.next_attempt(delivery, queue, Setback::Outside, now, &*self.entropy);
        if let Some(copy) = copy {
            metrics::retry(queue, &copy);
            account::postponed(delivery, queue, (arrival.at, now), &why);
            metrics::message(queue, arrival.kind, &Fate::Retry(why));
            return (vec![copy], true);
        }
        let text = format!("every attempt failed, the last one so: {why}");
        let refusal = Refusal::new(Reason::Exhausted, text);
        let letter = self.letter(delivery, &refusal);
        metrics::message(queue, arrival.kind, &Fate::Dead(refusal));
        let answer = self.effect.exhausted(&arrival.input);
        // The letter goes first: if only one of the two gets out, the other is repeated with it.
        (vec![letter, compose_answer(E::PARTY, arrival, answer)], true)
    }

    fn letter(&self, delivery: &Delivery, refusal: &Refusal) -> Outgoing {
        let queue = self.reception.queue;
        metrics::dead_letter(queue, refusal.reason);
        let now = self.clock.now();
        let letter = Letter::about(delivery, queue, &self.worker, refusal, now);
        account::given_up(delivery, queue, &letter, (now, now));
        letter.outgoing()
    }
}

/// Waits for `awaited`, while `others` go on as well.
async fn meanwhile<T>(awaited: impl Future<Output = T>, others: impl Stream<Item = ()>) -> T {
    let mut others = pin!(others);
    let mut awaited = pin!(awaited);
    loop {
        tokio::select! {
            biased;
            outcome = &mut awaited => return outcome,
            Some(()) = others.next() => {}
        }
    }
}

/// What came of a call.
struct Handled {
    processed: Processed,
    has_failed: bool,
}

//! A lane: the loop over one queue. While a batch is being published, the next is processed.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use orderly_contracts::envelope::SENT_AT;
use orderly_contracts::routes::Party;

use crate::batch::{Left, Processed, Processor};
use crate::breaker::BreakerLimits;
use crate::broker::{Broker, BrokerError};
use crate::clock::Micros;
use crate::domain::Domain;
use crate::gate::Gate;
use crate::health::Health;
use crate::intake::{BatchLimits, Intake};
use crate::metrics::{self, Waits};
use crate::outlet::Outlet;
use crate::reception::{Received, Reception};
use crate::stop::Stop;
use crate::store::Store;
use crate::trouble::Trouble;
use crate::unnoted::Unnoted;
use crate::valve::Valve;

/// After this long without a delivery, what is known to be out is noted.
const IDLE: Duration = Duration::from_millis(500);
/// After this long without a delivery, what is settled is acknowledged.
const MOMENT: Duration = Duration::from_millis(50);
/// From this part of a batch on, what is settled is acknowledged at once. What comes again after a
/// crash, known already, must leave room in a batch for something else: a message that meets a lock is
/// only told from a database that is jammed if another one gets through beside it.
const ACKED_TOGETHER: usize = 8;
/// After a pause for failures this many deliveries are in hand at most, until things go well again.
const HALF_OPEN_PREFETCH: u16 = 20;

/// Up to when every answer sent has been processed here, in microseconds since 1970.
#[derive(Debug, Clone, Default)]
pub struct Watermark(Arc<AtomicI64>);

impl Watermark {
    /// Everything sent before `newest` has been processed.
    fn raise(&self, newest: Micros) {
        self.0.fetch_max(newest.0, Ordering::Relaxed);
    }

    /// The moment.
    pub fn get(&self) -> Micros {
        Micros(self.0.load(Ordering::Relaxed))
    }
}

/// The loop over one queue.
pub struct Lane<D: Domain, B, S> {
    /// The broker.
    pub broker: Arc<B>,
    /// Reads deliveries.
    pub reception: Reception<D::Input>,
    /// Processes batches.
    pub processor: Processor<D, S>,
    /// The bounds of a batch.
    pub limits: BatchLimits,
    /// Until when it takes one message at a time.
    pub careful_until: Micros,
    /// Lets work in, or not.
    pub gate: Gate,
    /// When the lane pauses by itself.
    pub breaker: BreakerLimits,
    /// How far the answers have been processed.
    pub watermark: Watermark,
    /// Tells whether this lane consumes.
    pub health: Health,
    /// Ends the loop.
    pub stop: Stop,
}

/// What the intake came to.
enum Next {
    Batch(Processed),
    Idle,
    Drained,
}

impl<D: Domain, B: Broker, S: Store<D>> Lane<D, B, S> {
    /// Runs until stopped or in trouble.
    pub async fn run(self) -> Result<(), Trouble> {
        let mut valve = Valve::new(
            self.reception.queue,
            self.gate.clone(),
            self.breaker,
            self.health.clone(),
            self.processor.clock.clone(),
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
        let prefetch = self.prefetch(valve);
        let (deliveries, acks) = self.broker.consume(queue, prefetch).await?;
        let enough = self.limits.messages.min(prefetch.into()) / ACKED_TOGETHER;
        let mut outlet = Outlet::new(self.broker.publisher().await?, acks, enough);
        let limits = BatchLimits { prefetch, ..self.limits };
        let clock = self.processor.clock.clone();
        let mut intake = Intake::new(deliveries, limits, clock, self.stop.clone());
        self.health.lane_open(queue);
        let mut is_left = false;
        let mut processed = None;
        let mut unnoted = Unnoted::default();
        loop {
            if !valve.is_open() || prefetch != self.prefetch(valve) {
                intake.cancel().await?;
            }
            let owes_acks = processed.is_some() || outlet.owes_acks();
            let (out, next) = {
                // Pinned where they are made: kilobytes each, which a join would move about.
                let deliver = pin!(outlet.deliver(processed.take()));
                let next = pin!(self.next(&mut intake, &mut unnoted, owes_acks));
                tokio::join!(deliver, next)
            };
            unnoted.add(out?, self.processor.clock.now());
            match next? {
                Next::Batch(batch) => {
                    valve.note(batch.postponed, batch.tags.len());
                    if let Some(Left::Jammed(why)) = &batch.left {
                        tracing::warn!(queue, why, "nothing gets through the database");
                        valve.trip();
                    }
                    is_left = batch.left.is_some();
                    processed = Some(batch);
                }
                Next::Idle => outlet.acknowledge().await?,
                Next::Drained => break,
            }
            // What was left comes back when the channel is closed.
            if is_left || valve.has_tripped() {
                let out = outlet.deliver(processed.take()).await?;
                unnoted.add(out, self.processor.clock.now());
                break;
            }
        }
        outlet.close().await?;
        self.note(&mut unnoted).await
    }

    /// Waits for deliveries and processes a batch of them; not for long if it `owes_acks`.
    async fn next(
        &self,
        intake: &mut Intake<B::Deliveries>,
        unnoted: &mut Unnoted,
        owes_acks: bool,
    ) -> Result<Next, Trouble> {
        let clock = &self.processor.clock;
        let first = tokio::select! {
            biased;
            delivery = intake.next() => delivery?,
            () = self.stop.requested(), if !intake.is_cancelled() => return Ok(Next::Idle),
            () = clock.sleep(if owes_acks { MOMENT } else { IDLE }) => {
                if !owes_acks {
                    self.note(unnoted).await?;
                }
                return Ok(Next::Idle);
            }
        };
        let Some(first) = first else {
            if intake.is_cancelled() {
                return Ok(Next::Drained);
            }
            let text = format!("the broker ended the consumer of {}", self.reception.queue);
            return Err(BrokerError::Unavailable(text).into());
        };
        let gathered = intake.gather(first).await?;
        // The rest goes by the clock that a simulation moves, and what is measured by one that nobody puts back.
        let (began, started) = (clock.now(), std::time::Instant::now());
        let received: Vec<_> =
            gathered.into_iter().map(|delivery| self.reception.receive(delivery, began)).collect();
        let size = received.len();
        let newest = newest_answer(&received);
        let waits = Waits::begin(self.reception.queue, &received);
        let mut processed = self.processor.process(received, unnoted).await?;
        // Where nothing was new, there was no transaction to note them in.
        if !unnoted.due(clock.now()).is_empty() {
            self.note(unnoted).await?;
        }
        // What was left comes again: it has not been waited for to the end, nor been processed.
        if processed.left.is_none() {
            processed.waits = waits;
            self.watermark.raise(newest);
        }
        intake.rest_after(clock.now() - began);
        metrics::batch(self.reception.queue, size, started.elapsed());
        Ok(Next::Batch(processed))
    }

    /// How many deliveries may be in hand. What is in hand when it ends badly comes back, and a
    /// message that came back too often is given up by the broker: so only a few are tried then.
    fn prefetch(&self, valve: &Valve) -> u16 {
        let most = self.limits.prefetch;
        if self.processor.clock.now() < self.careful_until {
            1
        } else if valve.is_half_open() {
            most.min(HALF_OPEN_PREFETCH)
        } else {
            most
        }
    }

    async fn note(&self, unnoted: &mut Unnoted) -> Result<(), Trouble> {
        if !unnoted.all().is_empty() {
            self.processor.store.mark_sent(unnoted.all()).await?;
            unnoted.clear();
        }
        Ok(())
    }
}

/// When the newest answer of a worker was sent. Clients are not asked: their clocks may be wrong.
fn newest_answer<I>(received: &[Received<I>]) -> Micros {
    let answers = received.iter().filter(|received| {
        let content = received.content.as_ref();
        content.is_ok_and(|content| content.arrival.cause.source != Party::Client.name())
    });
    let sent_at = answers.filter_map(|r| r.delivery.properties.int_header(SENT_AT));
    Micros(sent_at.max().unwrap_or_default())
}

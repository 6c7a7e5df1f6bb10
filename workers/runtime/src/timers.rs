//! Due timers as inputs: the same batch path as messages, but nobody to acknowledge to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::broker::Broker;
use crate::clock::{Clock, Entropy, Micros};
use crate::domain::{Arrival, Context, Domain, States, TIMER, Timer};
use crate::fold::{Folded, fold, timer_cause};
use crate::gate::Gate;
use crate::lane::Watermark;
use crate::message::Outgoing;
use crate::metrics;
use crate::outlet::publish_all;
use crate::stop::Stop;
use crate::store::{Claim, DueTimer, Entered, Standing, Store, StoreError, Unit, Work, give_up};
use crate::trace;
use crate::trouble::Trouble;

/// The most timers in one batch.
const BATCH: usize = 500;
/// How long a frozen timer is put off.
const FREEZE: Duration = Duration::from_secs(5);
/// How long a timer that can't be decided is put off.
const PUT_OFF: Duration = Duration::from_secs(60);
/// A participant with more waiting messages than this has a backlog, which is no failure of his.
const BACKLOG: u32 = 1_000;

/// The loop over due timers.
pub struct Timers<D, B, S> {
    /// The worker's decisions.
    pub domain: Arc<D>,
    /// The broker.
    pub broker: Arc<B>,
    /// The worker's database.
    pub store: Arc<S>,
    /// Tells the time.
    pub clock: Arc<dyn Clock>,
    /// Gives random numbers.
    pub entropy: Arc<dyn Entropy>,
    /// How far the answers have been processed.
    pub watermark: Watermark,
    /// Lets timers fire, or not.
    pub gate: Gate,
    /// How often to look for due timers.
    pub period: Duration,
    /// Ends the loop.
    pub stop: Stop,
}

impl<D: Domain, B: Broker, S: Store<D>> Timers<D, B, S> {
    /// Runs until stopped or in trouble.
    pub async fn run(self) -> Result<(), Trouble> {
        let mut publisher = self.broker.publisher().await?;
        while !self.stop.is_requested() {
            tokio::select! {
                biased;
                () = self.gate.opened() => {}
                () = self.stop.requested() => break,
            }
            let due = self.due().await?;
            if due.is_empty() {
                tokio::select! {
                    biased;
                    () = self.clock.sleep(self.period) => {}
                    () = self.stop.requested() => {}
                }
                continue;
            }
            self.fire_all(due, &mut publisher).await?;
        }
        Ok(())
    }

    /// Fires timers together if possible, and one by one where one of them is at fault.
    async fn fire_all(&self, due: Vec<Timer>, publisher: &mut B::Publisher) -> Result<(), Trouble> {
        let mut parts = vec![due];
        while let Some(mut part) = parts.pop() {
            match self.fire(&part).await {
                Ok(Fired { batch, outgoing, failed }) => {
                    publish_all(publisher, &outgoing).await?;
                    self.store.mark_sent(&[batch]).await?;
                    self.put_off(&failed, "deciding on it failed").await?;
                }
                // Somebody sits on an order: the others should not wait for it.
                Err(StoreError::Data(_) | StoreError::Conflict(_)) if part.len() > 1 => {
                    let second = part.split_off(part.len() / 2);
                    parts.extend([second, part]);
                }
                Err(StoreError::Conflict(why)) => {
                    tracing::debug!(why, "timer in conflict, put off");
                    self.store.postpone(&part, FREEZE).await?;
                }
                Err(StoreError::Data(why)) => self.put_off(&part, &why).await?,
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// A timer is never given up: an order without its deadline might stay open for ever.
    async fn put_off(&self, timers: &[Timer], why: &str) -> Result<(), Trouble> {
        if timers.is_empty() {
            return Ok(());
        }
        metrics::timers("failed", timers.len());
        for timer in timers {
            tracing::error!(timer.owner, timer.step, timer.round, why, "timer failed, put off");
        }
        Ok(self.store.postpone(timers, PUT_OFF).await?)
    }

    /// The timers that may fire now; frozen ones are put off.
    async fn due(&self) -> Result<Vec<Timer>, Trouble> {
        let due = self.store.due_timers(BATCH).await?;
        if due.is_empty() {
            return Ok(vec![]);
        }
        let horizon = self.horizon().await?;
        let due = due.into_iter().filter(|due| due.due_at <= horizon);
        let mut live = Vec::new();
        let mut frozen = Vec::new();
        let mut absent = BTreeMap::new();
        for DueTimer { timer, .. } in due {
            let is_frozen = match D::participant(&timer.step) {
                None => false,
                Some(queue) => match absent.get(queue) {
                    Some(is_absent) => *is_absent,
                    None => {
                        let depth = self.broker.depth(queue).await?;
                        let is_absent = depth.consumers == 0 || depth.ready > BACKLOG;
                        absent.insert(queue, is_absent);
                        is_absent
                    }
                },
            };
            if is_frozen { frozen.push(timer) } else { live.push(timer) }
        }
        if !frozen.is_empty() {
            metrics::timers("frozen", frozen.len());
            self.store.postpone(&frozen, FREEZE).await?;
        }
        Ok(live)
    }

    /// Only timers due before this moment may fire: older answers must not be waiting.
    async fn horizon(&self) -> Result<Micros, Trouble> {
        let Some(answers) = D::ANSWERS else { return Ok(Micros(i64::MAX)) };
        let is_caught_up = self.broker.depth(answers).await?.ready == 0;
        Ok(if is_caught_up { Micros(i64::MAX) } else { self.watermark.get() })
    }

    /// Decides and saves in one transaction; the outputs are published after it.
    async fn fire(&self, timers: &[Timer]) -> Result<Fired, StoreError> {
        let batch = self.entropy.uuid();
        let at = self.clock.now();
        let mut arrivals: Vec<(Arrival<D::Input>, &Timer)> =
            timers.iter().filter_map(|timer| Some((arrival::<D>(timer, at)?, timer))).collect();
        arrivals.sort_by(|(a, _), (b, _)| a.cause.cmp(&b.cause));
        let claims: Vec<Claim> = arrivals
            .iter()
            .map(|(arrival, _)| Claim {
                cause: arrival.cause.clone(),
                kind: TIMER,
                body_hash: Sha256::digest(arrival.cause.id.as_bytes()).into(),
            })
            .collect();
        let mut unit = self.store.begin().await?;
        let keys: BTreeSet<D::Key> =
            arrivals.iter().flat_map(|(arrival, _)| D::keys(&arrival.input)).collect();
        let Entered { standings, states } = match unit.enter(batch, &claims, &keys).await {
            Ok(entered) => entered,
            Err(error) => return Err(give_up(unit, error).await),
        };
        let fresh: Vec<_> = arrivals
            .iter()
            .zip(standings)
            .filter(|(_, standing)| *standing == Standing::Fresh)
            .map(|(fresh, _)| fresh)
            .collect();
        let inputs: Vec<_> = fresh.iter().map(|(arrival, _)| arrival).collect();
        // One that nobody understands may be of a newer version, which runs beside this one.
        let has_failed = |timer: &Timer, work: &Work<D>| {
            D::due(timer).is_none() || work.disclaimed.contains(&timer_cause(timer))
        };
        let Folded { mut work, .. } =
            fold(&*self.domain, batch, &inputs, States::new(keys, states));
        // A timer that another replica fired goes as well.
        let spent = timers.iter().filter(|timer| !has_failed(timer, &work));
        work.spent = spent.cloned().collect();
        unit.leave(&work).await?;
        metrics::timers("fired", work.spent.len());
        work.entries.iter().for_each(D::meter);
        let ended = self.clock.now();
        tracing::info!(%batch, timers = work.spent.len(), "timers fired");
        trace::record(|tracer| {
            let fired = fresh.iter().filter(|(_, timer)| !has_failed(timer, &work));
            fired
                .filter_map(|(arrival, timer)| tracer.fired(timer, &arrival.context, (at, ended)))
                .collect::<Vec<_>>()
        });
        Ok(Fired {
            batch,
            failed: timers.iter().filter(|timer| has_failed(timer, &work)).cloned().collect(),
            outgoing: work.outputs.into_iter().flat_map(|(_, outputs)| outputs).collect(),
        })
    }
}

/// Timers that fired in one transaction.
struct Fired {
    batch: Uuid,
    outgoing: Vec<Outgoing>,
    failed: Vec<Timer>,
}

fn arrival<D: Domain>(timer: &Timer, at: Micros) -> Option<Arrival<D::Input>> {
    let input = D::due(timer)?;
    let (cause, mut context) = (timer_cause(timer), Context::default());
    if let Some(tracer) = trace::tracer() {
        tracer.enter(&mut context, &cause.id, &timer.owner);
    }
    Some(Arrival { cause, kind: TIMER, at, context, input })
}

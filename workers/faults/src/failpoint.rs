//! Failpoints: at the n-th time a worker comes to a step, something is done to it.

use std::collections::BTreeSet;
use std::pin::pin;
use std::str::FromStr;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use orderly_runtime::broker::{Acks, BrokerError, Confirmation, Publisher};
use orderly_runtime::domain::{Cause, Domain};
use orderly_runtime::letter::Letter;
use orderly_runtime::message::{Delivery, Outgoing, Tag};
use orderly_runtime::store::{Claim, DueTimer, Standing, Store, StoreError, Unit, Work};
use uuid::Uuid;

use crate::between::{Between, Rows};
use crate::step::{NoStep, Step, Window};

/// How long a call that is to be interrupted may run: its request is out by then, and its answer
/// hardly back.
const WITHIN: Duration = Duration::from_micros(200);

/// Where a worker fails: `<step>` or `<step>:<n>`, the n-th time it comes there, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Point {
    /// The step.
    pub step: Step,
    /// Which time.
    pub time: u32,
}

impl FromStr for Point {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let (step, time) = text.split_once(':').unwrap_or((text, "1"));
        let step = step.parse().map_err(|error: NoStep| error.to_string())?;
        let time = time.parse().map_err(|error| format!("{time:?} is no number: {error}"))?;
        Ok(Self { step, time })
    }
}

/// Fails a worker at one point.
pub struct Failpoint<F> {
    point: Option<Point>,
    come_by: AtomicU32,
    failure: F,
}

impl<F: Fn() + Send + Sync + 'static> Failpoint<F> {
    /// Does `failure` at `point`, if there is one; best is a failure that does not return.
    pub fn new(point: Option<Point>, failure: F) -> Self {
        Self { point, come_by: AtomicU32::new(0), failure }
    }

    fn reached(&self, step: Step) {
        if self.is_it(step) {
            (self.failure)();
        }
    }

    fn is_it(&self, step: Step) -> bool {
        self.point.is_some_and(|point| {
            step == point.step && self.come_by.fetch_add(1, Ordering::SeqCst) + 1 == point.time
        })
    }

    /// Makes a call, or begins it and fails in the middle of it.
    async fn within<T>(&self, step: Step, call: impl Future<Output = T>) -> T {
        let mut call = pin!(call);
        if self.is_it(step) {
            let early = tokio::time::timeout(WITHIN, &mut call).await;
            (self.failure)();
            if let Ok(outcome) = early {
                return outcome;
            }
        }
        call.await
    }
}

impl<D: Domain, F: Fn() + Send + Sync + 'static> Between<D> for Failpoint<F> {
    type Unit = ();
    type Channel = ();

    fn channel(&self, _: &str) {}

    fn saw(&self, (): &(), _: &Delivery) {
        self.reached(Step::Delivered);
    }

    async fn ack<A: Acks>(&self, (): &(), acks: &mut A, tag: Tag) -> Result<(), BrokerError> {
        self.reached(Step::BeforeAck);
        acks.ack_up_to(tag).await?;
        self.reached(Step::AfterAck);
        Ok(())
    }

    async fn publish<P: Publisher>(
        &self,
        publisher: &mut P,
        messages: &[Outgoing],
    ) -> Result<Vec<Confirmation>, BrokerError> {
        let window = Window::of(messages);
        if let Some(before) = window.before() {
            self.reached(before);
        }
        let confirmations = self.within(window.within(), publisher.publish(messages)).await?;
        self.reached(window.after());
        Ok(confirmations)
    }

    async fn begin<S: Store<D>>(&self, store: &S) -> Result<S::Unit, StoreError> {
        self.reached(Step::BeforeBegin);
        let unit = store.begin().await?;
        self.reached(Step::AfterBegin);
        Ok(unit)
    }

    async fn claim<U: Unit<D>>(
        &self,
        unit: &mut U,
        (): &mut (),
        batch: Uuid,
        claims: &[Claim],
    ) -> Result<Vec<Standing>, StoreError> {
        let standings = unit.claim(batch, claims).await?;
        self.reached(Step::AfterClaim);
        Ok(standings)
    }

    async fn load<U: Unit<D>>(
        &self,
        unit: &mut U,
        (): &mut (),
        keys: &BTreeSet<D::Key>,
    ) -> Result<Rows<D>, StoreError> {
        let rows = unit.load(keys).await?;
        self.reached(Step::AfterLoad);
        Ok(rows)
    }

    async fn save<U: Unit<D>>(
        &self,
        unit: &mut U,
        (): &mut (),
        work: &Work<D>,
    ) -> Result<(), StoreError> {
        unit.save(work).await?;
        self.reached(Step::AfterSave);
        Ok(())
    }

    async fn commit<U: Unit<D>>(&self, unit: U, (): ()) -> Result<(), StoreError> {
        self.within(Step::InCommit, unit.commit()).await?;
        self.reached(Step::AfterCommit);
        Ok(())
    }

    async fn due_timers<S: Store<D>>(
        &self,
        store: &S,
        limit: usize,
    ) -> Result<Vec<DueTimer>, StoreError> {
        let due = store.due_timers(limit).await?;
        if !due.is_empty() {
            self.reached(Step::AfterDue);
        }
        Ok(due)
    }

    async fn mark_sent<S: Store<D>>(&self, store: &S, batches: &[Uuid]) -> Result<(), StoreError> {
        self.reached(Step::BeforeMark);
        store.mark_sent(batches).await?;
        self.reached(Step::AfterMark);
        Ok(())
    }

    async fn unsent<S: Store<D>>(
        &self,
        store: &S,
        age: Duration,
        limit: usize,
    ) -> Result<Vec<(Uuid, Vec<Outgoing>)>, StoreError> {
        let leased = store.unsent(age, limit).await?;
        if !leased.is_empty() {
            self.reached(Step::AfterLease);
        }
        Ok(leased)
    }

    async fn note_suspect<S: Store<D>>(
        &self,
        store: &S,
        cause: &Cause,
        process: Uuid,
    ) -> Result<u32, StoreError> {
        let deaths = store.note_suspect(cause, process).await?;
        self.reached(Step::AfterNote);
        Ok(deaths)
    }

    async fn file_letters<S: Store<D>>(
        &self,
        store: &S,
        letters: &[Letter],
    ) -> Result<(), StoreError> {
        self.reached(Step::BeforeFile);
        store.file_letters(letters).await?;
        self.reached(Step::AfterFile);
        Ok(())
    }
}

//! A store with something in between.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use orderly_runtime::domain::{Cause, Domain, Timer};
use orderly_runtime::letter::Letter;
use orderly_runtime::message::Outgoing;
use orderly_runtime::metrics::Reading;
use orderly_runtime::pause::Pause;
use orderly_runtime::store::{Claim, DueTimer, Standing, Store, StoreError, Unit, Work};
use uuid::Uuid;

use crate::between::{Between, Rows};

/// A worker's database.
pub struct InterposedStore<S, A> {
    store: Arc<S>,
    between: Arc<A>,
}

impl<S, A> InterposedStore<S, A> {
    /// Puts `between` before `store`.
    pub fn new(store: Arc<S>, between: Arc<A>) -> Self {
        Self { store, between }
    }
}

/// A transaction.
pub struct InterposedUnit<D: Domain, U, A: Between<D>> {
    unit: U,
    own: A::Unit,
    between: Arc<A>,
}

impl<D: Domain, U: Unit<D>, A: Between<D>> Unit<D> for InterposedUnit<D, U, A> {
    async fn claim(&mut self, batch: Uuid, claims: &[Claim]) -> Result<Vec<Standing>, StoreError> {
        self.between.claim(&mut self.unit, &mut self.own, batch, claims).await
    }

    async fn load(&mut self, keys: &BTreeSet<D::Key>) -> Result<Rows<D>, StoreError> {
        self.between.load(&mut self.unit, &mut self.own, keys).await
    }

    async fn save(&mut self, work: &Work<D>) -> Result<(), StoreError> {
        self.between.save(&mut self.unit, &mut self.own, work).await
    }

    async fn commit(self) -> Result<(), StoreError> {
        self.between.commit(self.unit, self.own).await
    }

    async fn rollback(self) {
        self.unit.rollback().await;
    }
}

impl<D: Domain, S: Store<D>, A: Between<D>> Store<D> for InterposedStore<S, A> {
    type Unit = InterposedUnit<D, S::Unit, A>;

    async fn begin(&self) -> Result<Self::Unit, StoreError> {
        let unit = self.between.begin(&*self.store).await?;
        Ok(InterposedUnit { unit, own: A::Unit::default(), between: self.between.clone() })
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.store.ping().await
    }

    async fn due_timers(&self, limit: usize) -> Result<Vec<DueTimer>, StoreError> {
        self.between.due_timers(&*self.store, limit).await
    }

    async fn postpone(&self, timers: &[Timer], by: Duration) -> Result<(), StoreError> {
        self.between.postpone(&*self.store, timers, by).await
    }

    async fn mark_sent(&self, batches: &[Uuid]) -> Result<(), StoreError> {
        self.between.mark_sent(&*self.store, batches).await
    }

    async fn unsent(
        &self,
        age: Duration,
        limit: usize,
    ) -> Result<Vec<(Uuid, Vec<Outgoing>)>, StoreError> {
        self.between.unsent(&*self.store, age, limit).await
    }

    async fn note_suspect(&self, cause: &Cause, process: Uuid) -> Result<u32, StoreError> {
        self.between.note_suspect(&*self.store, cause, process).await
    }

    async fn clear_suspect(&self, cause: &Cause) -> Result<(), StoreError> {
        self.store.clear_suspect(cause).await
    }

    async fn file_letters(&self, letters: &[Letter]) -> Result<(), StoreError> {
        self.between.file_letters(&*self.store, letters).await
    }

    async fn tend_letters(&self, retention: Duration, limit: usize) -> Result<u64, StoreError> {
        self.store.tend_letters(retention, limit).await
    }

    async fn purge(&self, retention: Duration, limit: usize) -> Result<u64, StoreError> {
        self.store.purge(retention, limit).await
    }

    async fn pause(&self) -> Result<Option<Pause>, StoreError> {
        self.store.pause().await
    }

    async fn in_progress(&self, limit: u32) -> Result<u32, StoreError> {
        self.store.in_progress(limit).await
    }

    async fn census(&self, is_full: bool) -> Result<Vec<Reading>, StoreError> {
        self.store.census(is_full).await
    }
}

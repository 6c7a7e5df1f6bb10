//! A database under a sky: in conflict, away, and not to be believed about a commit.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use orderly_faults::between::Rows;
use orderly_runtime::domain::{Cause, Domain, Timer};
use orderly_runtime::letter::Letter;
use orderly_runtime::message::Outgoing;
use orderly_runtime::metrics::Reading;
use orderly_runtime::pause::Pause;
use orderly_runtime::store::{Claim, DueTimer, Standing, Store, StoreError, Unit, Work};
use uuid::Uuid;

use crate::sky::{Sky, Strike};

/// A message whose id begins like this is refused by the database, and by nobody before it.
pub const SQL_POISON: &str = "sql-poison";

/// A worker's database.
pub struct WeatherStore<S> {
    store: Arc<S>,
    sky: Arc<Sky>,
}

impl<S> WeatherStore<S> {
    /// `store` under `sky`.
    pub fn new(store: Arc<S>, sky: Arc<Sky>) -> Self {
        Self { store, sky }
    }

    async fn answer(&self) -> Result<(), StoreError> {
        answer(&self.sky).await
    }
}

async fn answer(sky: &Sky) -> Result<(), StoreError> {
    sky.delay().await;
    if sky.strikes(Strike::DatabaseAway) {
        return Err(StoreError::Unavailable("server closed the connection".to_owned()));
    }
    Ok(())
}

/// A transaction. As in PostgreSQL, one that saw an error can be committed, which undoes it
/// without a word.
pub struct WeatherUnit<U> {
    unit: U,
    sky: Arc<Sky>,
    has_failed: bool,
    is_poisoned: bool,
}

impl<U> WeatherUnit<U> {
    async fn answer(&mut self) -> Result<(), StoreError> {
        let outcome = match answer(&self.sky).await {
            Ok(()) if self.sky.strikes(Strike::Conflict) => {
                Err(StoreError::Conflict("could not serialize access".to_owned()))
            }
            outcome => outcome,
        };
        self.has_failed |= outcome.is_err();
        outcome
    }

    fn note<T>(&mut self, outcome: Result<T, StoreError>) -> Result<T, StoreError> {
        self.has_failed |= outcome.is_err();
        outcome
    }
}

impl<D: Domain, U: Unit<D>> Unit<D> for WeatherUnit<U> {
    async fn claim(&mut self, batch: Uuid, claims: &[Claim]) -> Result<Vec<Standing>, StoreError> {
        self.answer().await?;
        self.is_poisoned |= claims.iter().any(|claim| claim.cause.id.starts_with(SQL_POISON));
        let outcome = self.unit.claim(batch, claims).await;
        self.note(outcome)
    }

    async fn load(&mut self, keys: &BTreeSet<D::Key>) -> Result<Rows<D>, StoreError> {
        self.answer().await?;
        let outcome = self.unit.load(keys).await;
        self.note(outcome)
    }

    async fn save(&mut self, work: &Work<D>) -> Result<(), StoreError> {
        self.answer().await?;
        if self.is_poisoned {
            return self.note(Err(StoreError::Data("violates a constraint".to_owned())));
        }
        let outcome = self.unit.save(work).await;
        self.note(outcome)
    }

    async fn commit(self) -> Result<(), StoreError> {
        self.sky.delay().await;
        if self.has_failed {
            self.unit.rollback().await;
            return Ok(());
        }
        let unheard = || Err(StoreError::Unknown("server closed the connection".to_owned()));
        if self.sky.strikes(Strike::CommitLost) {
            return unheard();
        }
        if self.sky.strikes(Strike::Conflict) {
            return Err(StoreError::Conflict("could not serialize access".to_owned()));
        }
        self.unit.commit().await?;
        if self.sky.strikes(Strike::CommitUnheard) {
            return unheard();
        }
        self.sky.delay().await;
        Ok(())
    }

    async fn rollback(self) {
        self.unit.rollback().await;
    }
}

impl<D: Domain, S: Store<D>> Store<D> for WeatherStore<S> {
    type Unit = WeatherUnit<S::Unit>;

    async fn begin(&self) -> Result<Self::Unit, StoreError> {
        self.answer().await?;
        let unit = self.store.begin().await?;
        Ok(WeatherUnit { unit, sky: self.sky.clone(), has_failed: false, is_poisoned: false })
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.answer().await?;
        self.store.ping().await
    }

    async fn due_timers(&self, limit: usize) -> Result<Vec<DueTimer>, StoreError> {
        self.answer().await?;
        self.store.due_timers(limit).await
    }

    async fn postpone(&self, timers: &[Timer], by: Duration) -> Result<(), StoreError> {
        self.answer().await?;
        self.store.postpone(timers, by).await
    }

    async fn mark_sent(&self, batches: &[Uuid]) -> Result<(), StoreError> {
        self.answer().await?;
        self.store.mark_sent(batches).await
    }

    async fn unsent(
        &self,
        age: Duration,
        limit: usize,
    ) -> Result<Vec<(Uuid, Vec<Outgoing>)>, StoreError> {
        self.answer().await?;
        self.store.unsent(age, limit).await
    }

    async fn note_suspect(&self, cause: &Cause, process: Uuid) -> Result<u32, StoreError> {
        self.answer().await?;
        self.store.note_suspect(cause, process).await
    }

    async fn clear_suspect(&self, cause: &Cause) -> Result<(), StoreError> {
        self.answer().await?;
        self.store.clear_suspect(cause).await
    }

    async fn file_letters(&self, letters: &[Letter]) -> Result<(), StoreError> {
        self.answer().await?;
        self.store.file_letters(letters).await
    }

    async fn tend_letters(&self, retention: Duration, limit: usize) -> Result<u64, StoreError> {
        self.store.tend_letters(retention, limit).await
    }

    async fn purge(&self, retention: Duration, limit: usize) -> Result<u64, StoreError> {
        self.store.purge(retention, limit).await
    }

    async fn pause(&self) -> Result<Option<Pause>, StoreError> {
        self.answer().await?;
        self.store.pause().await
    }

    async fn in_progress(&self, limit: u32) -> Result<u32, StoreError> {
        self.store.in_progress(limit).await
    }

    async fn census(&self, is_full: bool) -> Result<Vec<Reading>, StoreError> {
        self.store.census(is_full).await
    }
}

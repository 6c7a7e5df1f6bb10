//! The store seam on PostgreSQL: the runtime's tables here, the worker's own by [`Tables`].

use std::marker::PhantomData;
use std::time::Duration;

use deadpool_postgres::Pool;
use uuid::Uuid;

use crate::domain::{Cause, Domain, Timer};
use crate::letter::Letter;
use crate::message::Outgoing;
use crate::metrics::Reading;
use crate::pause::Pause;
use crate::postgres::connections::Connections;
use crate::postgres::session::Session;
use crate::postgres::tables::Tables;
use crate::postgres::unit::PgUnit;
use crate::postgres::write::write;
use crate::postgres::{census, inbox, letters, outbox, pauses, timers};
use crate::store::{DueTimer, Store, StoreError};

/// A worker's PostgreSQL database.
pub struct PgStore<T> {
    connections: Connections,
    tables: PhantomData<T>,
}

impl<T> PgStore<T> {
    /// A store on `pool`, whose server ends every statement after `statement_timeout`.
    pub fn new(pool: Pool, statement_timeout: Duration) -> Self {
        let deadline = statement_timeout + Duration::from_secs(2);
        Self { connections: Connections { pool, deadline }, tables: PhantomData }
    }

    /// Runs `work` outside a transaction, on a connection that goes back to the pool if it is
    /// still good.
    async fn run<R>(
        &self,
        work: impl AsyncFnOnce(Session<'_>) -> Result<R, StoreError>,
    ) -> Result<R, StoreError> {
        let mut connection = self.connections.take().await?;
        let outcome = work(connection.session()).await;
        if outcome.is_ok() {
            connection.keep();
        }
        outcome
    }
}

impl<D: Domain, T: Tables<D>> Store<D> for PgStore<T> {
    type Unit = PgUnit<T>;

    async fn begin(&self) -> Result<PgUnit<T>, StoreError> {
        PgUnit::on(&self.connections).await
    }

    async fn ping(&self) -> Result<(), StoreError> {
        self.run(async |session| session.command("SELECT 1").await).await
    }

    async fn due_timers(&self, limit: usize) -> Result<Vec<DueTimer>, StoreError> {
        self.run(async |session| timers::due(session, limit as i64).await).await
    }

    async fn postpone(&self, late: &[Timer], by: Duration) -> Result<(), StoreError> {
        self.run(async |session| timers::postpone(session, late, by).await).await
    }

    async fn mark_sent(&self, batches: &[Uuid]) -> Result<(), StoreError> {
        self.run(async |session| write(session, vec![outbox::mark_sent(batches)]).await).await
    }

    async fn unsent(
        &self,
        age: Duration,
        limit: usize,
    ) -> Result<Vec<(Uuid, Vec<Outgoing>)>, StoreError> {
        self.run(async |session| outbox::lease_unsent(session, age, limit as i64).await).await
    }

    async fn note_suspect(&self, cause: &Cause, process: Uuid) -> Result<u32, StoreError> {
        self.run(async |session| inbox::note_suspect(session, cause, process).await).await
    }

    async fn clear_suspect(&self, cause: &Cause) -> Result<(), StoreError> {
        self.run(async |session| inbox::clear_suspect(session, cause).await).await
    }

    async fn file_letters(&self, filed: &[Letter]) -> Result<(), StoreError> {
        self.run(async |session| {
            for letter in filed {
                letters::file(session, letter).await?;
            }
            Ok(())
        })
        .await
    }

    async fn tend_letters(&self, retention: Duration, limit: usize) -> Result<u64, StoreError> {
        self.run(async |session| letters::tend(session, retention, limit as i64).await).await
    }

    async fn purge(&self, retention: Duration, limit: usize) -> Result<u64, StoreError> {
        self.run(async |session| inbox::purge(session, retention, limit as i64).await).await
    }

    async fn pause(&self) -> Result<Option<Pause>, StoreError> {
        self.run(async |session| pauses::current(session).await).await
    }

    async fn in_progress(&self, limit: u32) -> Result<u32, StoreError> {
        self.run(async |session| timers::moving(session, limit).await).await
    }

    async fn census(&self, is_full: bool) -> Result<Vec<Reading>, StoreError> {
        let mut readings = census::pool(self.connections.pool.status());
        let read = self.run(async |session| {
            Ok((census::tables(session).await?, T::census(session, is_full).await?))
        });
        let (ours, own) = read.await?;
        readings.extend(ours.into_iter().chain(own));
        Ok(readings)
    }
}

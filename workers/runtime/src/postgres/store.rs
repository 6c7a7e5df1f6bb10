//! The store seam on PostgreSQL: the runtime's tables here, the worker's own by [`Tables`].

use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;
use std::time::Duration;

use deadpool_postgres::{Object, Pool, PoolError};
use uuid::Uuid;

use crate::domain::{Cause, Domain, Timer};
use crate::letter::Letter;
use crate::message::Outgoing;
use crate::metrics::Reading;
use crate::pause::Pause;
use crate::postgres::failure::classify;
use crate::postgres::session::{Session, Turn};
use crate::postgres::tables::Tables;
use crate::postgres::write::write;
use crate::postgres::{census, inbox, letters, outbox, pauses, timers};
use crate::store::{Claim, DueTimer, Entered, Standing, Store, StoreError, Unit, Work};

/// A worker's PostgreSQL database.
pub struct PgStore<T> {
    connections: Connections,
    tables: PhantomData<T>,
}

/// Where connections come from.
#[derive(Clone)]
struct Connections {
    pool: Pool,
    deadline: Duration,
}

impl Connections {
    async fn take(&self) -> Result<Connection, StoreError> {
        let client = self.pool.get().await.map_err(|error| match error {
            PoolError::Backend(error) => classify(error),
            other => StoreError::Unavailable(other.to_string()),
        })?;
        Ok(Connection { client: Some(client), turn: Turn::default(), deadline: self.deadline })
    }
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

/// A connection that is closed when dropped, unless it was kept: after an error or a deadline its
/// state is unknown, and the next user must not inherit it.
struct Connection {
    client: Option<Object>,
    turn: Turn,
    deadline: Duration,
}

impl Connection {
    fn session(&self) -> Session<'_> {
        let client = self.client.as_ref().expect("a connection is used before it is kept");
        Session::new(client, &self.turn, self.deadline)
    }

    /// Prepares every statement anew when it is next used.
    fn forget_statements(&self) {
        if let Some(client) = &self.client {
            client.statement_cache.clear();
        }
    }

    fn has_died(&self) -> bool {
        self.client.as_ref().is_none_or(|client| client.is_closed())
    }

    /// Gives the connection back to the pool.
    fn keep(&mut self) {
        self.client = None;
    }
}

impl Drop for Connection {
    fn drop(&mut self) {
        if let Some(client) = self.client.take() {
            drop(Object::take(client));
        }
    }
}

/// A transaction on a connection of the pool, in two round trips: what it begins with, and what it
/// leaves. It is begun with the first thing that is asked of it.
pub struct PgUnit<T> {
    connections: Connections,
    connection: Connection,
    has_begun: bool,
    /// PostgreSQL answers COMMIT after an error with a polite ROLLBACK: it must never be sent.
    has_failed: bool,
    tables: PhantomData<T>,
}

impl<T> PgUnit<T> {
    fn note<R>(&mut self, outcome: Result<R, StoreError>) -> Result<R, StoreError> {
        self.has_failed |= outcome.is_err();
        outcome
    }

    /// Begins, unless it has begun.
    async fn begun(&mut self, batch: Uuid) -> Result<(), StoreError> {
        if self.has_begun {
            return Ok(());
        }
        self.has_begun = true;
        let outcome = self.connection.session().command(&inbox::begin(batch)).await;
        self.note(outcome)
    }

    fn expect_sound(&self) -> Result<(), StoreError> {
        if self.has_failed {
            return Err(StoreError::Conflict("a statement of the transaction failed".to_owned()));
        }
        Ok(())
    }

    /// What came of sending COMMIT. After an error the connection has answers to come, and is closed.
    fn end(mut self, committed: Result<(), StoreError>) -> Result<(), StoreError> {
        match committed {
            Ok(()) => {
                self.connection.keep();
                Ok(())
            }
            Err(StoreError::Unavailable(why)) => Err(StoreError::Unknown(why)),
            Err(error) => Err(error),
        }
    }

    /// Another connection, if the pool gave one that had died while it was idle. A second one that
    /// fails is the database's doing.
    async fn renew(&mut self) -> Result<bool, StoreError> {
        let has_died = self.connection.has_died();
        if has_died {
            self.connection = self.connections.take().await?;
        }
        Ok(has_died)
    }
}

impl<D: Domain, T: Tables<D>> Unit<D> for PgUnit<T> {
    async fn claim(&mut self, batch: Uuid, claims: &[Claim]) -> Result<Vec<Standing>, StoreError> {
        self.begun(batch).await?;
        let session = self.connection.session();
        let outcome = async {
            let rows = inbox::claim(session, batch, claims).await?;
            inbox::standings(session, claims, &rows).await
        }
        .await;
        self.note(outcome)
    }

    async fn load(
        &mut self,
        keys: &BTreeSet<D::Key>,
    ) -> Result<BTreeMap<D::Key, D::State>, StoreError> {
        self.begun(Uuid::nil()).await?;
        let outcome = T::load(self.connection.session(), keys).await;
        self.note(outcome)
    }

    async fn save(&mut self, work: &Work<D>) -> Result<(), StoreError> {
        self.begun(work.batch).await?;
        let outcome = save::<D, T>(self.connection.session(), work).await;
        self.note(outcome)
    }

    async fn commit(self) -> Result<(), StoreError> {
        self.expect_sound()?;
        let committed = self.connection.session().command("COMMIT").await;
        self.end(committed)
    }

    async fn rollback(mut self) {
        if !self.has_begun || self.connection.session().command("ROLLBACK").await.is_ok() {
            if self.has_failed {
                // Perhaps a statement prepared before somebody changed the schema: it would fail
                // for ever.
                self.connection.forget_statements();
            }
            self.connection.keep();
        }
    }

    async fn enter(
        &mut self,
        batch: Uuid,
        claims: &[Claim],
        keys: &BTreeSet<D::Key>,
    ) -> Result<Entered<D>, StoreError> {
        let outcome = match enter::<D, T>(self.connection.session(), batch, claims, keys).await {
            Err(StoreError::Unavailable(_)) if self.renew().await? => {
                enter::<D, T>(self.connection.session(), batch, claims, keys).await
            }
            outcome => outcome,
        };
        self.has_begun = true;
        self.note(outcome)
    }

    async fn leave(self, work: &Work<D>) -> Result<(), StoreError> {
        self.expect_sound()?;
        let session = self.connection.session();
        // After an error in what is sent before it, COMMIT rolls back; the error is what is told.
        let saved = save::<D, T>(session, work);
        let committed = tokio::try_join!(biased; saved, session.command("COMMIT"));
        self.end(committed.map(|_| ()))
    }
}

/// Begins, claims and loads, all in one flight.
async fn enter<D: Domain, T: Tables<D>>(
    session: Session<'_>,
    batch: Uuid,
    claims: &[Claim],
    keys: &BTreeSet<D::Key>,
) -> Result<Entered<D>, StoreError> {
    let begin = inbox::begin(batch);
    let ((), rows, states) = tokio::try_join!(
        biased;
        session.command(&begin),
        inbox::claim(session, batch, claims),
        T::load(session, keys),
    )?;
    Ok(Entered { standings: inbox::standings(session, claims, &rows).await?, states })
}

/// Saves what a batch leaves behind.
async fn save<D: Domain, T: Tables<D>>(
    session: Session<'_>,
    work: &Work<D>,
) -> Result<(), StoreError> {
    let mut writes = T::save(&work.changes, &work.entries);
    writes.extend(timers::save(work));
    writes.extend(outbox::store(work)?);
    writes.extend([inbox::disclaim(&work.disclaimed), outbox::mark_sent(&work.sent)]);
    write(session, writes).await
}

impl<D: Domain, T: Tables<D>> Store<D> for PgStore<T> {
    type Unit = PgUnit<T>;

    async fn begin(&self) -> Result<PgUnit<T>, StoreError> {
        Ok(PgUnit {
            connection: self.connections.take().await?,
            connections: self.connections.clone(),
            has_begun: false,
            has_failed: false,
            tables: PhantomData,
        })
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

//! A transaction of PostgreSQL, in two round trips at most.

use std::collections::{BTreeMap, BTreeSet};
use std::marker::PhantomData;

use uuid::Uuid;

use crate::domain::Domain;
use crate::postgres::connections::{Connection, Connections};
use crate::postgres::session::Session;
use crate::postgres::tables::Tables;
use crate::postgres::write::{Write, write};
use crate::postgres::{inbox, outbox, timers};
use crate::store::{Changes, Claim, Entered, Standing, StoreError, Unit, Work};

const BEGIN: &str = "BEGIN";

/// A transaction on a connection of the pool, in two round trips: what it begins with, and what it
/// leaves; or with the second alone. It is begun with the first thing that is asked of it.
pub struct PgUnit<T> {
    connections: Connections,
    connection: Connection,
    has_begun: bool,
    /// PostgreSQL answers COMMIT after an error with a polite ROLLBACK: it must never be sent.
    has_failed: bool,
    tables: PhantomData<T>,
}

impl<T> PgUnit<T> {
    /// A transaction on one of `connections`.
    pub(super) async fn on(connections: &Connections) -> Result<Self, StoreError> {
        Ok(Self {
            connection: connections.take().await?,
            connections: connections.clone(),
            has_begun: false,
            has_failed: false,
            tables: PhantomData,
        })
    }

    fn note<R>(&mut self, outcome: Result<R, StoreError>) -> Result<R, StoreError> {
        self.has_failed |= outcome.is_err();
        outcome
    }

    /// Begins, unless it has begun.
    async fn begun(&mut self) -> Result<(), StoreError> {
        if std::mem::replace(&mut self.has_begun, true) {
            return Ok(());
        }
        let outcome = self.connection.session().command(BEGIN).await;
        self.note(outcome)
    }

    fn expect_sound(&self) -> Result<(), StoreError> {
        if self.has_failed {
            return Err(StoreError::Conflict("a statement of the transaction failed".to_owned()));
        }
        Ok(())
    }

    /// What came of all that was sent last.
    async fn end(mut self, outcome: Result<(), StoreError>) -> Result<(), StoreError> {
        match &outcome {
            Ok(()) => self.connection.keep(),
            Err(StoreError::Unavailable(why)) => return Err(StoreError::Unknown(why.clone())),
            Err(StoreError::Conflict(_) | StoreError::Data(_)) => {
                self.has_failed = true;
                self.undo().await;
            }
            Err(_) => {}
        }
        outcome
    }

    /// Rolls back; the connection is kept if that succeeds.
    async fn undo(mut self) {
        if !self.has_begun || self.connection.session().command("ROLLBACK").await.is_ok() {
            if self.has_failed {
                // Perhaps a statement prepared before somebody changed the schema: it would fail
                // for ever.
                self.connection.forget_statements();
            }
            self.connection.keep();
        }
    }

    /// Writes and commits in one flight.
    async fn write_and_commit(self, writes: Vec<Write<'_>>) -> Result<(), StoreError> {
        let session = self.connection.session();
        // After an error of the server COMMIT rolls back, and the error is what is told. After one that is ours
        // COMMIT is not sent at all: it would keep what was claimed before.
        let written = write(session, writes);
        let done = tokio::try_join!(biased; written, session.command("COMMIT"));
        self.end(done.map(|_| ())).await
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
        self.begun().await?;
        let session = self.connection.session();
        let outcome = async {
            session.command(&inbox::set_batch(batch)).await?;
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
        let outcome = if std::mem::replace(&mut self.has_begun, true) {
            T::load(self.connection.session(), keys).await
        } else {
            match begin_and_load::<D, T>(self.connection.session(), keys).await {
                Err(StoreError::Unavailable(_)) if self.renew().await? => {
                    begin_and_load::<D, T>(self.connection.session(), keys).await
                }
                outcome => outcome,
            }
        };
        self.note(outcome)
    }

    async fn look(
        &mut self,
        keys: &BTreeSet<D::Key>,
    ) -> Result<BTreeMap<D::Key, D::State>, StoreError> {
        if !T::VERSIONED || self.has_begun {
            return self.load(keys).await;
        }
        let outcome = match T::look(self.connection.session(), keys).await {
            Err(StoreError::Unavailable(_)) if self.renew().await? => {
                T::look(self.connection.session(), keys).await
            }
            outcome => outcome,
        };
        self.note(outcome)
    }

    async fn save(&mut self, work: &Work<D>) -> Result<(), StoreError> {
        self.begun().await?;
        let outcome = match writes_of::<D, T>(work) {
            Ok(writes) => write(self.connection.session(), writes).await,
            Err(error) => Err(error),
        };
        self.note(outcome)
    }

    async fn commit(self) -> Result<(), StoreError> {
        self.expect_sound()?;
        let committed = self.connection.session().command("COMMIT").await;
        self.end(committed).await
    }

    async fn rollback(self) {
        self.undo().await;
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
        let writes = writes_of::<D, T>(work)?;
        self.write_and_commit(writes).await
    }

    async fn leave_new(self, claims: &[Claim], work: &Work<D>) -> Result<(), StoreError> {
        self.expect_sound()?;
        let mut writes = writes_of::<D, T>(work)?;
        let claim = inbox::claim_new(work.batch, claims);
        if self.has_begun {
            writes.insert(0, claim);
            return self.write_and_commit(writes).await;
        }
        let Changes { created, updated } = &work.changes;
        // Who creates a state that is there waits for whoever is changing it. Two batches that hold what the other
        // creates would wait for ever, so none creates with changes in hand that it did not lock before.
        if !created.is_empty() && !updated.is_empty() {
            return Err(StoreError::Conflict("some is created, some changed unlocked".to_owned()));
        }
        // What was only looked at is locked before anything is claimed, as what is loaded is.
        let place = writes.iter().rposition(Write::changes).map_or(0, |last| last + 1);
        writes.insert(place, claim);
        // One statement is a transaction by itself.
        let written = write(self.connection.session(), writes).await;
        self.end(written).await
    }
}

/// Begins and loads, all in one flight.
async fn begin_and_load<D: Domain, T: Tables<D>>(
    session: Session<'_>,
    keys: &BTreeSet<D::Key>,
) -> Result<BTreeMap<D::Key, D::State>, StoreError> {
    let begun = session.command(BEGIN);
    let ((), states) = tokio::try_join!(biased; begun, T::load(session, keys))?;
    Ok(states)
}

/// Begins, loads and claims, all in one flight.
async fn enter<D: Domain, T: Tables<D>>(
    session: Session<'_>,
    batch: Uuid,
    claims: &[Claim],
    keys: &BTreeSet<D::Key>,
) -> Result<Entered<D>, StoreError> {
    let begin = format!("{BEGIN}; {}", inbox::set_batch(batch));
    let ((), states, rows) = tokio::try_join!(
        biased;
        session.command(&begin),
        T::load(session, keys),
        inbox::claim(session, batch, claims),
    )?;
    Ok(Entered { standings: inbox::standings(session, claims, &rows).await?, states })
}

/// What a batch leaves behind.
fn writes_of<D: Domain, T: Tables<D>>(work: &Work<D>) -> Result<Vec<Write<'_>>, StoreError> {
    let mut writes = T::save(&work.changes, &work.entries);
    writes.extend(timers::save(work));
    writes.extend(outbox::store(work)?);
    writes.extend([inbox::disclaim(&work.disclaimed), outbox::mark_sent(&work.sent)]);
    Ok(writes)
}

//! Connections of the pool, given back only in a known state.

use std::time::Duration;

use deadpool_postgres::{Object, Pool, PoolError};

use crate::postgres::failure::classify;
use crate::postgres::session::{Session, Turn};
use crate::store::StoreError;

/// Where connections come from.
#[derive(Clone)]
pub(super) struct Connections {
    pub(super) pool: Pool,
    /// How long a statement is waited for.
    pub(super) deadline: Duration,
}

impl Connections {
    pub(super) async fn take(&self) -> Result<Connection, StoreError> {
        let client = self.pool.get().await.map_err(|error| match error {
            PoolError::Backend(error) => classify(error),
            other => StoreError::Unavailable(other.to_string()),
        })?;
        Ok(Connection { client: Some(client), turn: Turn::default(), deadline: self.deadline })
    }
}

/// A connection that is closed when dropped, unless it was kept: after an error or a deadline its
/// state is unknown, and the next user must not inherit it.
pub(super) struct Connection {
    client: Option<Object>,
    turn: Turn,
    deadline: Duration,
}

impl Connection {
    pub(super) fn session(&self) -> Session<'_> {
        let client = self.client.as_ref().expect("a connection is used before it is kept");
        Session::new(client, &self.turn, self.deadline)
    }

    /// Prepares every statement anew when it is next used.
    pub(super) fn forget_statements(&self) {
        if let Some(client) = &self.client {
            client.statement_cache.clear();
        }
    }

    pub(super) fn has_died(&self) -> bool {
        self.client.as_ref().is_none_or(|client| client.is_closed())
    }

    /// Gives the connection back to the pool.
    pub(super) fn keep(&mut self) {
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

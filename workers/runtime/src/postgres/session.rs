//! Statements on a PostgreSQL connection: prepared once, with a deadline, and errors by meaning.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;
use std::time::Duration;

use deadpool_postgres::ClientWrapper;
use tokio::sync::{Mutex, MutexGuard};
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::postgres::failure::classify;
use crate::store::StoreError;

/// What tables are loaded and saved through.
///
/// Statements have array parameters, so that one plan serves any batch size. Those that
/// are begun together are sent in the order in which they were begun, whether they are prepared
/// already or not: a later one may fail for no other reason than that an earlier one was to be refused.
#[derive(Clone, Copy)]
pub struct Session<'a> {
    client: &'a ClientWrapper,
    turn: &'a Turn,
    deadline: Duration,
}

/// Whose turn it is to send on a connection, in the order in which they came.
pub type Turn = Mutex<()>;

/// The parameters of a statement.
pub type Parameters<'a> = &'a [&'a (dyn ToSql + Sync)];

impl<'a> Session<'a> {
    /// A session on `client`, whose statements take their `turn`. The server ends a statement before
    /// `deadline` does, which is for a server that doesn't answer at all. It begins when a statement is
    /// sent: several sent together have to be done within it, so that one that waits long ends them all.
    pub fn new(client: &'a ClientWrapper, turn: &'a Turn, deadline: Duration) -> Self {
        Self { client, turn, deadline }
    }

    /// All rows that `sql` gives.
    pub async fn query(
        &self,
        sql: &'static str,
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        let turn = self.turn().await?;
        self.within(async {
            let statement = self.client.prepare_cached(sql).await?;
            sent(turn, self.client.query(&statement, parameters)).await
        })
        .await
    }

    /// Runs `sql`; how many rows it touched.
    pub async fn execute(&self, sql: &str, parameters: Parameters<'_>) -> Result<u64, StoreError> {
        let turn = self.turn().await?;
        self.within(async {
            let statement = self.client.prepare_cached(sql).await?;
            sent(turn, self.client.execute(&statement, parameters)).await
        })
        .await
    }

    /// Runs commands without parameters or rows.
    pub(crate) async fn command(&self, sql: &str) -> Result<(), StoreError> {
        let turn = self.turn().await?;
        self.within(sent(turn, self.client.batch_execute(sql))).await
    }

    /// Waits for the turn to send.
    async fn turn(&self) -> Result<MutexGuard<'a, ()>, StoreError> {
        let turn = tokio::time::timeout(self.deadline, self.turn.lock()).await;
        turn.map_err(|_| self.silence())
    }

    fn silence(&self) -> StoreError {
        StoreError::Unavailable(format!("no answer within {:?}", self.deadline))
    }

    async fn within<T>(
        &self,
        work: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, StoreError> {
        match tokio::time::timeout(self.deadline, work).await {
            Ok(outcome) => outcome.map_err(classify),
            Err(_) => Err(self.silence()),
        }
    }
}

/// Sends what `running` is about to, passes the turn on, and waits for the answer.
async fn sent<T>(turn: MutexGuard<'_, ()>, running: impl Future<Output = T>) -> T {
    let mut running = pin!(running);
    // A statement is sent when it is first polled.
    let first = poll_fn(|context| Poll::Ready(running.as_mut().poll(context))).await;
    drop(turn);
    match first {
        Poll::Ready(answer) => answer,
        Poll::Pending => running.await,
    }
}

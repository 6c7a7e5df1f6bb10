//! Statements on a PostgreSQL connection: prepared once, with a deadline, and errors by meaning.

use std::time::Duration;

use deadpool_postgres::ClientWrapper;
use tokio_postgres::Row;
use tokio_postgres::types::ToSql;

use crate::postgres::failure::classify;
use crate::store::StoreError;

/// What tables are loaded and saved through.
///
/// Statements are constants with array parameters, so that one plan serves any batch size.
#[derive(Clone, Copy)]
pub struct Session<'a> {
    client: &'a ClientWrapper,
    deadline: Duration,
}

/// The parameters of a statement.
pub type Parameters<'a> = &'a [&'a (dyn ToSql + Sync)];

impl<'a> Session<'a> {
    /// A session on `client`. The server ends a statement before `deadline` does; it is for a
    /// server that doesn't answer at all.
    pub fn new(client: &'a ClientWrapper, deadline: Duration) -> Self {
        Self { client, deadline }
    }

    /// All rows that `sql` gives.
    pub async fn query(
        &self,
        sql: &'static str,
        parameters: Parameters<'_>,
    ) -> Result<Vec<Row>, StoreError> {
        self.within(async {
            let statement = self.client.prepare_cached(sql).await?;
            self.client.query(&statement, parameters).await
        })
        .await
    }

    /// Runs `sql`; how many rows it touched.
    pub async fn execute(
        &self,
        sql: &'static str,
        parameters: Parameters<'_>,
    ) -> Result<u64, StoreError> {
        self.within(async {
            let statement = self.client.prepare_cached(sql).await?;
            self.client.execute(&statement, parameters).await
        })
        .await
    }

    /// Runs `sql`, which must touch exactly `rows` rows; otherwise somebody else was faster.
    pub async fn execute_on(
        &self,
        rows: usize,
        sql: &'static str,
        parameters: Parameters<'_>,
    ) -> Result<(), StoreError> {
        let touched = self.execute(sql, parameters).await?;
        if touched == rows as u64 {
            return Ok(());
        }
        Err(StoreError::Conflict(format!("{touched} of {rows} rows touched by: {sql}")))
    }

    /// Runs a command without parameters or rows.
    pub(crate) async fn command(&self, sql: &'static str) -> Result<(), StoreError> {
        self.within(self.client.batch_execute(sql)).await
    }

    async fn within<T>(
        &self,
        work: impl Future<Output = Result<T, tokio_postgres::Error>>,
    ) -> Result<T, StoreError> {
        match tokio::time::timeout(self.deadline, work).await {
            Ok(outcome) => outcome.map_err(classify),
            Err(_) => Err(StoreError::Unavailable(format!("no answer within {:?}", self.deadline))),
        }
    }
}

//! Looking at a server: what it tells within a limit, or why it tells nothing.

use std::time::Duration;

use tokio::time::timeout;
use tokio_postgres::Row;

/// What was looked at, or why it could not be.
pub(crate) type Look<T> = Result<T, String>;

/// `look`, unless it takes longer than `limit`; an error in one line.
pub(crate) async fn within<T>(
    limit: Duration,
    look: impl Future<Output = anyhow::Result<T>>,
) -> Look<T> {
    match timeout(limit, look).await {
        Ok(outcome) => outcome.map_err(|error| format!("{error:#}")),
        Err(_) => Err(format!("no answer within {limit:?}")),
    }
}

/// A column that counts something.
pub(crate) fn number(row: &Row, column: usize) -> u64 {
    u64::try_from(row.get::<_, i64>(column)).unwrap_or_default()
}

//! The pauses that operators give a worker, as rows.

use crate::clock::Micros;
use crate::pause::Pause;
use crate::postgres::session::Session;
use crate::store::StoreError;

const CURRENT: &str = "\
SELECT began_by, why, (extract(epoch FROM began_at) * 1000000)::bigint
FROM pauses WHERE ended_at IS NULL";

/// The pause that has not ended.
pub(super) async fn current(session: Session<'_>) -> Result<Option<Pause>, StoreError> {
    let rows = session.query(CURRENT, &[]).await?;
    Ok(rows.first().map(|row| Pause { by: row.get(0), why: row.get(1), since: Micros(row.get(2)) }))
}

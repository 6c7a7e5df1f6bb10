//! What the gauges of the runtime's own tables show, each counted by an index and not without end.

use deadpool_postgres::Status;
use orderly_contracts::Reason;

use crate::metrics::Reading;
use crate::metrics::catalogue::{
    CONNECTIONS, CONNECTIONS_MAX, DEAD_LETTERS_OPEN, DEADLINES_OLDEST, DEADLINES_OVERDUE,
    OUTPUTS_OLDEST, OUTPUTS_WAITING,
};
use crate::postgres::session::{Parameters, Session};
use crate::store::StoreError;

const OUTPUTS: &str = "
    SELECT count(*)::float8, coalesce(extract(epoch FROM now() - min(at)), 0)::float8
    FROM (SELECT at FROM batches WHERE NOT sent ORDER BY at LIMIT 10000) AS waiting";

const DEADLINES: &str = "
    SELECT count(*)::float8, coalesce(extract(epoch FROM now() - min(due_at)), 0)::float8
    FROM (SELECT due_at FROM timers WHERE due_at < now() ORDER BY due_at LIMIT 10000) AS overdue";

const LETTERS: &str = "
    SELECT wanted.reason, count(open.reason)::float8
    FROM unnest($1::text[]) AS wanted (reason) LEFT JOIN LATERAL (
        SELECT reason FROM dead_letters
        WHERE status = 'open' AND reason = wanted.reason LIMIT 10000) AS open ON true
    GROUP BY wanted.reason";

/// The gauges of the runtime's own tables.
pub(super) async fn tables(session: Session<'_>) -> Result<Vec<Reading>, StoreError> {
    let reasons = Reason::ALL.map(Reason::code).to_vec();
    let letters: Parameters<'_> = &[&reasons];
    let (outputs, deadlines, letters) = tokio::try_join!(
        biased;
        session.query(OUTPUTS, &[]),
        session.query(DEADLINES, &[]),
        session.query(LETTERS, letters),
    )?;
    let mut readings = vec![];
    for (rows, count, age) in [
        (outputs, &OUTPUTS_WAITING, &OUTPUTS_OLDEST),
        (deadlines, &DEADLINES_OVERDUE, &DEADLINES_OLDEST),
    ] {
        for row in rows {
            readings.extend([Reading::new(count, row.get(0)), Reading::new(age, row.get(1))]);
        }
    }
    let open = letters.iter().map(|row| Reading::of(&DEAD_LETTERS_OPEN, row.get(0), row.get(1)));
    readings.extend(open);
    Ok(readings)
}

/// The gauges of the pool.
pub(super) fn pool(Status { max_size, size, available, waiting }: Status) -> Vec<Reading> {
    let state = |state, count: usize| Reading::of(&CONNECTIONS, state, count as f64);
    vec![
        state("busy", size.saturating_sub(available)),
        state("idle", available),
        state("waiting", waiting),
        Reading::new(&CONNECTIONS_MAX, max_size as f64),
    ]
}

//! Timers as rows, by the database's clock.

use crate::clock::Micros;
use crate::domain::{Domain, Timer, TimerChange};
use crate::postgres::session::Session;
use crate::store::{DueTimer, StoreError, Work};
use std::time::Duration;

const SPEND: &str = "
    DELETE FROM timers
    USING unnest($1::text[], $2::text[], $3::int[]) AS spent (owner, step, round)
    WHERE timers.owner = spent.owner AND timers.step = spent.step AND timers.round = spent.round";

const SET: &str = "
    INSERT INTO timers (owner, step, round, due_at)
    SELECT owner, step, round, now() + micros * interval '1 microsecond'
    FROM unnest($1::text[], $2::text[], $3::int[], $4::bigint[])
         AS timer (owner, step, round, micros)
    ON CONFLICT (owner) DO UPDATE
    SET step = excluded.step, round = excluded.round, due_at = excluded.due_at";

const CLEAR: &str = "DELETE FROM timers WHERE owner = ANY ($1)";

const DUE: &str = "
    SELECT owner, step, round, (extract(epoch FROM due_at) * 1000000)::bigint
    FROM timers WHERE due_at <= now() ORDER BY due_at LIMIT $1";

/// What waits for the first time and not for too long; whatever had to be asked about again is stuck,
/// and must not keep new work out.
const MOVING: &str = "
    SELECT count(*) FROM (
        SELECT FROM timers WHERE due_at > now() AND round = 0 LIMIT $1
    ) AS moving";

const POSTPONE: &str = "
    WITH late AS (
        SELECT owner FROM timers JOIN unnest($1::text[], $2::text[], $3::int[])
            AS late (owner, step, round) USING (owner, step, round)
        ORDER BY owner FOR UPDATE SKIP LOCKED)
    UPDATE timers SET due_at = now() + $4::bigint * interval '1 microsecond'
    FROM late WHERE timers.owner = late.owner";

/// Spends, clears and sets timers, each in the order of owners.
pub(super) async fn save<D: Domain>(
    session: Session<'_>,
    work: &Work<D>,
) -> Result<(), StoreError> {
    let mut cleared = Vec::new();
    let mut set = Vec::new();
    for change in work.timers.values() {
        match change {
            TimerChange::Clear { owner } => cleared.push(owner.as_str()),
            TimerChange::Set { timer, after } => set.push((timer, *after)),
        }
    }
    let saved = tokio::try_join!(
        biased;
        spend(session, &work.spent),
        clear(session, &cleared),
        set_all(session, &set),
    );
    saved.map(|_| ())
}

async fn spend(session: Session<'_>, spent: &[Timer]) -> Result<(), StoreError> {
    if spent.is_empty() {
        return Ok(());
    }
    let (owners, steps, rounds) = columns(spent);
    session.execute(SPEND, &[&owners, &steps, &rounds]).await.map(|_| ())
}

async fn clear(session: Session<'_>, owners: &[&str]) -> Result<(), StoreError> {
    if owners.is_empty() {
        return Ok(());
    }
    session.execute(CLEAR, &[&owners]).await.map(|_| ())
}

async fn set_all(session: Session<'_>, set: &[(&Timer, Duration)]) -> Result<(), StoreError> {
    if set.is_empty() {
        return Ok(());
    }
    let (owners, steps, rounds) = columns(set.iter().map(|(timer, _)| *timer));
    let micros = |after: &Duration| i64::try_from(after.as_micros()).unwrap_or(i64::MAX);
    let micros: Vec<i64> = set.iter().map(|(_, after)| micros(after)).collect();
    session.execute(SET, &[&owners, &steps, &rounds, &micros]).await.map(|_| ())
}

/// Due timers, the longest due first.
pub(super) async fn due(session: Session<'_>, limit: i64) -> Result<Vec<DueTimer>, StoreError> {
    let rows = session.query(DUE, &[&limit]).await?;
    Ok(rows
        .iter()
        .map(|row| DueTimer {
            timer: Timer {
                owner: row.get(0),
                step: row.get(1),
                round: u32::try_from(row.get::<_, i32>(2)).unwrap_or_default(),
            },
            due_at: Micros(row.get(3)),
        })
        .collect())
}

/// How many timers tell of work that is moving, counted up to `limit`.
pub(super) async fn moving(session: Session<'_>, limit: u32) -> Result<u32, StoreError> {
    let rows = session.query(MOVING, &[&i64::from(limit)]).await?;
    let count = rows.first().map_or(0, |row| row.get::<_, i64>(0));
    Ok(u32::try_from(count).unwrap_or(limit))
}

/// Puts timers off. One that is locked is being dealt with by somebody else.
pub(super) async fn postpone(
    session: Session<'_>,
    timers: &[Timer],
    by: Duration,
) -> Result<(), StoreError> {
    let (owners, steps, rounds) = columns(timers);
    let micros = i64::try_from(by.as_micros()).unwrap_or(i64::MAX);
    session.execute(POSTPONE, &[&owners, &steps, &rounds, &micros]).await.map(|_| ())
}

fn columns<'a>(
    timers: impl IntoIterator<Item = &'a Timer>,
) -> (Vec<&'a str>, Vec<&'a str>, Vec<i32>) {
    let mut columns = (Vec::new(), Vec::new(), Vec::new());
    for timer in timers {
        columns.0.push(timer.owner.as_str());
        columns.1.push(timer.step.as_str());
        columns.2.push(i32::try_from(timer.round).unwrap_or(i32::MAX));
    }
    columns
}

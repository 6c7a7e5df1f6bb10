//! Timers as rows, by the database's clock.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::clock::Micros;
use crate::domain::{Domain, Timer, TimerChange};
use crate::postgres::session::Session;
use crate::postgres::write::Write;
use crate::store::{DueTimer, StoreError, Work};

/// What is meant is named by an array, here and below, and not joined: there are next to no timers in a quiet moment, and
/// a join planned then would read all that there are in a busy one, and compare each with all that are meant.
const CLEAR: &str = "DELETE FROM timers WHERE owner = ANY ($1::text[])";

/// Those of the owners that still have the step and the round that are meant.
macro_rules! still {
    () => {
        "owner = ANY ($1::text[])
          AND step = ($2::text[])[array_position($1::text[], owner)]
          AND round = ($3::int[])[array_position($1::text[], owner)]"
    };
}

/// A timer that fell due goes only if it is still the one that did.
const SPEND: &str = concat!("DELETE FROM timers WHERE ", still!());

const SET: &str = "
    INSERT INTO timers (owner, step, round, due_at)
    SELECT unnest($1::text[]), unnest($2::text[]), unnest($3::int[]),
           now() + unnest($4::bigint[]) * interval '1 microsecond'
    ON CONFLICT (owner) DO UPDATE
    SET step = excluded.step, round = excluded.round, due_at = excluded.due_at";

const DUE: &str = "
    SELECT owner, step, round, (extract(epoch FROM due_at) * 1000000)::bigint
    FROM timers WHERE due_at <= now() ORDER BY due_at LIMIT $1";

/// What waits for the first time and not for too long; whatever had to be asked about again is stuck,
/// and must not keep new work out.
const MOVING: &str = "
    SELECT count(*) FROM (
        SELECT FROM timers WHERE due_at > now() AND round = 0 LIMIT $1
    ) AS moving";

const POSTPONE: &str = concat!(
    "UPDATE timers SET due_at = now() + $4::bigint * interval '1 microsecond'
     WHERE owner = ANY (ARRAY(
        SELECT owner FROM timers WHERE ",
    still!(),
    " ORDER BY owner FOR UPDATE SKIP LOCKED))"
);

/// Clears, spends and sets timers. Whoever does holds the owners of them, so the order of these rows is of no account.
///
/// An owner has one timer: what is set takes the place of what is spent, and what is cleared goes whatever it says.
pub(super) fn save<D: Domain>(work: &Work<D>) -> [Write<'_>; 3] {
    let spent = work.spent.iter().map(|timer| (timer.owner.as_str(), timer));
    let mut spent: BTreeMap<&str, &Timer> = spent.collect();
    let mut cleared = Vec::new();
    let mut set = Vec::new();
    for (owner, change) in &work.timers {
        spent.remove(owner.as_str());
        match change {
            TimerChange::Clear { .. } => cleared.push(owner.as_str()),
            TimerChange::Set { timer, after } => set.push((timer, *after)),
        }
    }
    let (owners, steps, rounds) = columns(spent.into_values());
    let spend = Write::new(SPEND).with(owners).with(steps).with(rounds);
    [Write::new(CLEAR).with(cleared), spend, set_all(&set)]
}

fn set_all<'a>(set: &[(&'a Timer, Duration)]) -> Write<'a> {
    let (owners, steps, rounds) = columns(set.iter().map(|(timer, _)| *timer));
    let micros = |after: &Duration| i64::try_from(after.as_micros()).unwrap_or(i64::MAX);
    let micros: Vec<i64> = set.iter().map(|(_, after)| micros(after)).collect();
    Write::new(SET).with(owners).with(steps).with(rounds).with(micros)
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
        columns.2.push(round(timer));
    }
    columns
}

fn round(timer: &Timer) -> i32 {
    i32::try_from(timer.round).unwrap_or(i32::MAX)
}

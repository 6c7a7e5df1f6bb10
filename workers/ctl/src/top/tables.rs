//! What `top` asks a service's database, again and again. All its SQL is here.
//!
//! Nothing here may grow with the orders there have ever been: open orders are counted by their
//! deadlines, and what ended lately is read from the end of the history, which is only ever added
//! to. What grows with the work at hand runs as seldom as its cost demands.

use std::time::{Duration, Instant};

use anyhow::Result;
use orderly_contracts::routes::Party;
use tokio_postgres::{Client, Row};
use uuid::Uuid;

use super::pace::Pace;
use super::snapshot::{Group, Latency, Orders, Pause, Tables};
use crate::connections;
use crate::doctor::reading::Backlog;
use crate::look::number;
use crate::output::moment;
use crate::settings::Settings;

/// Nothing is written, no statement goes on for long, and plans are made for the values at hand.
const SESSION: &str = "
    SET default_transaction_read_only = on; SET statement_timeout = '5s'; SET jit = off;
    SET max_parallel_workers_per_gather = 0";

/// After this, letters are counted again though nothing seems to have changed.
const COUNTED_AGAIN: Duration = Duration::from_secs(15);

/// The pause, what is late, and what changes whenever a letter dies or somebody deals with one.
const STANDING: &str = "
    SELECT pause.began_by, pause.why, (extract(epoch FROM pause.began_at) * 1000000)::bigint,
        (SELECT count(*) FROM (SELECT FROM timers WHERE due_at <= now() LIMIT 10000) AS due),
        (SELECT COALESCE(extract(epoch FROM now() - min(due_at)), 0)::bigint
         FROM timers WHERE due_at <= now()),
        (SELECT count(*) FROM (SELECT FROM batches WHERE NOT sent LIMIT 10000) AS unsent),
        (SELECT COALESCE(extract(epoch FROM now() - min(at)), 0)::bigint
         FROM batches WHERE NOT sent),
        concat((SELECT max(last_at) FROM dead_letters), ' ', (SELECT max(id) FROM dead_actions))
    FROM (VALUES (1)) AS one LEFT JOIN pauses AS pause ON pause.ended_at IS NULL";

const GROUPS: &str = "
    SELECT COALESCE(fingerprint, ''), reason, kind, count(*),
        (extract(epoch FROM max(last_at)) * 1000000)::bigint, left(min(explanation), 500)
    FROM dead_letters WHERE status IN ('open', 'replayed')
    GROUP BY 1, reason, kind ORDER BY 4 DESC, 1 LIMIT 200";

const IDS: &str = "
    SELECT id FROM dead_letters
    WHERE COALESCE(fingerprint, '') = $1 AND status IN ('open', 'replayed')
    ORDER BY last_at DESC, id LIMIT 200";

/// Every open order waits with a deadline, and its step says in which state.
const WAITING: &str = "SELECT step, count(*) FROM timers GROUP BY step";

/// The last 128 pages of the history, a megabyte: some 7,000 changes, and no more than a minute.
/// A rate is that of ten seconds, or of as many as the pages hold.
const LATELY: &str = "
    WITH pages AS (
        SELECT pg_relation_size('order_history') / current_setting('block_size')::bigint AS count
    ), tail AS MATERIALIZED (
        SELECT order_id, version, at, from_status, to_status FROM order_history
        WHERE ctid >= (SELECT format('(%s,0)', greatest(count - 128, 0))::tid FROM pages)
          AND at > now() - interval '60 seconds'
    ), span AS (
        SELECT CASE WHEN (SELECT count FROM pages) <= 128 THEN 10
            ELSE greatest(least(extract(epoch FROM now() - min(at)), 10), 1) END::float8 AS seconds
        FROM tail
    ), rates AS (
        SELECT count(*) FILTER (WHERE from_status IS NULL) AS placed,
            count(*) FILTER (WHERE to_status = 'confirmed') AS confirmed,
            count(*) FILTER (WHERE to_status = 'rejected') AS rejected,
            count(*) FILTER (WHERE to_status = 'cancelled') AS cancelled
        FROM tail, span WHERE at > now() - seconds * interval '1 second'
    ), took AS (
        SELECT percentile_disc(ARRAY[0.5, 0.95, 0.99]) WITHIN GROUP (
            ORDER BY (extract(epoch FROM tail.at - placed.at) * 1000)::bigint) AS ms
        FROM tail CROSS JOIN LATERAL (
            SELECT at FROM order_history AS first
            WHERE first.order_id = tail.order_id AND first.version = 1 LIMIT 1) AS placed
        WHERE to_status IN ('confirmed', 'rejected', 'cancelled') AND tail.version > 1
    )
    SELECT placed / seconds, confirmed / seconds, rejected / seconds, cancelled / seconds, ms
    FROM span, rates, took";

/// A connection to a service's database, with what was read last and when to read again.
pub(super) struct Watch {
    party: Party,
    client: Client,
    groups: Paced<Vec<Group>>,
    letters_seen: Option<(String, Instant)>,
    waiting: Paced<[u64; 3]>,
    lately: Paced<Orders>,
}

/// A value that is read as often as its cost allows.
#[derive(Default)]
struct Paced<T> {
    pace: Pace,
    value: T,
}

impl<T> Paced<T> {
    /// Reads it again if it is time.
    async fn refresh(&mut self, read: impl Future<Output = Result<T>>) -> Result<()> {
        let began = Instant::now();
        if self.pace.is_due(began) {
            self.value = read.await?;
            self.pace.took(began.elapsed(), Instant::now());
        }
        Ok(())
    }
}

impl Watch {
    /// Connects to the database of `party`.
    pub(super) async fn begin(settings: &Settings, party: Party) -> Result<Self> {
        let client = connections::database(settings, party).await?;
        client.batch_execute(SESSION).await?;
        Ok(Self {
            party,
            client,
            groups: Paced::default(),
            letters_seen: None,
            waiting: Paced::default(),
            lately: Paced::default(),
        })
    }

    /// Looks once.
    pub(super) async fn look(&mut self) -> Result<Tables> {
        let row = self.client.query_one(STANDING, &[]).await?;
        let pause = row.get::<_, Option<String>>(0).map(|by| Pause {
            by,
            why: row.get(1),
            since: moment(row.get(2)),
        });
        self.refresh_groups(row.get(7)).await?;
        let mut orders = None;
        if self.party == Party::Order {
            self.lately.refresh(lately(&self.client)).await?;
            self.waiting.refresh(waiting(&self.client)).await?;
            let [pending, reserved, cancelling] = self.waiting.value;
            orders = Some(Orders { pending, reserved, cancelling, ..self.lately.value.clone() });
        }
        let backlog = |column| Backlog {
            count: number(&row, column),
            oldest_seconds: number(&row, column + 1),
        };
        let groups = self.groups.value.clone();
        Ok(Tables { pause, due: backlog(3), outputs: backlog(5), groups, orders })
    }

    /// Counts the letters again if they have changed, or have not been counted for a while.
    async fn refresh_groups(&mut self, letters: String) -> Result<()> {
        let now = Instant::now();
        let is_known = self
            .letters_seen
            .as_ref()
            .is_some_and(|(seen, at)| *seen == letters && now.duration_since(*at) < COUNTED_AGAIN);
        if !is_known && self.groups.pace.is_due(now) {
            self.groups.refresh(groups(&self.client, self.party)).await?;
            self.letters_seen = Some((letters, now));
        }
        Ok(())
    }
}

/// The letters of a group that are not over, the latest first.
pub(super) async fn letters(client: &Client, group: &str) -> Result<Vec<Uuid>> {
    let rows = client.query(IDS, &[&group]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

async fn groups(client: &Client, party: Party) -> Result<Vec<Group>> {
    let rows = client.query(GROUPS, &[]).await?;
    let group = |row: &Row| Group {
        group: row.get(0),
        service: party,
        reason: row.get(1),
        kind: row.get(2),
        letters: number(row, 3),
        last_at: moment(row.get(4)),
        text: row.get(5),
    };
    Ok(rows.iter().map(group).collect())
}

/// Orders that are pending, reserved and cancelling.
async fn waiting(client: &Client) -> Result<[u64; 3]> {
    let rows = client.query(WAITING, &[]).await?;
    let of = |step: &str| {
        let row = rows.iter().find(|row| row.get::<_, &str>(0) == step);
        row.map_or(0, |row| number(row, 1))
    };
    Ok(["reserve", "charge", "compensate"].map(of))
}

async fn lately(client: &Client) -> Result<Orders> {
    let row = client.query_one(LATELY, &[]).await?;
    let ms: Option<Vec<i64>> = row.get(4);
    let ms = ms.map(|all| all.into_iter().map(|ms| u64::try_from(ms).unwrap_or_default()));
    let ms: Option<Vec<u64>> = ms.map(Iterator::collect);
    let latency = ms.as_deref().and_then(|ms| match ms {
        [p50_ms, p95_ms, p99_ms] => {
            Some(Latency { p50_ms: *p50_ms, p95_ms: *p95_ms, p99_ms: *p99_ms })
        }
        _ => None,
    });
    Ok(Orders {
        placed_per_second: row.get(0),
        confirmed_per_second: row.get(1),
        rejected_per_second: row.get(2),
        cancelled_per_second: row.get(3),
        latency,
        ..Orders::default()
    })
}

//! The inbox: which messages have had their effect.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use tokio_postgres::Row;
use uuid::Uuid;

use crate::domain::Cause;
use crate::postgres::outbox;
use crate::postgres::session::Session;
use crate::postgres::write::{Write, each};
use crate::store::{Claim, Standing, StoreError};

/// Names the batch, within its transaction and nowhere else.
pub(super) fn set_batch(batch: Uuid) -> String {
    format!("SET LOCAL orderly.batch = '{batch}'")
}

/// It is sent in one flight with `BEGIN` and [`set_batch`]. Had these failed, claims would be committed that
/// nobody keeps: so they are made inside the transaction of their batch, or not at all.
const CLAIM: &str = "
    INSERT INTO inbox (source, message_id, kind, body_hash, batch)
    SELECT unnest($1::text[]), unnest($2::text[]), unnest($3::text[]), unnest($4::bytea[]), $5::uuid
    WHERE current_setting('orderly.batch', true) = $5::uuid::text
    ON CONFLICT DO NOTHING
    RETURNING source, message_id";

/// One that is known already fails it.
const CLAIM_NEW: &str = "
    INSERT INTO inbox (source, message_id, kind, body_hash, batch)
    SELECT unnest($1::text[]), unnest($2::text[]), unnest($3::text[]), unnest($4::bytea[]), $5::uuid";

const LOOK_UP: &str = "
    SELECT inbox.source, inbox.message_id, inbox.body_hash, inbox.batch,
           COALESCE(batches.sent, true) AS sent
    FROM unnest($1::text[], $2::text[]) AS claim (source, message_id)
    JOIN inbox USING (source, message_id)
    LEFT JOIN batches ON batches.id = inbox.batch";

const DISCLAIM: &str = "
    DELETE FROM inbox USING unnest($1::text[], $2::text[]) AS claim (source, message_id)
    WHERE inbox.source = claim.source AND inbox.message_id = claim.message_id";

/// A letter can be replayed as long as it is there, so what it is about must be known as long: a copy
/// of it may have had its effect.
const PURGE: &str = "
    DELETE FROM inbox
    WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM inbox WHERE at < now() - $1::bigint * interval '1 microsecond'
            AND NOT EXISTS (SELECT FROM dead_letters AS letter
                            WHERE letter.message_id = inbox.message_id COLLATE \"default\")
        LIMIT $2))";

const NOTE_SUSPECT: &str = "
    INSERT INTO suspects (source, message_id, deaths, process) VALUES ($1, $2, 0, $3)
    ON CONFLICT (source, message_id) DO UPDATE SET process = excluded.process,
        deaths = suspects.deaths + (suspects.process IS DISTINCT FROM excluded.process)::int
    RETURNING deaths";

const CLEAR_SUSPECT: &str = "DELETE FROM suspects WHERE source = $1 AND message_id = $2";

/// Claims messages in the given order; the rows of those that were new.
pub(super) async fn claim(
    session: Session<'_>,
    batch: Uuid,
    claims: &[Claim],
) -> Result<Vec<Row>, StoreError> {
    let (sources, ids) = columns(claims.iter().map(|claim| &claim.cause));
    let kinds = each(claims, |claim| claim.kind);
    let hashes = each(claims, |claim| claim.body_hash.as_slice());
    session.query(CLAIM, &[&sources, &ids, &kinds, &hashes, &batch]).await
}

/// Claims messages that are all new, in the given order.
pub(super) fn claim_new(batch: Uuid, claims: &[Claim]) -> Write<'_> {
    let (sources, ids) = columns(claims.iter().map(|claim| &claim.cause));
    Write::new(CLAIM_NEW)
        .with(sources)
        .with(ids)
        .with(each(claims, |claim| claim.kind))
        .with(each(claims, |claim| claim.body_hash.as_slice()))
        .with_value(batch)
}

/// The standing of each claim, of which `rows` were new.
pub(super) async fn standings(
    session: Session<'_>,
    claims: &[Claim],
    rows: &[Row],
) -> Result<Vec<Standing>, StoreError> {
    if rows.len() == claims.len() {
        return Ok(vec![Standing::Fresh; claims.len()]);
    }
    let fresh: BTreeSet<(String, String)> =
        rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    let is_fresh =
        |claim: &Claim| fresh.contains(&(claim.cause.source.to_owned(), claim.cause.id.clone()));
    let repeated: Vec<&Claim> = claims.iter().filter(|claim| !is_fresh(claim)).collect();
    let mut known = look_up(session, &repeated).await?;
    claims
        .iter()
        .map(|claim| match is_fresh(claim) {
            true => Ok(Standing::Fresh),
            false => known.remove(&claim.cause).ok_or_else(|| {
                StoreError::Conflict(format!("claim of {} vanished", claim.cause.id))
            }),
        })
        .collect()
}

/// The standing of messages that were claimed before.
async fn look_up(
    session: Session<'_>,
    repeated: &[&Claim],
) -> Result<BTreeMap<Cause, Standing>, StoreError> {
    let (sources, ids) = columns(repeated.iter().map(|claim| &claim.cause));
    let rows = session.query(LOOK_UP, &[&sources, &ids]).await?;
    let mut known: BTreeMap<(String, String), &Row> =
        rows.iter().map(|row| ((row.get(0), row.get(1)), row)).collect();
    let mut standings = BTreeMap::new();
    let mut left = Vec::new();
    for Claim { cause, .. } in repeated {
        let name = (cause.source.to_owned(), cause.id.clone());
        let Some(row) = known.remove(&name) else { continue };
        let body_hash = row.get::<_, &[u8]>(2).try_into().map_err(|_| {
            StoreError::Misconfigured(format!("the inbox holds no SHA-256 for {}", cause.id))
        })?;
        let is_sent: bool = row.get(4);
        if !is_sent {
            left.push((row.get(3), cause.clone()));
        }
        standings.insert(cause.clone(), Standing::Known { body_hash, unsent: vec![] });
    }
    for (cause, outgoing) in outbox::of_causes(session, &left).await? {
        if let Some(Standing::Known { unsent, .. }) = standings.get_mut(&cause) {
            unsent.push(outgoing);
        }
    }
    Ok(standings)
}

/// Gives claims back.
pub(super) fn disclaim(causes: &[Cause]) -> Write<'_> {
    let (sources, ids) = columns(causes);
    Write::new(DISCLAIM).with(sources).with(ids).touching_all()
}

/// Forgets rows and batches older than `retention`, up to `limit` of either; how many of that of which there
/// were more.
pub(super) async fn purge(
    session: Session<'_>,
    retention: Duration,
    limit: i64,
) -> Result<u64, StoreError> {
    let micros = i64::try_from(retention.as_micros()).unwrap_or(i64::MAX);
    let rows = session.execute(PURGE, &[&micros, &limit]).await?;
    let batches = outbox::purge(session, micros, limit).await?;
    Ok(rows.max(batches))
}

/// Notes a suspect; how many other processes left such a note behind.
pub(super) async fn note_suspect(
    session: Session<'_>,
    cause: &Cause,
    process: Uuid,
) -> Result<u32, StoreError> {
    let rows = session.query(NOTE_SUSPECT, &[&cause.source, &cause.id, &process]).await?;
    let deaths: i32 = rows.first().map_or(0, |row| row.get(0));
    Ok(u32::try_from(deaths).unwrap_or(u32::MAX))
}

/// Forgets a suspect.
pub(super) async fn clear_suspect(session: Session<'_>, cause: &Cause) -> Result<(), StoreError> {
    session.execute(CLEAR_SUSPECT, &[&cause.source, &cause.id]).await.map(|_| ())
}

fn columns<'a>(causes: impl IntoIterator<Item = &'a Cause>) -> (Vec<&'a str>, Vec<&'a str>) {
    causes.into_iter().map(|cause| (cause.source, cause.id.as_str())).unzip()
}

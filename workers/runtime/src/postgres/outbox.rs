//! The outbox: what was decided to be published, and which batches of it are out.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::str::Utf8Error;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::domain::{Cause, Domain};
use crate::message::{Outgoing, Properties};
use crate::postgres::session::Session;
use crate::postgres::write::Write;
use crate::store::{StoreError, Work};

const STORE: &str = "INSERT INTO batches (id, outputs) VALUES ($1, $2)";

const OF_BATCHES: &str = "SELECT id, outputs FROM batches WHERE id = ANY ($1)";

const MARK_SENT: &str = "UPDATE batches SET sent = true WHERE id = ANY ($1) AND NOT sent";

const LEASE: &str = "
    UPDATE batches SET leased_until = now() + $1::bigint * interval '1 microsecond'
    WHERE id IN (
        SELECT id FROM batches
        WHERE NOT sent AND at < now() - $1::bigint * interval '1 microsecond'
          AND (leased_until IS NULL OR leased_until < now())
        ORDER BY at LIMIT $2
        FOR UPDATE SKIP LOCKED)
    RETURNING id, outputs";

const PURGE: &str = "
    DELETE FROM batches WHERE id IN (
        SELECT id FROM batches
        WHERE sent AND at < now() - $1::bigint * interval '1 microsecond' LIMIT $2)";

/// An output as it lies in its batch's row.
#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    source: Cow<'a, str>,
    cause: Cow<'a, str>,
    exchange: Cow<'a, str>,
    routing_key: Cow<'a, str>,
    mandatory: bool,
    properties: Cow<'a, Properties>,
    body: Cow<'a, str>,
}

/// Stores a batch's outputs, in order, if there are any.
pub(super) fn store<D: Domain>(work: &Work<D>) -> Result<Option<Write<'_>>, StoreError> {
    if work.outputs.is_empty() {
        return Ok(None);
    }
    let outputs = to_text(&work.outputs).map_err(|error| StoreError::Data(error.to_string()))?;
    Ok(Some(Write::new(STORE).with_value(work.batch).with_value(outputs)))
}

fn to_text(outputs: &[(Cause, Vec<Outgoing>)]) -> Result<String, Box<dyn Error>> {
    let each = outputs.iter().flat_map(|(cause, all)| all.iter().map(move |one| (cause, one)));
    let stored = each.map(|(cause, output)| {
        Ok(Stored {
            source: cause.source.into(),
            cause: cause.id.as_str().into(),
            exchange: output.exchange.as_str().into(),
            routing_key: output.routing_key.as_str().into(),
            mandatory: output.mandatory,
            properties: Cow::Borrowed(&output.properties),
            body: std::str::from_utf8(&output.body)?.into(),
        })
    });
    Ok(serde_json::to_string(&stored.collect::<Result<Vec<_>, Utf8Error>>()?)?)
}

fn from_text(outputs: &str) -> Result<Vec<Stored<'_>>, StoreError> {
    serde_json::from_str(outputs)
        .map_err(|error| StoreError::Misconfigured(format!("outputs of a batch: {error}")))
}

impl From<Stored<'_>> for Outgoing {
    fn from(stored: Stored<'_>) -> Self {
        Self {
            exchange: stored.exchange.into_owned(),
            routing_key: stored.routing_key.into_owned(),
            mandatory: stored.mandatory,
            properties: stored.properties.into_owned(),
            body: stored.body.into_owned().into_bytes(),
        }
    }
}

/// What these causes decided, each in its batch, in order.
pub(super) async fn of_causes(
    session: Session<'_>,
    wanted: &[(Uuid, Cause)],
) -> Result<Vec<(Cause, Outgoing)>, StoreError> {
    if wanted.is_empty() {
        return Ok(vec![]);
    }
    let batches: BTreeSet<Uuid> = wanted.iter().map(|(batch, _)| *batch).collect();
    let causes: BTreeMap<(Uuid, &str, &str), &Cause> = wanted
        .iter()
        .map(|(batch, cause)| ((*batch, cause.source, cause.id.as_str()), cause))
        .collect();
    let mut found = Vec::new();
    for row in session.query(OF_BATCHES, &[&Vec::from_iter(batches)]).await? {
        let batch: Uuid = row.get(0);
        for stored in from_text(row.get(1))? {
            if let Some(cause) = causes.get(&(batch, &stored.source, &stored.cause)) {
                found.push(((*cause).clone(), stored.into()));
            }
        }
    }
    Ok(found)
}

/// Notes that batches are out.
pub(super) fn mark_sent(batches: &[Uuid]) -> Write<'_> {
    Write::new(MARK_SENT).with(batches.to_vec())
}

/// Leases batches older than `age` that are not known to be out, with their outputs.
pub(super) async fn lease_unsent(
    session: Session<'_>,
    age: Duration,
    limit: i64,
) -> Result<Vec<(Uuid, Vec<Outgoing>)>, StoreError> {
    let micros = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
    let leased = session.query(LEASE, &[&micros, &limit]).await?;
    let outputs = |row: &Row| {
        let stored = from_text(row.get(1))?;
        Ok((row.get(0), stored.into_iter().map(Outgoing::from).collect()))
    };
    leased.iter().map(outputs).collect()
}

/// Forgets up to `limit` batches that are out and old; how many.
pub(super) async fn purge(
    session: Session<'_>,
    micros: i64,
    limit: i64,
) -> Result<u64, StoreError> {
    session.execute(PURGE, &[&micros, &limit]).await
}

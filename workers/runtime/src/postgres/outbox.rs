//! The outbox: what was decided to be published, and which batches of it are out.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_postgres::Row;
use uuid::Uuid;

use crate::domain::{Cause, Domain, TIMER};
use crate::message::Outgoing;
use crate::postgres::session::Session;
use crate::store::{StoreError, Work};
use orderly_contracts::routes::Party;

const NOTE_BATCH: &str = "INSERT INTO batches (id) VALUES ($1)";

const STORE: &str = "
    INSERT INTO outbox (batch, ordinal, source, message_id, exchange, routing_key, mandatory,
                        properties, body)
    SELECT $1, ordinality - 1, source, message_id, exchange, routing_key, mandatory,
           properties, body
    FROM unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::boolean[], $7::text[],
                $8::bytea[])
         WITH ORDINALITY
         AS output (source, message_id, exchange, routing_key, mandatory, properties, body,
                    ordinality)";

const OF_CAUSES: &str = "
    SELECT outbox.source, outbox.message_id, exchange, routing_key, mandatory, properties, body
    FROM unnest($1::uuid[], $2::text[], $3::text[]) AS wanted (batch, source, message_id)
    JOIN outbox USING (batch, source, message_id)
    ORDER BY outbox.batch, ordinal";

const OF_BATCHES: &str = "
    SELECT batch, ordinal, exchange, routing_key, mandatory, properties, body
    FROM outbox WHERE batch = ANY ($1)
    ORDER BY batch, ordinal";

const MARK_SENT: &str = "UPDATE batches SET sent = true WHERE id = ANY ($1) AND NOT sent";

const LEASE: &str = "
    UPDATE batches SET leased_until = now() + $1::bigint * interval '1 microsecond'
    WHERE id IN (
        SELECT id FROM batches
        WHERE NOT sent AND at < now() - $1::bigint * interval '1 microsecond'
          AND (leased_until IS NULL OR leased_until < now())
        ORDER BY at LIMIT $2
        FOR UPDATE SKIP LOCKED)
    RETURNING id";

const PURGE: &str = "
    WITH old AS (
        SELECT id FROM batches
        WHERE sent AND at < now() - $1::bigint * interval '1 microsecond' LIMIT $2),
    forgotten AS (DELETE FROM batches USING old WHERE batches.id = old.id)
    DELETE FROM outbox USING old WHERE outbox.batch = old.id";

/// Stores a batch's outputs, in order.
pub(super) async fn store<D: Domain>(
    session: Session<'_>,
    work: &Work<D>,
) -> Result<(), StoreError> {
    if work.outputs.is_empty() {
        return Ok(());
    }
    let outputs =
        || work.outputs.iter().flat_map(|(cause, outputs)| outputs.iter().map(move |o| (cause, o)));
    let sources: Vec<&str> = outputs().map(|(cause, _)| cause.source).collect();
    let causes: Vec<&str> = outputs().map(|(cause, _)| cause.id.as_str()).collect();
    let exchanges: Vec<&str> = outputs().map(|(_, output)| output.exchange.as_str()).collect();
    let keys: Vec<&str> = outputs().map(|(_, output)| output.routing_key.as_str()).collect();
    let mandatory: Vec<bool> = outputs().map(|(_, output)| output.mandatory).collect();
    let properties: Result<Vec<String>, _> =
        outputs().map(|(_, output)| serde_json::to_string(&output.properties)).collect();
    let properties = properties.map_err(|error| StoreError::Data(error.to_string()))?;
    let bodies: Vec<&[u8]> = outputs().map(|(_, output)| output.body.as_slice()).collect();
    session.execute_on(1, NOTE_BATCH, &[&work.batch]).await?;
    session
        .execute_on(
            bodies.len(),
            STORE,
            &[&work.batch, &sources, &causes, &exchanges, &keys, &mandatory, &properties, &bodies],
        )
        .await
}

/// What these causes decided, each in its batch.
pub(super) async fn of_causes(
    session: Session<'_>,
    wanted: &[(Uuid, Cause)],
) -> Result<Vec<(Cause, Outgoing)>, StoreError> {
    if wanted.is_empty() {
        return Ok(vec![]);
    }
    let batches: Vec<Uuid> = wanted.iter().map(|(batch, _)| *batch).collect();
    let sources: Vec<&str> = wanted.iter().map(|(_, cause)| cause.source).collect();
    let ids: Vec<&str> = wanted.iter().map(|(_, cause)| cause.id.as_str()).collect();
    let rows = session.query(OF_CAUSES, &[&batches, &sources, &ids]).await?;
    rows.iter()
        .map(|row| {
            let cause = Cause { source: source(row.get(0))?, id: row.get(1) };
            Ok((cause, outgoing(row)?))
        })
        .collect()
}

/// Notes that batches are out.
pub(super) async fn mark_sent(session: Session<'_>, batches: &[Uuid]) -> Result<(), StoreError> {
    if batches.is_empty() {
        return Ok(());
    }
    session.execute(MARK_SENT, &[&batches]).await.map(|_| ())
}

/// Leases batches older than `age` that are not known to be out, with their outputs.
pub(super) async fn lease_unsent(
    session: Session<'_>,
    age: Duration,
    limit: i64,
) -> Result<Vec<(Uuid, Vec<Outgoing>)>, StoreError> {
    let micros = i64::try_from(age.as_micros()).unwrap_or(i64::MAX);
    let leased = session.query(LEASE, &[&micros, &limit]).await?;
    if leased.is_empty() {
        return Ok(vec![]);
    }
    let ids: Vec<Uuid> = leased.iter().map(|row| row.get(0)).collect();
    let mut batches: BTreeMap<Uuid, Vec<Outgoing>> =
        ids.iter().map(|id| (*id, Vec::new())).collect();
    for row in session.query(OF_BATCHES, &[&ids]).await? {
        batches.entry(row.get(0)).or_default().push(outgoing(&row)?);
    }
    Ok(batches.into_iter().collect())
}

/// A batch has this many outputs at most, roughly; rows are what a statement's time goes by.
const OUTPUTS_OF_A_BATCH: i64 = 500;

/// Forgets batches that are out and old, with about `limit` outputs.
pub(super) async fn purge(session: Session<'_>, micros: i64, limit: i64) -> Result<(), StoreError> {
    let batches = (limit / OUTPUTS_OF_A_BATCH).max(1);
    session.execute(PURGE, &[&micros, &batches]).await.map(|_| ())
}

fn outgoing(row: &Row) -> Result<Outgoing, StoreError> {
    let properties: &str = row.get(5);
    Ok(Outgoing {
        exchange: row.get(2),
        routing_key: row.get(3),
        mandatory: row.get(4),
        properties: serde_json::from_str(properties)
            .map_err(|error| StoreError::Misconfigured(format!("outbox row: {error}")))?,
        body: row.get(6),
    })
}

fn source(name: &str) -> Result<&'static str, StoreError> {
    [Party::Client, Party::Order, Party::Stock, Party::Payment]
        .map(Party::name)
        .into_iter()
        .chain([TIMER])
        .find(|source| *source == name)
        .ok_or_else(|| StoreError::Misconfigured(format!("unknown source {name} in the outbox")))
}

//! Dead letters as rows: filing them, noting their outcome, forgetting what is over.

use std::time::Duration;

use uuid::Uuid;

use crate::fingerprint::fingerprint;
use crate::letter::{EDIT_OF, Explanation, Letter};
use crate::postgres::session::Session;
use crate::store::StoreError;

/// A letter that comes again is open again. The same death may be handed over twice by a drain that
/// crashed; its moment tells it from another one.
const FILE: &str = "
    WITH filed AS (
        INSERT INTO dead_letters AS known (id, reason, explanation, attempts, queue, exchange,
            routing_key, kind, message_id, correlation_id, worker, first_at, last_at, properties,
            body, fingerprint, edit_of, whole_bytes, whole_sha256)
        VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11,
            'epoch'::timestamptz + $12::bigint * interval '1 microsecond',
            'epoch'::timestamptz + $13::bigint * interval '1 microsecond', $14, $15, $16, $17,
            $18, $19)
        ON CONFLICT (id) DO UPDATE
        SET occurrences = known.occurrences + (known.last_at <> excluded.last_at)::int,
            reason = excluded.reason, explanation = excluded.explanation,
            attempts = excluded.attempts, worker = excluded.worker,
            fingerprint = excluded.fingerprint,
            last_at = greatest(known.last_at, excluded.last_at),
            status = CASE WHEN known.last_at = excluded.last_at THEN known.status
                          ELSE 'open' END,
            status_at = CASE WHEN known.last_at = excluded.last_at OR known.status = 'open'
                             THEN known.status_at ELSE now() END,
            failed_again_at = CASE
                WHEN known.last_at = excluded.last_at THEN known.failed_again_at
                WHEN known.status = 'replayed' AND known.edited_as IS NULL THEN now()
                WHEN known.status = 'resolved' AND known.edited_as IS NULL THEN now()
                ELSE known.failed_again_at END
        RETURNING id, replay, worker, explanation, failed_again_at = now() AS has_failed_again
    )
    INSERT INTO dead_actions (operator, action, letter, replay, details)
    SELECT worker, 'failed_again', id, replay, explanation FROM filed WHERE has_failed_again";

/// Notes which of up to `$1` replayed letters have had their effect: their message, or the answer
/// to it, is in the inbox, and with this body.
pub const SETTLE: &str = "
    WITH done AS (
        UPDATE dead_letters SET status = 'resolved', status_at = now()
        WHERE id IN (
            SELECT letter.id FROM dead_letters AS letter
            JOIN inbox ON inbox.source = letter.done_source AND inbox.message_id = letter.done_id
            WHERE letter.status = 'replayed'
              AND (letter.done_hash IS NULL OR letter.done_hash = inbox.body_hash)
            LIMIT $1 FOR UPDATE OF letter SKIP LOCKED)
        RETURNING id, replay
    )
    INSERT INTO dead_actions (operator, action, letter, replay, details)
    SELECT 'inbox', 'resolved', id, replay, 'its message has had its effect' FROM done";

const FORGET: &str = "
    DELETE FROM dead_letters
    WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM dead_letters
        WHERE status IN ('resolved', 'archived')
          AND status_at < now() - $1::bigint * interval '1 microsecond'
        LIMIT $2 FOR UPDATE SKIP LOCKED))";

/// Files a letter; one that is there already is counted again, and open again.
pub(super) async fn file(session: Session<'_>, letter: &Letter) -> Result<(), StoreError> {
    let Letter { explanation, body } = letter;
    let Explanation { properties, reason, .. } = explanation;
    let attempts = i32::try_from(explanation.attempts).unwrap_or(i32::MAX);
    let json =
        serde_json::to_string(properties).map_err(|error| StoreError::Data(error.to_string()))?;
    let text = printable(&explanation.text);
    let kind = properties.kind.as_deref().map(printable);
    let message_id = properties.message_id.as_deref().map(printable);
    let correlation_id = properties.correlation_id.as_deref().map(printable);
    let cut = explanation.cut.as_ref();
    let whole_bytes = cut.map(|cut| i64::try_from(cut.bytes).unwrap_or(i64::MAX));
    let whole_sha256 = cut.map(|cut| printable(&cut.sha256));
    let edit_of: Option<Uuid> = properties.text_header(EDIT_OF).and_then(|id| id.parse().ok());
    session
        .execute(
            FILE,
            &[
                &explanation.id,
                &reason.code(),
                &text,
                &attempts,
                &printable(&explanation.queue),
                &printable(&explanation.exchange),
                &printable(&explanation.routing_key),
                &kind,
                &message_id,
                &correlation_id,
                &printable(&explanation.worker),
                &explanation.first_at.0,
                &explanation.last_at.0,
                &json,
                body,
                &fingerprint(reason.code(), kind.as_deref(), &text),
                &edit_of,
                &whole_bytes,
                &whole_sha256,
            ],
        )
        .await?;
    Ok(())
}

/// Notes outcomes, and forgets what has been over for longer than `retention`.
pub(super) async fn tend(
    session: Session<'_>,
    retention: Duration,
    limit: i64,
) -> Result<u64, StoreError> {
    let settled = session.execute(SETTLE, &[&limit]).await?;
    let micros = i64::try_from(retention.as_micros()).unwrap_or(i64::MAX);
    let forgotten = session.execute(FORGET, &[&micros, &limit]).await?;
    Ok(settled.max(forgotten))
}

/// A text column can't hold U+0000, which a sender may have put anywhere. The exact text stays in
/// the properties.
fn printable(text: &str) -> String {
    text.replace('\0', "\u{2400}")
}

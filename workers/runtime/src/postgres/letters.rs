//! Dead letters as rows.

use crate::letter::{Explanation, Letter};
use crate::postgres::session::Session;
use crate::store::StoreError;

const FILE: &str = "
    INSERT INTO dead_letters (id, reason, explanation, attempts, queue, exchange, routing_key,
                              kind, message_id, correlation_id, worker, first_at, last_at,
                              properties, body)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11,
            'epoch'::timestamptz + $12::bigint * interval '1 microsecond',
            'epoch'::timestamptz + $13::bigint * interval '1 microsecond', $14, $15)
    ON CONFLICT (id) DO UPDATE
    SET occurrences = dead_letters.occurrences + 1,
        reason = excluded.reason, explanation = excluded.explanation,
        attempts = excluded.attempts, worker = excluded.worker,
        last_at = greatest(dead_letters.last_at, excluded.last_at)";

/// Files a letter; one that is there already is counted again.
pub(super) async fn file(session: Session<'_>, letter: &Letter) -> Result<(), StoreError> {
    let Letter { explanation, body } = letter;
    let Explanation { properties, .. } = explanation;
    let attempts = i32::try_from(explanation.attempts).unwrap_or(i32::MAX);
    let json =
        serde_json::to_string(properties).map_err(|error| StoreError::Data(error.to_string()))?;
    let kind = properties.kind.as_deref().map(printable);
    let message_id = properties.message_id.as_deref().map(printable);
    let correlation_id = properties.correlation_id.as_deref().map(printable);
    session
        .execute_on(
            1,
            FILE,
            &[
                &explanation.id,
                &explanation.reason.code(),
                &printable(&explanation.text),
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
            ],
        )
        .await
}

/// A text column can't hold U+0000, which a sender may have put anywhere. The exact text stays in
/// the properties.
fn printable(text: &str) -> String {
    text.replace('\0', "\u{2400}")
}

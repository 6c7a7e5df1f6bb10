//! What a PostgreSQL error means: the only place that reads SQLSTATE.

use std::error::Error as _;

use tokio_postgres::error::SqlState;

use crate::store::StoreError;

/// Sorts an error by what it means for the batch in hand.
pub fn classify(error: tokio_postgres::Error) -> StoreError {
    let Some(database) = error.as_db_error() else {
        return match error.source() {
            Some(source) if error.to_string().starts_with("error serializing parameter") => {
                StoreError::Data(source.to_string())
            }
            Some(source) => StoreError::Unavailable(format!("{error}: {source}")),
            None => StoreError::Unavailable(error.to_string()),
        };
    };
    let code = database.code();
    let text = format!("{} (SQLSTATE {})", database.message(), code.code());
    meaning(code)(text)
}

fn meaning(code: &SqlState) -> fn(String) -> StoreError {
    match code.code() {
        // Serialization failure, deadlock, lock not available, statement cancelled by a timeout.
        "40001" | "40P01" | "55P03" | "57014" => StoreError::Conflict,
        // A key is taken. Keys are of messages, of states and of what becomes of them: somebody else was faster.
        "23505" => StoreError::Conflict,
        // "Cached plan must not change result type": gone with the connection, which an error ends.
        "0A000" => StoreError::Conflict,
        // A statement sent before this one failed, and what that means is told elsewhere.
        "25P02" => StoreError::Conflict,
        // Read-only transaction: we talk to a former primary.
        "25006" => StoreError::Unavailable,
        other => match &other[..2] {
            // Data exception, integrity violation, program limit exceeded.
            "22" | "23" | "54" => StoreError::Data,
            // Connection, resources, operator intervention, system error, internal error.
            "08" | "53" | "57" | "58" | "XX" => StoreError::Unavailable,
            // Rights, syntax, missing objects, and whatever we have not thought of.
            _ => StoreError::Misconfigured,
        },
    }
}

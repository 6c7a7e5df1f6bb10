//! `orderly dead show`: one dead letter in full, for people, for programs, or byte for byte.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use orderly_contracts::routes::Party;
use orderly_runtime::message::{HeaderValue, Properties};
use serde_json::{Value, json};
use tokio_postgres::Row;
use uuid::Uuid;

use crate::cli::Service;
use crate::connections;
use crate::output::{self, moment};
use crate::settings::Settings;

/// The arguments of `orderly dead show`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The letter
    id: Uuid,
    /// Look only here, rather than in all services
    #[arg(long, value_enum)]
    service: Option<Service>,
    /// Write the original body to stdout, byte for byte
    #[arg(long, conflicts_with = "json")]
    raw: bool,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

const LETTER: &str = "\
SELECT reason, explanation, attempts, queue, exchange, routing_key, worker, occurrences, properties,
    body, (extract(epoch FROM first_at) * 1000000)::bigint AS first_at,
    (extract(epoch FROM last_at) * 1000000)::bigint AS last_at
FROM dead_letters WHERE id = $1";

pub(super) async fn run(arguments: &Arguments, settings: &Settings) -> Result<ExitCode> {
    for party in super::services(arguments.service, settings)? {
        let client = connections::database(settings, party).await?;
        let Some(row) = client.query_opt(LETTER, &[&arguments.id]).await? else {
            continue;
        };
        if arguments.raw {
            output::bytes(row.get("body"))?;
        } else if arguments.json {
            output::json(&document(arguments.id, party, &row)?)?;
        } else {
            print(arguments.id, party, &row)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    bail!("there is no dead letter {}", arguments.id);
}

fn properties(row: &Row) -> Result<Properties> {
    let text: &str = row.get("properties");
    serde_json::from_str(text).context("its properties can't be read")
}

fn document(id: Uuid, party: Party, row: &Row) -> Result<Value> {
    let text = |name: &str| row.get::<_, &str>(name).to_owned();
    let body: &[u8] = row.get("body");
    let mut document = json!({
        "service": party.name(), "id": id, "reason": text("reason"), "text": text("explanation"),
        "attempts": row.get::<_, i32>("attempts"), "occurrences": row.get::<_, i64>("occurrences"),
        "queue": text("queue"), "exchange": text("exchange"), "routing_key": text("routing_key"),
        "worker": text("worker"), "first_at": moment(row.get("first_at")),
        "last_at": moment(row.get("last_at")), "properties": properties(row)?,
    });
    match str::from_utf8(body) {
        Ok(text) => document["body"] = json!(text),
        Err(_) => document["body_hex"] = json!(hex(body)),
    }
    Ok(document)
}

fn print(id: Uuid, party: Party, row: &Row) -> Result<()> {
    let field = |label: &str, text: &str| output::line(format!("  {label:<16} {text}"));
    output::line(format!("dead letter {id} of the {party} worker"))?;
    field("reason", row.get("reason"))?;
    field("text", row.get("explanation"))?;
    field("attempts", &row.get::<_, i32>("attempts").to_string())?;
    field("seen", &output::count(u64::try_from(row.get::<_, i64>("occurrences"))?, "time"))?;
    field("first at", &moment(row.get("first_at")))?;
    field("last at", &moment(row.get("last_at")))?;
    field("queue", row.get("queue"))?;
    field("exchange", row.get("exchange"))?;
    field("routing key", row.get("routing_key"))?;
    field("given up by", row.get("worker"))?;
    output::line("properties")?;
    let properties = properties(row)?;
    if let Value::Object(fields) = serde_json::to_value(&properties)? {
        for (name, value) in fields.iter().filter(|(name, _)| *name != "headers") {
            let text = value.as_str().map_or_else(|| value.to_string(), escaped);
            field(name, &text)?;
        }
    }
    output::line("headers")?;
    for (name, value) in properties.headers.iter().flatten() {
        field(&escaped(name), &plain(value))?;
    }
    let body: &[u8] = row.get("body");
    match str::from_utf8(body) {
        Ok(text) => output::line(format!("body, {} bytes\n{}", body.len(), visible(text))),
        Err(_) => output::line(format!("body, {} bytes, in hex\n{}", body.len(), hex(body))),
    }
}

/// A header's value as people write it.
fn plain(value: &HeaderValue) -> String {
    match value {
        HeaderValue::Text(text) | HeaderValue::ShortText(text) => escaped(text),
        HeaderValue::I64(number) => number.to_string(),
        HeaderValue::Bool(truth) => truth.to_string(),
        HeaderValue::Timestamp(seconds) => {
            let micros = i64::try_from(*seconds).ok().and_then(|it| it.checked_mul(1_000_000));
            micros.map_or_else(|| seconds.to_string(), moment)
        }
        HeaderValue::TextBytes(bytes) | HeaderValue::Bytes(bytes) => format!("0x{}", hex(bytes)),
        other => serde_json::to_string(other).unwrap_or_else(|_| format!("{other:?}")),
    }
}

/// A sender's text in one line, without what a terminal would obey.
fn escaped(text: &str) -> String {
    text.chars()
        .flat_map(|c| if c.is_control() { c.escape_default().collect() } else { vec![c] })
        .collect()
}

/// The same for a body, whose line ends are its own.
fn visible(text: &str) -> String {
    text.split('\n').map(escaped).collect::<Vec<_>>().join("\n")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_senders_text_does_nothing_to_a_terminal() {
        assert_eq!(escaped("a\u{1b}[31m\n"), "a\\u{1b}[31m\\n");
        assert_eq!(visible("a\nb\u{7}"), "a\nb\\u{7}");
        assert_eq!(hex(&[0, 255]), "00ff");
        assert_eq!(plain(&HeaderValue::Timestamp(0)), "1970-01-01T00:00:00.000000Z");
    }
}

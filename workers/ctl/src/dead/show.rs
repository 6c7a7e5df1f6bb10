//! `orderly dead show`: one dead letter in full, for people, for programs, or byte for byte.

use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use orderly_contracts::routes::Party;
use orderly_runtime::message::{HeaderValue, Properties};
use serde_json::{Value, json};
use tokio_postgres::Row;
use uuid::Uuid;

use super::drawer::{self, Drawer};
use super::log::{self, Action};
use super::plain::{self, escaped, hex, visible};
use crate::cli::Service;
use crate::output::{self, moment};
use crate::settings::Settings;

/// The arguments of `orderly dead show`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The letter
    id: Uuid,
    /// Look only here, rather than in all services
    #[arg(long, value_enum, visible_alias = "worker")]
    service: Option<Service>,
    /// Write the original body to stdout, byte for byte
    #[arg(long, conflicts_with = "json")]
    raw: bool,
    /// Print it as JSON
    #[arg(long)]
    json: bool,
}

/// A letter in full; a condition may follow.
pub(super) const LETTER: &str = "
    SELECT id, status, fingerprint, reason, explanation, attempts, queue, exchange, routing_key,
        worker, occurrences, replays, replay, failed_again_at IS NOT NULL AS has_failed_again,
        edit_of, edited_as, note, properties, body,
        whole_bytes, whole_sha256,
        (extract(epoch FROM first_at) * 1000000)::bigint AS first_at,
        (extract(epoch FROM last_at) * 1000000)::bigint AS last_at
    FROM dead_letters";

/// How many bytes of a body people are shown.
const SHOWN: usize = 4_096;

/// What became of the edited message that was sent in place of this one.
const EDITED: &str = "
    SELECT CASE WHEN EXISTS (
            SELECT FROM inbox WHERE source = known.done_source AND message_id = known.done_id)
        THEN 'it has had its effect'
        ELSE COALESCE((SELECT 'it died, too: the letter ' || id::text FROM dead_letters
                       WHERE edit_of = known.id AND message_id = known.edited_as LIMIT 1),
                      'no outcome yet') END
    FROM dead_letters AS known WHERE id = $1 AND edited_as IS NOT NULL";

pub(super) async fn run(arguments: &Arguments, settings: &Settings) -> Result<ExitCode> {
    for drawer in drawer::open(settings, arguments.service, &[]).await? {
        let Some(letter) = Letter::read(&drawer, arguments.id).await? else {
            continue;
        };
        if arguments.raw {
            output::bytes(letter.row.get("body"))?;
        } else if arguments.json {
            let mut document = document(letter.party, &letter.row)?;
            document["history"] = json!(letter.history);
            document["edit_outcome"] = json!(letter.edited);
            plain::json(&document)?;
        } else {
            output::line(letter.text()?)?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    bail!("there is no dead letter {}", arguments.id);
}

/// A letter with what was done about it.
pub(crate) struct Letter {
    party: Party,
    row: Row,
    edited: Option<String>,
    history: Vec<Action>,
}

impl Letter {
    /// The letter with this id, if the drawer has it.
    pub(crate) async fn read(drawer: &Drawer, id: Uuid) -> Result<Option<Self>> {
        let statement = format!("{LETTER} WHERE id = $1");
        let Some(row) = drawer.client.query_opt(&statement, &[&id]).await? else {
            return Ok(None);
        };
        let edited = drawer.client.query_opt(EDITED, &[&id]).await?;
        let edited = edited.map(|row| row.get(0));
        let history = log::actions(drawer, Some(&[id]), 1_000).await?;
        Ok(Some(Self { party: drawer.party, row, edited, history }))
    }

    /// The letter for people. Nothing in it does anything to a terminal.
    pub(crate) fn text(&self) -> Result<String> {
        let mut lines = Vec::new();
        self.describe(&mut lines)?;
        describe_message(&self.row, &mut lines)?;
        if !self.history.is_empty() {
            lines.push("history".to_owned());
        }
        let actions = self.history.iter().rev();
        lines.extend(actions.map(|action| format!("  {}", action.sentence())));
        Ok(lines.join("\n"))
    }

    fn describe(&self, lines: &mut Vec<String>) -> Result<()> {
        let row = &self.row;
        let id: Uuid = row.get("id");
        let text = |name: &str| row.get::<_, Option<&str>>(name).map(escaped);
        lines.push(format!("dead letter {id} of the {} worker", self.party));
        let is_again: bool = row.get("has_failed_again");
        let status = text("status").unwrap_or_default();
        lines.push(field(
            "status",
            &if is_again { format!("{status}, failed again") } else { status },
        ));
        for (label, column) in [
            ("group", "fingerprint"),
            ("reason", "reason"),
            ("text", "explanation"),
            ("note", "note"),
            ("queue", "queue"),
            ("exchange", "exchange"),
            ("routing key", "routing_key"),
            ("given up by", "worker"),
            ("edited as", "edited_as"),
        ] {
            lines.extend(text(column).map(|text| field(label, &text)));
        }
        lines.extend(self.edited.as_deref().map(|edited| field("the edit", edited)));
        let edit_of = row.get::<_, Option<Uuid>>("edit_of");
        lines.extend(edit_of.map(|id| field("edit of", &id.to_string())));
        lines.push(field("attempts", &row.get::<_, i32>("attempts").to_string()));
        let times = u64::try_from(row.get::<_, i64>("occurrences"))?;
        lines.push(field("seen", &output::count(times, "time")));
        lines.push(field("first at", &moment(row.get("first_at"))));
        lines.push(field("last at", &moment(row.get("last_at"))));
        Ok(())
    }
}

fn properties(row: &Row) -> Result<Properties> {
    let text: &str = row.get("properties");
    serde_json::from_str(text).context("its properties can't be read")
}

/// The letter as JSON, without loss.
pub(super) fn document(party: Party, row: &Row) -> Result<Value> {
    let text = |name: &str| row.get::<_, &str>(name).to_owned();
    let maybe = |name: &str| row.get::<_, Option<&str>>(name).map(str::to_owned);
    let body: &[u8] = row.get("body");
    let mut document = json!({
        "service": party.name(), "id": row.get::<_, Uuid>("id"), "status": text("status"),
        "group": maybe("fingerprint"), "reason": text("reason"), "text": text("explanation"),
        "attempts": row.get::<_, i32>("attempts"), "occurrences": row.get::<_, i64>("occurrences"),
        "queue": text("queue"), "exchange": text("exchange"), "routing_key": text("routing_key"),
        "worker": text("worker"), "first_at": moment(row.get("first_at")),
        "last_at": moment(row.get("last_at")), "replays": row.get::<_, i32>("replays"),
        "replay": row.get::<_, Option<Uuid>>("replay"),
        "failed_again": row.get::<_, bool>("has_failed_again"),
        "edit_of": row.get::<_, Option<Uuid>>("edit_of"), "edited_as": maybe("edited_as"),
        "note": maybe("note"), "properties": properties(row)?,
    });
    if let Some(bytes) = row.get::<_, Option<i64>>("whole_bytes") {
        document["body_cut"] = json!({"whole_bytes": bytes, "whole_sha256": maybe("whole_sha256")});
    }
    match str::from_utf8(body) {
        Ok(text) => document["body"] = json!(text),
        Err(_) => document["body_hex"] = json!(hex(body)),
    }
    Ok(document)
}

fn field(label: &str, text: &str) -> String {
    format!("  {label:<16} {text}")
}

fn describe_message(row: &Row, lines: &mut Vec<String>) -> Result<()> {
    lines.push("properties".to_owned());
    let properties = properties(row)?;
    if let Value::Object(fields) = serde_json::to_value(&properties)? {
        for (name, value) in fields.iter().filter(|(name, _)| *name != "headers") {
            let text = value.as_str().map_or_else(|| value.to_string(), escaped);
            lines.push(field(name, &text));
        }
    }
    lines.push("headers".to_owned());
    for (name, value) in properties.headers.iter().flatten() {
        lines.push(field(&escaped(name), &value_text(value)));
    }
    let body: &[u8] = row.get("body");
    let mut title = format!("body, {} bytes", body.len());
    if let Some(bytes) = row.get::<_, Option<i64>>("whole_bytes") {
        let sha256: &str = row.get("whole_sha256");
        title += &format!(" of {bytes}, not replayable as it is; SHA-256 {}", escaped(sha256));
    }
    let beginning = &body[..body.len().min(SHOWN)];
    if beginning.len() < body.len() {
        title += "; the beginning, --raw writes all";
    }
    lines.push(match beginning_as_text(beginning) {
        Some(text) => format!("{title}\n{}", visible(text)),
        None => format!("{title}, in hex\n{}", hex(beginning)),
    });
    Ok(())
}

/// Bytes as a text, if they are one; a character may be cut in two at the end.
fn beginning_as_text(bytes: &[u8]) -> Option<&str> {
    match str::from_utf8(bytes) {
        Ok(text) => Some(text),
        Err(error) if error.error_len().is_some() => None,
        Err(error) => str::from_utf8(&bytes[..error.valid_up_to()]).ok(),
    }
}

/// A header's value as people write it.
fn value_text(value: &HeaderValue) -> String {
    match value {
        HeaderValue::Text(text) | HeaderValue::ShortText(text) => escaped(text),
        HeaderValue::I64(number) => number.to_string(),
        HeaderValue::Bool(truth) => truth.to_string(),
        HeaderValue::Timestamp(seconds) => {
            let micros = i64::try_from(*seconds).ok().and_then(|it| it.checked_mul(1_000_000));
            micros.map_or_else(|| seconds.to_string(), moment)
        }
        HeaderValue::TextBytes(bytes) | HeaderValue::Bytes(bytes) => format!("0x{}", hex(bytes)),
        other => plain::json_text(other).unwrap_or_else(|_| escaped(&format!("{other:?}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_is_cut_in_a_character_is_still_a_text() {
        let text = "ab\u{fc}".as_bytes();
        assert_eq!(beginning_as_text(text), Some("ab\u{fc}"));
        assert_eq!(beginning_as_text(&text[..3]), Some("ab"));
        assert_eq!(beginning_as_text(&[b'a', 0xff, b'b']), None);
    }

    #[test]
    fn a_header_is_shown_as_people_write_it() {
        assert_eq!(value_text(&HeaderValue::Timestamp(0)), "1970-01-01T00:00:00.000000Z");
        assert_eq!(value_text(&HeaderValue::Text("a\u{1b}".to_owned())), "a\\u{1b}");
        assert_eq!(value_text(&HeaderValue::Bytes(vec![1])), "0x01");
    }
}

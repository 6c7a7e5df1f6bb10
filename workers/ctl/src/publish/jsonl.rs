//! Messages from JSON lines: `{"type": ..., "message_id": ..., "body": {...}, "headers": {...}}`.

use std::collections::BTreeMap;
use std::io::{self, BufRead, Read};

use anyhow::{Context, Result};
use orderly_runtime::message::HeaderValue;
use serde::Deserialize;
use serde_json::Value;
use serde_json::value::RawValue;

use super::record::{Draft, Place, Record, Refused};

/// A line. Names we don't know are refused: a misspelt `headers` must not get lost in silence.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Line<'a> {
    #[serde(rename = "type")]
    kind: String,
    message_id: String,
    // Kept as it was written, so that what is sent is what the file says.
    #[serde(borrow)]
    body: &'a RawValue,
    #[serde(default)]
    headers: BTreeMap<String, Value>,
}

/// The longest line that is read into memory; no message may be nearly as long.
const LINE_MAX: u64 = 16 << 20;

/// The messages of `input`, a line each; empty lines are passed over. An error is an input that
/// can't be read; a refused line is none.
pub fn read(file: String, mut input: impl BufRead) -> impl Iterator<Item = Result<Record>> {
    let mut line = 0;
    let mut is_broken = false;
    std::iter::from_fn(move || {
        while !is_broken {
            line += 1;
            match read_line(&mut input) {
                Ok(None) => return None,
                Ok(Some(bytes)) if bytes.trim_ascii().is_empty() => {}
                Ok(Some(bytes)) => return Some(Ok(parse(&file, line, &bytes))),
                Err(error) => {
                    is_broken = true;
                    let error = Err(error).with_context(|| format!("can't read {file}"));
                    return Some(error);
                }
            }
        }
        None
    })
}

/// The next line; only the beginning of one that is too long.
fn read_line(input: &mut impl BufRead) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    let count = input.by_ref().take(LINE_MAX).read_until(b'\n', &mut bytes)?;
    if count as u64 == LINE_MAX && !bytes.ends_with(b"\n") {
        input.skip_until(b'\n')?;
    }
    Ok((count > 0).then_some(bytes))
}

fn parse(file: &str, line: u64, bytes: &[u8]) -> Record {
    let parsed: Line<'_> = serde_json::from_slice(bytes.trim_ascii()).map_err(|error| {
        // The position is of use where the line is long; its number in the file is ours to tell.
        let text = error.to_string();
        let text = text.replace(" at line 1 column ", " at column ");
        Refused::new(file, line, "unreadable_line", text)
    })?;
    let refused =
        |text| Err(Refused::new(file, line, "invalid_header", text).of(&parsed.message_id));
    let mut headers = BTreeMap::new();
    for (name, value) in &parsed.headers {
        let value = match value {
            Value::String(text) => HeaderValue::Text(text.clone()),
            Value::Bool(truth) => HeaderValue::Bool(*truth),
            Value::Number(number) if number.is_i64() => {
                HeaderValue::I64(number.as_i64().unwrap_or_default())
            }
            _ => {
                return refused(format!(
                    "header {name}: allowed are texts, truth values and whole numbers"
                ));
            }
        };
        headers.insert(name.clone(), value);
    }
    Ok(Draft {
        place: Place { file: file.to_owned(), line },
        routing_key: parsed.kind.clone(),
        kind: parsed.kind,
        message_id: parsed.message_id,
        correlation: None,
        headers,
        body: parsed.body.get().as_bytes().to_vec(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::check::check;

    fn records(text: &str) -> Vec<Record> {
        let all = read("f".to_owned(), text.as_bytes()).map(|item| item.unwrap());
        all.map(|record| record.and_then(check)).collect()
    }

    const PLACE: &str = r#"{"type":"order.cancel.v1","message_id":"m-1","body":{"order_id": "7"}}"#;

    #[test]
    fn a_body_is_sent_as_it_is_written() {
        let text = format!("\n{PLACE}\r\n\n{PLACE}");
        let found = records(&text);
        let lines: Vec<_> =
            found.iter().map(|record| record.as_ref().unwrap().place.line).collect();
        assert_eq!(lines, [2, 4]);
        let draft = found[0].as_ref().unwrap();
        assert_eq!(draft.body, br#"{"order_id": "7"}"#);
        assert_eq!(draft.correlation.as_deref(), Some("7"));
        assert_eq!(draft.routing_key, "order.cancel.v1");
    }

    #[test]
    fn headers_keep_their_kinds() {
        let text = r#"{"type":"order.cancel.v1","message_id":"m","body":{"order_id":"7"},
            "headers":{"traceparent":"00-a","placed-at-us":5,"test":true}}"#
            .replace('\n', " ");
        let headers = records(&text).remove(0).unwrap().headers;
        assert_eq!(headers["traceparent"], HeaderValue::Text("00-a".to_owned()));
        assert_eq!(headers["placed-at-us"], HeaderValue::I64(5));
        assert_eq!(headers["test"], HeaderValue::Bool(true));
    }

    #[test]
    fn a_refused_line_says_where_and_why_and_the_others_are_sent() {
        let bad = [
            ("not json", "unreadable_line"),
            (r#"{"type":"order.cancel.v1","body":{}}"#, "unreadable_line"),
            (r#"{"type":"order.cancel.v1","message_id":"m","bodi":{}}"#, "unreadable_line"),
            (r#"{"type":"order.cancel.v9","message_id":"m","body":{}}"#, "unknown_type"),
            (r#"{"type":"stock.reserved.v1","message_id":"m","body":{}}"#, "unknown_type"),
            (r#"{"type":"order.cancel.v1","message_id":"ä","body":{}}"#, "invalid_message_id"),
            (r#"{"type":"order.cancel.v1","message_id":"m","body":{}}"#, "invalid_content"),
            (r#"{"type":"order.cancel.v1","message_id":"m","body":3}"#, "invalid_content"),
            (
                r#"{"type":"order.cancel.v1","message_id":"m","body":{},"headers":{"a":1.5}}"#,
                "invalid_header",
            ),
        ];
        let text: String = bad.iter().map(|(line, _)| format!("{line}\n")).collect();
        let found = records(&format!("{text}{PLACE}"));
        for ((line, (bad, reason)), record) in (1..).zip(bad).zip(&found) {
            let refused = record.as_ref().unwrap_err();
            assert_eq!((refused.line, refused.reason.as_str()), (line, reason), "{bad}");
        }
        assert!(found.last().unwrap().is_ok());
        assert_eq!(found.len(), bad.len() + 1);
    }
}

//! A sender's text, and bytes, made safe to look at: a terminal obeys nothing of it.

use std::fmt::Write as _;

use anyhow::Result;
use serde::Serialize;

use crate::output;

/// Characters that a terminal or an eye would obey: controls, and what turns the direction of
/// writing or is not seen at all.
fn is_unsafe(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{2069}')
        || c == '\u{feff}'
}

/// A text in one line, with everything a terminal would obey written out.
pub(crate) fn escaped(text: &str) -> String {
    let show = |c: char| if is_unsafe(c) { c.escape_default().collect() } else { vec![c] };
    text.chars().flat_map(show).collect()
}

/// The same for a body, whose line ends are its own.
pub(crate) fn visible(text: &str) -> String {
    text.split('\n').map(escaped).collect::<Vec<_>>().join("\n")
}

/// The beginning of a text, in one line.
pub(crate) fn brief(text: &str, limit: usize) -> String {
    output::shortened(&escaped(text), limit)
}

/// A moment to the second, for tables: they are wide enough.
pub(crate) fn second(moment: &str) -> String {
    moment.split_once('.').map_or_else(|| moment.to_owned(), |(second, _)| format!("{second}Z"))
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::with_capacity(2 * bytes.len()), |mut text, byte| {
        // Writing to a string can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// One JSON document in one line. Such characters stand only in texts, where JSON has its own way
/// to write them: the value is the same.
pub(crate) fn json_text(value: &impl Serialize) -> Result<String> {
    let text = serde_json::to_string(value)?;
    let mut safe = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unsafe(c) {
            write!(safe, "\\u{:04x}", u32::from(c))?;
        } else {
            safe.push(c);
        }
    }
    Ok(safe)
}

/// Writes one JSON document to stdout.
pub(crate) fn json(value: &impl Serialize) -> Result<()> {
    output::line(json_text(value)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_senders_text_does_nothing_to_a_terminal() {
        assert_eq!(escaped("a\u{1b}[31m\n\u{9b}\u{202e}"), r"a\u{1b}[31m\n\u{9b}\u{202e}");
        assert_eq!(visible("a\nb\u{7}"), "a\nb\\u{7}");
        assert_eq!(hex(&[0, 255]), "00ff");
    }

    #[test]
    fn a_document_is_safe_to_see_and_means_the_same() {
        let value = "\u{9b}31m \u{202e} \u{7f} \n ü";
        let text = json_text(&value).unwrap();
        assert!(!text.chars().any(is_unsafe), "{text}");
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), value);
    }
}

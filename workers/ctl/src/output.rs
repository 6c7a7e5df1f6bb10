//! What goes to stdout: tables and sentences for people, JSON for programs, and how values look.

use std::io::{self, Write};
use std::time::Duration;

use anyhow::Result;
use comfy_table::{Cell, CellAlignment, LineStyle, Table, TableStyle};
use jiff::{SignedDuration, Timestamp};
use orderly_contracts::text::Currency;
use serde::Serialize;

use crate::exit::OutputClosed;

/// Writes a line to stdout. A closed pipe is an error here, not a panic.
pub fn line(text: impl AsRef<str>) -> Result<()> {
    bytes(format!("{}\n", text.as_ref()).as_bytes())
}

/// Writes bytes to stdout, as they are.
pub fn bytes(bytes: &[u8]) -> Result<()> {
    let mut stdout = io::stdout().lock();
    match stdout.write_all(bytes).and_then(|()| stdout.flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Err(OutputClosed.into()),
        other => Ok(other?),
    }
}

/// Writes one JSON document, in one line, to stdout.
pub fn json(value: &impl Serialize) -> Result<()> {
    line(serde_json::to_string(value)?)
}

/// Where the cells of a column stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Texts.
    Left,
    /// Numbers.
    Right,
}

/// A line under the headings and no other: rows are easy to copy, and to cut with other tools.
const STYLE: TableStyle =
    TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// A table under these headings.
pub fn table(headings: &[(&str, Side)]) -> Table {
    let mut table = Table::new();
    table.load_style(STYLE);
    table.set_header(headings.iter().map(|(name, side)| aligned(Cell::new(name), *side)));
    for (column, (_, side)) in table.column_iter_mut().zip(headings) {
        column.set_cell_alignment(alignment(*side));
    }
    table
}

fn aligned(cell: Cell, side: Side) -> Cell {
    cell.set_alignment(alignment(side))
}

fn alignment(side: Side) -> CellAlignment {
    match side {
        Side::Left => CellAlignment::Left,
        Side::Right => CellAlignment::Right,
    }
}

/// Writes a table; nothing but a remark on stderr if it has no rows.
pub fn show(table: &Table, what_is_missing: &str) -> Result<()> {
    if table.is_empty() {
        eprintln!("{what_is_missing}");
        return Ok(());
    }
    line(table.trim_fmt())
}

/// Currencies whose minor unit is a hundredth; amounts of others are shown in minor units.
const HUNDREDTHS: [&str; 12] =
    ["AUD", "CAD", "CHF", "CNY", "DKK", "EUR", "GBP", "NOK", "NZD", "PLN", "SEK", "USD"];

/// An amount of money as people write it: `153.22 GBP`, or `1500 minor units of JPY` where we
/// don't know how the currency divides. Computed with whole numbers alone.
pub fn money(minor_units: i64, currency: &str) -> String {
    if !HUNDREDTHS.contains(&currency) {
        return format!("{minor_units} minor units of {currency}");
    }
    let sign = if minor_units < 0 { "-" } else { "" };
    let size = minor_units.unsigned_abs();
    format!("{sign}{}.{:02} {currency}", size / 100, size % 100)
}

/// The same for a currency of a message.
pub fn amount(minor_units: i64, currency: Currency) -> String {
    money(minor_units, currency.as_str())
}

/// A moment in UTC with its microseconds, as RFC 3339.
pub fn moment(micros: i64) -> String {
    Timestamp::from_microsecond(micros).map_or_else(
        |_| format!("{micros} us"),
        |at| at.strftime("%Y-%m-%dT%H:%M:%S%.6fZ").to_string(),
    )
}

/// A duration as people write it, to a millisecond: `1m 2s 300ms`.
pub fn duration(duration: Duration) -> String {
    let whole = Duration::from_millis(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX));
    SignedDuration::try_from(whole).map_or_else(|_| format!("{whole:?}"), |it| format!("{it:#}"))
}

/// Reads a duration such as `30s`, `500ms` or `2m`; for arguments.
pub fn parse_duration(text: &str) -> Result<Duration, String> {
    let parsed: SignedDuration = text
        .parse()
        .map_err(|_| "give a number with a unit, such as 500ms, 30s or 2m".to_owned())?;
    Duration::try_from(parsed).map_err(|_| "must not be negative".to_owned())
}

/// The beginning of a text, in one line, of at most `limit` characters.
pub fn shortened(text: &str, limit: usize) -> String {
    let flat: String = text.chars().map(|c| if c.is_control() { ' ' } else { c }).collect();
    if flat.chars().count() <= limit {
        return flat;
    }
    let mut short: String = flat.chars().take(limit.saturating_sub(1)).collect();
    short.push('\u{2026}');
    short
}

/// `1 order`, `2 orders`.
pub fn count(number: u64, singular: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {singular}{plural}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn money_is_written_with_whole_numbers() {
        assert_eq!(money(15_322, "GBP"), "153.22 GBP");
        assert_eq!(money(5, "EUR"), "0.05 EUR");
        assert_eq!(money(-105, "USD"), "-1.05 USD");
        assert_eq!(money(i64::MIN, "GBP"), "-92233720368547758.08 GBP");
        assert_eq!(money(1500, "JPY"), "1500 minor units of JPY");
    }

    #[test]
    fn durations_are_read_as_people_write_them() {
        assert_eq!(parse_duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("2m"), Ok(Duration::from_secs(120)));
        assert!(parse_duration("-1s").is_err());
        assert!(parse_duration("30").is_err());
    }

    #[test]
    fn moments_and_durations_are_written_in_full() {
        assert_eq!(moment(1_291_192_000_000_001), "2010-12-01T08:26:40.000001Z");
        assert_eq!(duration(Duration::from_micros(62_300_999)), "1m 2s 300ms");
        assert_eq!(moment(i64::MAX), format!("{} us", i64::MAX));
    }

    #[test]
    fn a_long_text_is_cut_and_kept_in_one_line() {
        assert_eq!(shortened("a\nb", 10), "a b");
        assert_eq!(shortened("abcdef", 4), "abc\u{2026}");
    }
}

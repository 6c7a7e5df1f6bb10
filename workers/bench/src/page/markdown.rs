//! Numbers and tables in Markdown.

use std::fmt::Write;

use crate::results::{About, Spread};
use crate::stage::Run;

/// `value` with so many decimals, and a comma every three digits before them.
pub(super) fn number(value: f64, decimals: usize) -> String {
    if !value.is_finite() {
        return "–".to_owned();
    }
    let plain = format!("{:.decimals$}", value.abs());
    let (whole, fraction) = plain.split_once('.').unwrap_or((&plain, ""));
    let is_negative = value < 0.0 && plain.bytes().any(|digit| (b'1'..=b'9').contains(&digit));
    let mut text = if is_negative { "-" } else { "" }.to_owned();
    for (place, digit) in whole.chars().enumerate() {
        if place > 0 && (whole.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    if !fraction.is_empty() {
        text.push('.');
        text.push_str(fraction);
    }
    text
}

/// The median, with the smallest and the largest behind it.
pub(super) fn spread(values: Spread, decimals: usize) -> String {
    let [least, median, most] =
        [values.least, values.median, values.most].map(|value| number(value, decimals));
    format!("{median} ({least}–{most})")
}

/// A table. What begins with a digit in its first row stands to the right.
pub(super) fn table(head: &[&str], rows: &[Vec<String>]) -> String {
    let is_number = |column: usize| {
        let cell = rows.first().and_then(|row| row.get(column));
        column > 0 && cell.is_some_and(|cell| cell.starts_with(|c: char| c.is_ascii_digit()))
    };
    let rule: Vec<String> = (0..head.len())
        .map(|column| if is_number(column) { "---:" } else { "---" }.to_owned())
        .collect();
    let head: Vec<String> = head.iter().map(|&cell| cell.to_owned()).collect();
    [&head, &rule].into_iter().chain(rows).fold(String::new(), |mut text, row| {
        // Writing to a string cannot fail.
        let _ = writeln!(text, "| {} |", row.join(" | "));
        text
    })
}

/// The rates of two that took turns, round by round, and what their medians are; `ratio` is that of the
/// first to the second.
pub(super) fn by_turns<'a>(
    head: [&str; 4],
    turns: impl Iterator<Item = (&'a Run, &'a Run)>,
    ratio: Spread,
) -> String {
    let (ones, others): (Vec<f64>, Vec<f64>) =
        turns.map(|(one, other)| (one.rate, other.rate)).unzip();
    let row = |(n, (one, other)): (usize, (&f64, &f64))| {
        let rates = [number(*one, 0), number(*other, 0), number(one / other, 2)];
        [(n + 1).to_string()].into_iter().chain(rates).collect()
    };
    let mut rows: Vec<Vec<String>> = ones.iter().zip(&others).enumerate().map(row).collect();
    let over = |rates| spread(Spread::of(rates), 0);
    rows.push(vec!["median (spread)".to_owned(), over(ones), over(others), spread(ratio, 2)]);
    table(&head, &rows)
}

/// A heading, and from which run all below it comes.
pub(super) fn heading(title: &str, run: &About) -> String {
    let About { date, command, commit, machine, versions } = run;
    let versions = versions.join(", ");
    format!(
        "## {title}\n\nMeasured on {date} by `{command}` at commit `{commit}`, on {machine}; {versions}.\n"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_read_by_people() {
        assert_eq!(number(0.0, 0), "0");
        assert_eq!(number(999.4, 0), "999");
        assert_eq!(number(1_234_567.891, 2), "1,234,567.89");
        assert_eq!(number(-1_000.0, 0), "-1,000");
        assert_eq!(number(-0.001, 1), "0.0");
        assert_eq!(number(f64::NAN, 1), "–");
        let values = Spread { least: 1.0, median: 2_000.0, most: 3_000.0 };
        assert_eq!(spread(values, 0), "2,000 (1–3,000)");
    }

    #[test]
    fn numbers_stand_to_the_right() {
        let rows = [vec!["1".to_owned(), "2.5".to_owned(), "yes".to_owned()]];
        let expected = "| a | b | c |\n| --- | ---: | --- |\n| 1 | 2.5 | yes |\n";
        assert_eq!(table(&["a", "b", "c"], &rows), expected);
    }
}

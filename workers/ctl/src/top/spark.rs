//! A curve in a line of text.

const LEVELS: [char; 8] = [
    '\u{2581}', '\u{2582}', '\u{2583}', '\u{2584}', '\u{2585}', '\u{2586}', '\u{2587}', '\u{2588}',
];

/// The latest of `values`, one a column, against the greatest of them. Nothing is a space, and
/// anything is more than nothing.
pub(crate) fn spark(values: &[u64], columns: usize) -> String {
    let seen = &values[values.len().saturating_sub(columns)..];
    let greatest = seen.iter().copied().max().unwrap_or_default().max(1);
    let level = |value: &u64| match value {
        0 => ' ',
        value => {
            let levels = LEVELS.len() as u64;
            let level = (u128::from(*value) * u128::from(levels)).div_ceil(u128::from(greatest));
            LEVELS[usize::try_from(level).unwrap_or(1).clamp(1, LEVELS.len()) - 1]
        }
    };
    let empty = " ".repeat(columns - seen.len());
    empty + &seen.iter().map(level).collect::<String>()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_curve_is_as_high_as_its_greatest_value() {
        assert_eq!(spark(&[0, 1, 50, 100], 6), "   \u{2581}\u{2584}\u{2588}");
        assert_eq!(spark(&[9, 0, 0], 2), "  ", "only what is seen counts");
        assert_eq!(spark(&[u64::MAX], 1), "\u{2588}");
        assert_eq!(spark(&[], 3), "   ");
    }
}

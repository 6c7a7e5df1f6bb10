//! Numbers in few columns; what is unknown is a dash.

/// Ten thousand stands for any more.
const MANY: u64 = 10_000;

/// A count, in full as long as it is short.
pub(super) fn count(number: Option<u64>) -> String {
    match number {
        None => "-".to_owned(),
        Some(number @ 0..=999_999) => number.to_string(),
        Some(number @ ..=9_999_999) => format!("{}k", number / 1_000),
        Some(number) => format!("{}M", number / 1_000_000),
    }
}

/// A count that ends at ten thousand.
pub(super) fn bounded(number: Option<u64>) -> String {
    match number {
        Some(MANY..) => format!("{MANY}+"),
        number => count(number),
    }
}

/// A rate; a slow one with a decimal.
pub(super) fn rate(number: Option<f64>) -> String {
    match number {
        None => "-".to_owned(),
        Some(number) if number < 99.95 => format!("{number:.1}"),
        Some(number) => format!("{number:.0}"),
    }
}

/// A duration in its own unit.
pub(super) fn seconds(number: u64) -> String {
    match number {
        0..=119 => format!("{number} s"),
        120..=7_199 => format!("{} min", number / 60),
        7_200..=172_799 => format!("{} h", number / 3_600),
        _ => format!("{} d", number / 86_400),
    }
}

/// A short duration in its own unit.
pub(super) fn millis(number: u64) -> String {
    match number {
        0..=9_999 => format!("{number} ms"),
        _ => seconds(number / 1_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_short_and_what_is_unknown_is_no_zero() {
        assert_eq!([count(None), count(Some(0)), count(Some(1_234_567))], ["-", "0", "1234k"]);
        assert_eq!([bounded(Some(9_999)), bounded(Some(10_000))], ["9999", "10000+"]);
        assert_eq!([rate(None), rate(Some(0.44)), rate(Some(1_204.0))], ["-", "0.4", "1204"]);
        assert_eq!([seconds(75), seconds(7_199), seconds(200_000)], ["75 s", "119 min", "2 d"]);
        assert_eq!([millis(41), millis(12_000)], ["41 ms", "12 s"]);
    }
}

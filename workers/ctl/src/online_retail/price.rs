//! Prices as texts into minor units, digit by digit: no floating point touches money.

use orderly_contracts::number::UnitPrice;

/// Why a text is no price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum PriceError {
    /// It isn't digits, perhaps with a point between them.
    #[error("is no decimal number")]
    Malformed,
    /// It is below zero.
    #[error("is below zero")]
    Negative,
    /// It has more digits than money has.
    #[error("has a part smaller than a penny, which nobody can pay")]
    BelowPenny,
    /// It exceeds the largest price.
    #[error("exceeds the largest price")]
    TooLarge,
}

impl PriceError {
    /// The reason code of a refused invoice.
    pub const fn code(self) -> &'static str {
        match self {
            Self::Malformed => "price_unreadable",
            Self::Negative => "price_negative",
            Self::BelowPenny => "price_below_penny",
            Self::TooLarge => "price_too_large",
        }
    }
}

/// A price with up to two decimals, in hundredths: `2.55` is 255. Zeros may follow; any other
/// third digit is an error, because rounding would change what the customer owes.
pub fn minor_units(text: &str) -> Result<i64, PriceError> {
    let (size, is_negative) = match text.strip_prefix('-') {
        Some(rest) => (rest, true),
        None => (text, false),
    };
    let (whole, fraction) = match size.split_once('.') {
        Some((whole, fraction)) if !fraction.is_empty() => (whole, fraction),
        Some(_) => return Err(PriceError::Malformed),
        None => (size, ""),
    };
    let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || !is_digits(whole) || !is_digits(fraction) {
        return Err(PriceError::Malformed);
    }
    let (cents, rest) = fraction.split_at(fraction.len().min(2));
    if rest.bytes().any(|digit| digit != b'0') {
        return Err(PriceError::BelowPenny);
    }
    let digits = whole.bytes().chain(format!("{cents:0<2}").into_bytes());
    let units = digits
        .map(|digit| i64::from(digit - b'0'))
        .try_fold(0i64, |units, digit| units.checked_mul(10)?.checked_add(digit))
        .filter(|units| *units <= UnitPrice::MAX)
        .ok_or(PriceError::TooLarge)?;
    if is_negative && units > 0 {
        return Err(PriceError::Negative);
    }
    Ok(units)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::PriceError::{BelowPenny, Malformed, Negative, TooLarge};
    use super::*;

    #[test]
    fn every_way_to_write_a_price_has_one_meaning() {
        let table = [
            ("2.55", Ok(255)),
            ("2.5", Ok(250)),
            ("2", Ok(200)),
            ("0.0", Ok(0)),
            ("0", Ok(0)),
            ("-0.00", Ok(0)),
            ("0.07", Ok(7)),
            ("0.29", Ok(29)),
            ("1.1", Ok(110)),
            ("007.10", Ok(710)),
            ("1.120000", Ok(112)),
            ("607.49", Ok(60_749)),
            ("10000000000.00", Ok(1_000_000_000_000)),
            ("10000000000.01", Err(TooLarge)),
            ("99999999999999999999999999", Err(TooLarge)),
            ("1.125", Err(BelowPenny)),
            ("0.001", Err(BelowPenny)),
            ("-11062.06", Err(Negative)),
            ("", Err(Malformed)),
            ("-", Err(Malformed)),
            (".5", Err(Malformed)),
            ("2.", Err(Malformed)),
            ("2.5.5", Err(Malformed)),
            ("2,55", Err(Malformed)),
            ("1e3", Err(Malformed)),
            ("+1", Err(Malformed)),
            (" 1", Err(Malformed)),
            ("NaN", Err(Malformed)),
            ("\u{0661}", Err(Malformed)),
        ];
        for (text, price) in table {
            assert_eq!(minor_units(text), price, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn what_is_written_with_two_decimals_is_read_back(units in 0..=UnitPrice::MAX) {
            let text = format!("{}.{:02}", units / 100, units % 100);
            prop_assert_eq!(minor_units(&text), Ok(units));
        }

        #[test]
        fn no_text_makes_it_panic(text in "\\PC*") {
            let _ = minor_units(&text);
        }
    }
}

//! Whole numbers with stated bounds: quantities and money in minor units.
//!
//! No value exceeds 2^53 - 1, so that every JSON reader in every language reads it exactly.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Why a number isn't a value of its type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} is {number}, allowed are {min} to {max}")]
pub struct OutOfBounds {
    what: &'static str,
    number: i64,
    min: i64,
    max: i64,
}

macro_rules! number {
    ($(#[doc = $doc:literal])* $name:ident, $what:literal, $min:expr, $max:expr) => {
        $(#[doc = $doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "i64", into = "i64")]
        pub struct $name(i64);

        impl $name {
            /// The smallest allowed number.
            pub const MIN: i64 = $min;
            /// The largest allowed number.
            pub const MAX: i64 = $max;

            /// Takes `number` if it lies within the bounds.
            pub const fn new(number: i64) -> Result<Self, OutOfBounds> {
                if number < $min || number > $max {
                    return Err(OutOfBounds { what: $what, number, min: $min, max: $max });
                }
                Ok(Self(number))
            }

            /// The number itself.
            pub const fn get(self) -> i64 {
                self.0
            }
        }

        impl TryFrom<i64> for $name {
            type Error = OutOfBounds;

            fn try_from(number: i64) -> Result<Self, OutOfBounds> {
                Self::new(number)
            }
        }

        impl From<$name> for i64 {
            fn from(number: $name) -> i64 {
                number.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "description": concat!($($doc),*).trim_start(),
                    "type": "integer",
                    "minimum": $name::MIN,
                    "maximum": $name::MAX,
                })
            }
        }
    };
}

/// The largest integer that every JSON reader keeps exact, 2^53 - 1.
pub const EXACT_MAX: i64 = (1 << 53) - 1;

number!(
    /// How many pieces of an article, at least one.
    Quantity, "quantity", 1, 1_000_000
);
number!(
    /// A price of one piece in minor units (pence, cents); zero is a gift.
    UnitPrice, "unit_price", 0, 1_000_000_000_000
);
number!(
    /// An amount of money in minor units (pence, cents).
    Amount, "amount", 0, EXACT_MAX
);
number!(
    /// How many pieces come in (above zero) or go out (below).
    Delta, "delta", -1_000_000_000, 1_000_000_000
);
number!(
    /// A number of pieces lying somewhere.
    Pieces, "pieces", 0, EXACT_MAX
);

impl Amount {
    /// No money at all.
    pub const ZERO: Self = Self(0);
}

impl Pieces {
    /// Nothing at all.
    pub const ZERO: Self = Self(0);
}

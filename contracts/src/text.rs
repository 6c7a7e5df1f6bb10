//! Texts with a stated alphabet and length: ids, codes and notes.
//!
//! A value of these types is valid by construction: parsing is the only way to make one, and
//! `serde` parses. All of them order by bytes, as `COLLATE "C"` does in PostgreSQL.

use std::fmt;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Serialize};

/// Why a text isn't a value of its type.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{what} {problem}")]
pub struct InvalidText {
    what: &'static str,
    problem: String,
}

fn check(
    what: &'static str,
    text: &str,
    bytes_max: usize,
    allowed: &str,
    is_allowed: impl Fn(char) -> bool,
) -> Result<(), InvalidText> {
    let problem = if text.is_empty() {
        "is empty".to_owned()
    } else if text.len() > bytes_max {
        format!("has {} bytes, at most {bytes_max} are allowed", text.len())
    } else if let Some(stranger) = text.chars().find(|c| !is_allowed(*c)) {
        format!("contains {stranger:?}, allowed are {allowed}")
    } else if text.starts_with(' ') || text.ends_with(' ') {
        "starts or ends with a space".to_owned()
    } else {
        return Ok(());
    };
    Err(InvalidText { what, problem })
}

macro_rules! text {
    ($(#[doc = $doc:literal])* $name:ident, $what:literal, $max:literal, $allowed:literal, $pattern:literal, $is_allowed:expr) => {
        $(#[doc = $doc])*
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(Box<str>);

        impl $name {
            /// The longest allowed text, in bytes.
            pub const BYTES_MAX: usize = $max;

            /// Parses `text`; the error says what is wrong with it.
            pub fn new(text: impl Into<String>) -> Result<Self, InvalidText> {
                let text = text.into();
                check($what, &text, $max, $allowed, $is_allowed)?;
                Ok(Self(text.into_boxed_str()))
            }

            /// The text itself.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<String> for $name {
            type Error = InvalidText;

            fn try_from(text: String) -> Result<Self, InvalidText> {
                Self::new(text)
            }
        }

        impl std::str::FromStr for $name {
            type Err = InvalidText;

            fn from_str(text: &str) -> Result<Self, InvalidText> {
                Self::new(text)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{:?}", &*self.0)
            }
        }

        impl JsonSchema for $name {
            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({
                    "description": concat!($($doc),*).trim_start(),
                    "type": "string",
                    "minLength": 1,
                    "maxLength": $max,
                    "pattern": $pattern,
                })
            }
        }
    };
}

fn is_id(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | ':')
}

text!(
    /// Names an order; chosen by whoever places it, and unique for ever.
    OrderId, "order_id", 64, "letters, digits and . _ - :", "^[A-Za-z0-9._:-]+$", is_id
);
text!(
    /// Names a customer; an order without one belongs to an anonymous customer.
    CustomerId, "customer_id", 64, "letters, digits and . _ - :", "^[A-Za-z0-9._:-]+$", is_id
);
text!(
    /// Names a correction of the stock, so that the same one counts once.
    AdjustmentId, "adjustment_id", 64, "letters, digits and . _ - :", "^[A-Za-z0-9._:-]+$", is_id
);
text!(
    /// Names a message, in the AMQP property `message_id`.
    MessageId, "message_id", 128, "letters, digits and . _ - :", "^[A-Za-z0-9._:-]+$", is_id
);
text!(
    /// Names an article. Printable ASCII; inner spaces are allowed, as real articles have them.
    Sku, "sku", 64, "printable ASCII", "^[!-~]([ -~]*[!-~])?$", |c| matches!(c, ' '..='~')
);
text!(
    /// Stands for a means of payment at the provider; never a card number.
    PaymentToken, "payment_token", 128, "letters, digits and . _ - :", "^[A-Za-z0-9._:-]+$", is_id
);
text!(
    /// A text for people: at most 500 bytes of UTF-8, no control characters, no space at either end.
    Note, "note", 500, "any characters but control characters",
    "^[^\\u0000- \\u007f-\\u009f]([^\\u0000-\\u001f\\u007f-\\u009f]*[^\\u0000- \\u007f-\\u009f])?$", |c: char| !c.is_control()
);

/// An ISO 4217 currency code, three capital letters.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Currency([u8; 3]);

impl Currency {
    /// Parses a code such as `GBP`.
    pub fn new(code: &str) -> Result<Self, InvalidText> {
        match code.as_bytes() {
            [a, b, c] if code.bytes().all(|byte| byte.is_ascii_uppercase()) => {
                Ok(Self([*a, *b, *c]))
            }
            _ => Err(InvalidText {
                what: "currency",
                problem: "is not three capital letters (ISO 4217)".to_owned(),
            }),
        }
    }

    /// The code itself.
    pub fn as_str(&self) -> &str {
        str::from_utf8(&self.0).expect("a currency is ASCII by construction")
    }
}

impl TryFrom<String> for Currency {
    type Error = InvalidText;

    fn try_from(code: String) -> Result<Self, InvalidText> {
        Self::new(&code)
    }
}

impl From<Currency> for String {
    fn from(currency: Currency) -> Self {
        currency.as_str().to_owned()
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl JsonSchema for Currency {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Currency".into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "description": "An ISO 4217 currency code, three capital letters.",
            "type": "string",
            "pattern": "^[A-Z]{3}$",
        })
    }
}

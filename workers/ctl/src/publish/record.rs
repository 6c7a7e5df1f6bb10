//! What a source of messages gives: messages to send, and records that were refused.

use std::collections::BTreeMap;

use orderly_runtime::message::HeaderValue;
use serde::Serialize;

/// A message on its way to the broker.
#[derive(Debug, Clone, PartialEq)]
pub struct Draft {
    /// The file and line it came from.
    pub place: Place,
    /// Its type, which decides its exchange.
    pub kind: String,
    /// Its routing key; the type but for experiments.
    pub routing_key: String,
    /// Its id.
    pub message_id: String,
    /// The order or adjustment it is about, once known.
    pub correlation: Option<String>,
    /// Further headers.
    pub headers: BTreeMap<String, HeaderValue>,
    /// Its body.
    pub body: Vec<u8>,
}

/// Where a record stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// The file, or what stands for it.
    pub file: String,
    /// The line, from 1; 0 if there are none.
    pub line: u64,
}

/// A record that becomes no message, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refused {
    /// The file it stands in.
    pub file: String,
    /// Its line, from 1.
    pub line: u64,
    /// What it calls itself: an invoice's number, a message id.
    pub id: Option<String>,
    /// Why, as a code.
    pub reason: String,
    /// Why, for people.
    pub text: String,
}

impl Refused {
    /// A refusal of what stands in this line.
    pub fn new(file: &str, line: u64, reason: &str, text: impl Into<String>) -> Self {
        Self { file: file.to_owned(), line, id: None, reason: reason.to_owned(), text: text.into() }
    }

    /// Adds what the record calls itself.
    #[must_use]
    pub fn of(mut self, id: &str) -> Self {
        self.id = Some(id.to_owned());
        self
    }
}

/// What a record came to.
pub type Record = Result<Draft, Refused>;

//! Messages as the broker carries them, without a type of any broker library.

use std::collections::BTreeMap;

use orderly_contracts::envelope::CONTENT_TYPE;
use serde::{Deserialize, Serialize};

/// The broker's number of a delivery, rising by one on its channel.
pub type Tag = u64;

/// A message the broker has handed to us and waits to see settled.
#[derive(Debug, Clone, PartialEq)]
pub struct Delivery {
    /// Its number on the channel.
    pub tag: Tag,
    /// How often it was delivered before and came back.
    pub returns: u32,
    /// The exchange it was published to.
    pub exchange: String,
    /// The key it was published with.
    pub routing_key: String,
    /// Its properties, as sent.
    pub properties: Properties,
    /// Its body, as sent.
    pub body: Vec<u8>,
}

/// A message to publish.
#[derive(Debug, Clone, PartialEq)]
pub struct Outgoing {
    /// The exchange to publish to.
    pub exchange: String,
    /// The routing key.
    pub routing_key: String,
    /// Whether the broker must find a queue for it: a return is a broken topology.
    pub mandatory: bool,
    /// Its properties, exactly as they are to be sent.
    pub properties: Properties,
    /// Its body, exactly as it is to be sent.
    pub body: Vec<u8>,
}

impl Outgoing {
    /// The message id; every message of ours has one.
    pub fn id(&self) -> &str {
        self.properties.message_id.as_deref().unwrap_or_default()
    }
}

/// All properties of AMQP 0-9-1, headers included.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Properties {
    /// MIME type of the body.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_type: Option<String>,
    /// Encoding of the body, such as gzip.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_encoding: Option<String>,
    /// Headers, by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub headers: Option<BTreeMap<String, HeaderValue>>,
    /// 1 is transient, 2 is persistent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delivery_mode: Option<u8>,
    /// Priority.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub priority: Option<u8>,
    /// What the message is about.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub correlation_id: Option<String>,
    /// Where an answer goes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reply_to: Option<String>,
    /// Time to live in milliseconds, as a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expiration: Option<String>,
    /// The message's id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message_id: Option<String>,
    /// When it was sent, in seconds since 1970.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timestamp: Option<u64>,
    /// The message's type.
    #[serde(rename = "type", skip_serializing_if = "Option::is_none")]
    pub kind: Option<String>,
    /// The broker user who sent it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_id: Option<String>,
    /// The program that sent it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub app_id: Option<String>,
    /// Unused by brokers today, kept for the sake of completeness.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cluster_id: Option<String>,
}

impl Properties {
    /// What every message of the contract has: JSON of a kind, under an id, that outlives a restart
    /// of the broker.
    pub fn of(kind: &str, id: impl Into<String>) -> Self {
        Self {
            content_type: Some(CONTENT_TYPE.to_owned()),
            kind: Some(kind.to_owned()),
            message_id: Some(id.into()),
            delivery_mode: Some(2),
            ..Self::default()
        }
    }

    /// The header `name`, if there.
    pub fn header(&self, name: &str) -> Option<&HeaderValue> {
        self.headers.as_ref()?.get(name)
    }

    /// The header `name` as a text.
    pub fn text_header(&self, name: &str) -> Option<&str> {
        match self.header(name)? {
            HeaderValue::Text(text) | HeaderValue::ShortText(text) => Some(text),
            _ => None,
        }
    }

    /// The header `name` as a whole number, of whatever width it was sent.
    pub fn int_header(&self, name: &str) -> Option<i64> {
        match *self.header(name)? {
            HeaderValue::I8(n) => Some(n.into()),
            HeaderValue::U8(n) => Some(n.into()),
            HeaderValue::I16(n) => Some(n.into()),
            HeaderValue::U16(n) => Some(n.into()),
            HeaderValue::I32(n) => Some(n.into()),
            HeaderValue::U32(n) => Some(n.into()),
            HeaderValue::I64(n) => Some(n),
            _ => None,
        }
    }

    /// Sets a header.
    pub fn set_header(&mut self, name: &str, value: impl Into<HeaderValue>) {
        self.headers.get_or_insert_default().insert(name.to_owned(), value.into());
    }

    /// Removes a header.
    pub fn remove_header(&mut self, name: &str) {
        if let Some(headers) = &mut self.headers {
            headers.remove(name);
        }
    }
}

/// A header's value: every type of an AMQP table, kept without loss.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum HeaderValue {
    /// No value.
    Void,
    /// A truth value.
    Bool(bool),
    /// A signed byte.
    I8(i8),
    /// An unsigned byte.
    U8(u8),
    /// A signed 16-bit number.
    I16(i16),
    /// An unsigned 16-bit number.
    U16(u16),
    /// A signed 32-bit number.
    I32(i32),
    /// An unsigned 32-bit number.
    U32(u32),
    /// A signed 64-bit number.
    I64(i64),
    /// The bits of a 32-bit float; JSON has no NaN.
    F32Bits(u32),
    /// The bits of a 64-bit float; JSON has no NaN.
    F64Bits(u64),
    /// A decimal: digits after the point, and the unscaled value.
    Decimal(u8, u32),
    /// A short string.
    ShortText(String),
    /// A long string that is UTF-8.
    Text(String),
    /// A long string that isn't UTF-8.
    TextBytes(Vec<u8>),
    /// A byte array.
    Bytes(Vec<u8>),
    /// A moment in seconds since 1970.
    Timestamp(u64),
    /// A list of values.
    List(Vec<HeaderValue>),
    /// A table of values.
    Table(BTreeMap<String, HeaderValue>),
}

impl From<&str> for HeaderValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<String> for HeaderValue {
    fn from(text: String) -> Self {
        Self::Text(text)
    }
}

impl From<i64> for HeaderValue {
    fn from(number: i64) -> Self {
        Self::I64(number)
    }
}

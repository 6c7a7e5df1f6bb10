//! Why a message is refused: the closed set of reasons a dead letter may carry.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The reason code of a dead letter. The set is closed: dashboards and triage rely on it.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The body has no bytes.
    EmptyBody,
    /// The body is longer than the limit.
    BodyTooLarge,
    /// The body isn't UTF-8.
    InvalidUtf8,
    /// The body isn't JSON, or nested too deeply.
    InvalidJson,
    /// The body is JSON, but not what its type asks for.
    InvalidContent,
    /// The content type is neither absent nor `application/json`.
    WrongContentType,
    /// The property `type` is absent, or names nothing that this queue takes.
    UnknownType,
    /// The type is known, its version is not.
    UnsupportedVersion,
    /// The property `message_id` is absent.
    MissingMessageId,
    /// The property `message_id` breaks the rules for ids.
    InvalidMessageId,
    /// The same message id came before, with another body.
    IdConflict,
    /// The routing key and the property `type` name different messages.
    WrongRoute,
    /// It tells of money for an order that is not known here; a person has to find out why.
    UnknownOrder,
    /// Deciding or saving fails on this message, and on this one alone.
    Poison,
    /// The process died with this message in hand, again and again.
    CrashLoop,
    /// Every attempt failed.
    Exhausted,
    /// The broker gave up delivering it.
    DeliveryLimit,
}

impl Reason {
    /// All reasons, in order.
    pub const ALL: [Self; 17] = [
        Self::EmptyBody,
        Self::BodyTooLarge,
        Self::InvalidUtf8,
        Self::InvalidJson,
        Self::InvalidContent,
        Self::WrongContentType,
        Self::UnknownType,
        Self::UnsupportedVersion,
        Self::MissingMessageId,
        Self::InvalidMessageId,
        Self::IdConflict,
        Self::WrongRoute,
        Self::UnknownOrder,
        Self::Poison,
        Self::CrashLoop,
        Self::Exhausted,
        Self::DeliveryLimit,
    ];

    /// The code as it stands in headers, tables and metrics, such as `invalid_json`.
    pub const fn code(self) -> &'static str {
        match self {
            Self::EmptyBody => "empty_body",
            Self::BodyTooLarge => "body_too_large",
            Self::InvalidUtf8 => "invalid_utf8",
            Self::InvalidJson => "invalid_json",
            Self::InvalidContent => "invalid_content",
            Self::WrongContentType => "wrong_content_type",
            Self::UnknownType => "unknown_type",
            Self::UnsupportedVersion => "unsupported_version",
            Self::MissingMessageId => "missing_message_id",
            Self::InvalidMessageId => "invalid_message_id",
            Self::IdConflict => "id_conflict",
            Self::WrongRoute => "wrong_route",
            Self::UnknownOrder => "unknown_order",
            Self::Poison => "poison",
            Self::CrashLoop => "crash_loop",
            Self::Exhausted => "exhausted",
            Self::DeliveryLimit => "delivery_limit",
        }
    }

    /// The reason with this code.
    pub fn from_code(code: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.code())
    }
}

/// A refused message: the reason as a code, and a text that a person understands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {text}")]
pub struct Refusal {
    /// The reason code.
    pub reason: Reason,
    /// What is wrong, and where it helps, how to put it right. Never the body itself.
    pub text: String,
}

impl Refusal {
    /// The longest text, in bytes: it may quote a wrong value, and has to fit into a header.
    pub const TEXT_MAX: usize = 500;

    /// A refusal for `reason`, explained by `text`, which is cut where it is too long.
    pub fn new(reason: Reason, text: impl Into<String>) -> Self {
        let mut text = text.into();
        if text.len() > Self::TEXT_MAX {
            let ellipsis = '\u{2026}';
            let cut = (0..=Self::TEXT_MAX - ellipsis.len_utf8())
                .rev()
                .find(|cut| text.is_char_boundary(*cut));
            text.truncate(cut.unwrap_or(0));
            text.push(ellipsis);
        }
        Self { reason, text }
    }
}

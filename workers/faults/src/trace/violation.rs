//! What must never be in a trace, as a closed list with stable codes.

use std::fmt;

use crate::trace::Name;

/// Something that a worker must never do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Violation {
    /// The code that tests know it by.
    pub code: &'static str,
    /// What happened, with names.
    pub text: String,
}

impl Violation {
    fn new(code: &'static str, text: String) -> Self {
        Self { code, text }
    }

    pub(super) fn ack_without_effect(queue: &str, name: &Name) -> Self {
        let text = format!("{name} of {queue} was acknowledged: no effect, no retry, no letter");
        Self::new("ack_without_effect", text)
    }

    pub(super) fn conflict_swallowed(name: &Name) -> Self {
        let text = format!("{name} with another body was acknowledged without a letter");
        Self::new("conflict_swallowed", text)
    }

    pub(super) fn ack_before_outputs(name: &Name, output: &Name) -> Self {
        let text = format!("{name} was acknowledged before its output {output} was confirmed");
        Self::new("ack_before_outputs", text)
    }

    pub(super) fn ack_before_filing(letter: &str) -> Self {
        Self::new("ack_before_filing", format!("letter {letter} was acknowledged, but not filed"))
    }

    pub(super) fn published_uncommitted(output: &Name) -> Self {
        let text = format!("{output} was published, but no transaction had decided it");
        Self::new("published_uncommitted", text)
    }

    pub(super) fn output_changed(output: &Name) -> Self {
        Self::new("output_changed", format!("{output} was published in two versions"))
    }

    pub(super) fn effect_twice(name: &Name) -> Self {
        Self::new("effect_twice", format!("{name} had its effect twice"))
    }

    pub(super) fn letter_unlike(queue: &str, name: &Name) -> Self {
        let text = format!("a letter tells of {name} of {queue} what was never delivered there");
        Self::new("letter_unlike", text)
    }

    pub(super) fn claim_kept(name: &Name) -> Self {
        let text = format!("{name} is given up, but its later copies would pass for duplicates");
        Self::new("claim_kept", text)
    }

    pub(super) fn retry_unlike(queue: &str, name: &Name, attempts: u32) -> Self {
        let text =
            format!("{name} of {queue} goes to attempt {attempts} without the one before it");
        Self::new("retry_unlike", text)
    }

    pub(super) fn output_lost(name: &Name, output: &Name) -> Self {
        Self::new("output_lost", format!("{output}, decided by {name}, was never published"))
    }

    pub(super) fn message_lost(name: &Name) -> Self {
        Self::new("message_lost", format!("{name} had no effect and left no letter"))
    }

    pub(super) fn message_unknown(name: &Name) -> Self {
        Self::new("message_unknown", format!("{name} had an effect, but nobody sent it"))
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.code, self.text)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.source, self.id)
    }
}

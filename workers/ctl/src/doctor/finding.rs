//! What was found where somebody looked, and what to type to mend it.

use serde::Serialize;

/// How something is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum State {
    /// As it should be.
    Ok,
    /// Work goes on, and somebody should look.
    Warning,
    /// Nobody could look, so it may be anything.
    Unknown,
    /// Work does not go on as it should.
    Failure,
}

impl State {
    /// The state in a word.
    pub(crate) const fn word(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Unknown => "could not look",
            Self::Failure => "FAILURE",
        }
    }
}

/// One line of the doctor's.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct Finding {
    /// What was looked at, such as `queues.consumers` or `order.migrations`.
    pub(crate) check: String,
    /// How it is.
    pub(crate) state: State,
    /// What was found.
    pub(crate) text: String,
    /// What to do about it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mend: Option<String>,
}

impl Finding {
    /// All is well with `check`.
    pub(crate) fn ok(check: &str, text: impl Into<String>) -> Self {
        Self { check: check.to_owned(), state: State::Ok, text: text.into(), mend: None }
    }

    /// Somebody should look.
    pub(crate) fn warning(check: &str, text: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::wrong(State::Warning, check, text, mend)
    }

    /// Somebody has to act.
    pub(crate) fn failure(check: &str, text: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::wrong(State::Failure, check, text, mend)
    }

    /// Nobody could look.
    pub(crate) fn unknown(check: &str, text: impl Into<String>, mend: impl Into<String>) -> Self {
        Self::wrong(State::Unknown, check, text, mend)
    }

    /// Something is not as it should be.
    pub(crate) fn wrong(
        state: State,
        check: &str,
        text: impl Into<String>,
        mend: impl Into<String>,
    ) -> Self {
        let mend = Some(mend.into());
        Self { check: check.to_owned(), state, text: text.into(), mend }
    }
}

/// `problems`, or the word that there are none.
pub(crate) fn or_ok(problems: Vec<Finding>, check: &str, text: impl Into<String>) -> Vec<Finding> {
    if problems.is_empty() { vec![Finding::ok(check, text)] } else { problems }
}

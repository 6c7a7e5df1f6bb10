//! The named steps of a worker: where a call crosses a seam, just before it, in it, or just after.

use std::fmt;
use std::str::FromStr;

use orderly_runtime::message::Outgoing;
use orderly_runtime::topology::{DEAD, RETRY};

/// Defines the steps with their words.
macro_rules! steps {
    ($($(#[doc = $doc:literal])* $name:ident = $word:literal,)*) => {
        /// A step of a worker.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Step { $($(#[doc = $doc])* $name,)* }

        impl Step {
            /// All steps, in the order of a message's walk.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The word for it.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }
        }
    };
}

steps! {
    /// A delivery has come.
    Delivered = "delivered",
    /// A batch is read, and its transaction about to begin.
    BeforeBegin = "before-begin",
    /// The transaction has begun.
    AfterBegin = "after-begin",
    /// The batch's messages are claimed.
    AfterClaim = "after-claim",
    /// The states are loaded and locked.
    AfterLoad = "after-load",
    /// Everything is written, nothing is committed.
    AfterSave = "after-save",
    /// The commit is on its way, and its answer has not been heard.
    InCommit = "in-commit",
    /// The batch is committed, and nothing of it published.
    AfterCommit = "after-commit",
    /// The outputs are on their way, and no confirm has been heard.
    InPublish = "in-publish",
    /// The outputs are confirmed.
    AfterPublish = "after-publish",
    /// A copy for the retry ladder is about to be published.
    BeforeRetry = "before-retry",
    /// A copy for the retry ladder is on its way.
    InRetry = "in-retry",
    /// The copy for the retry ladder is confirmed, and its original not acknowledged.
    AfterRetry = "after-retry",
    /// A dead letter is about to be handed over.
    BeforeLetter = "before-letter",
    /// A dead letter is on its way.
    InLetter = "in-letter",
    /// The dead letter is confirmed, and its message not acknowledged.
    AfterLetter = "after-letter",
    /// Everything is confirmed, and nothing acknowledged.
    BeforeAck = "before-ack",
    /// The ack is written.
    AfterAck = "after-ack",
    /// Batches are about to be noted as out.
    BeforeMark = "before-mark",
    /// Batches are noted as out.
    AfterMark = "after-mark",
    /// Due timers are found.
    AfterDue = "after-due",
    /// Left-over batches are leased for the sweep.
    AfterLease = "after-lease",
    /// A suspect is noted, about to be run alone.
    AfterNote = "after-note",
    /// Dead letters are about to be filed.
    BeforeFile = "before-file",
    /// Dead letters are filed, and not acknowledged.
    AfterFile = "after-file",
}

/// Whose publish it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// Outputs, and nothing else.
    Outputs,
    /// A copy for the retry ladder is among them.
    Retry,
    /// A dead letter is among them.
    Letter,
}

impl Window {
    /// What `messages` are.
    pub fn of(messages: &[Outgoing]) -> Self {
        let has = |exchange| messages.iter().any(|message| message.exchange == exchange);
        if has(DEAD) {
            Self::Letter
        } else if has(RETRY) {
            Self::Retry
        } else {
            Self::Outputs
        }
    }

    /// The step before it is sent.
    pub const fn before(self) -> Option<Step> {
        match self {
            // That is right after the commit.
            Self::Outputs => None,
            Self::Retry => Some(Step::BeforeRetry),
            Self::Letter => Some(Step::BeforeLetter),
        }
    }

    /// The step after it is sent and before it is confirmed.
    pub const fn within(self) -> Step {
        match self {
            Self::Outputs => Step::InPublish,
            Self::Retry => Step::InRetry,
            Self::Letter => Step::InLetter,
        }
    }

    /// The step after it is confirmed.
    pub const fn after(self) -> Step {
        match self {
            Self::Outputs => Step::AfterPublish,
            Self::Retry => Step::AfterRetry,
            Self::Letter => Step::AfterLetter,
        }
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

/// A word that names no step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NoStep(String);

impl fmt::Display for NoStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let known: Vec<_> = Step::ALL.iter().map(|step| step.word()).collect();
        write!(f, "{:?} is no step; steps are {}", self.0, known.join(", "))
    }
}

impl std::error::Error for NoStep {}

impl FromStr for Step {
    type Err = NoStep;

    fn from_str(word: &str) -> Result<Self, NoStep> {
        let step = Self::ALL.iter().find(|step| step.word() == word);
        step.copied().ok_or_else(|| NoStep(word.to_owned()))
    }
}

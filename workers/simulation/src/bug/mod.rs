//! Deliberate bugs: workers that do one thing wrong, to prove that somebody notices.

mod decisions;
mod mutant;
mod seams;

pub use decisions::{BuggyOrder, BuggyPayment, BuggyStock};
pub use mutant::Mutant;
pub use seams::Bugged;

/// Defines the bugs, with the codes by which each may be caught.
macro_rules! bugs {
    ($($(#[doc = $doc:literal])* $name:ident => $codes:expr;)*) => {
        /// Something that a worker does wrong.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
        pub enum Bug { $($(#[doc = $doc])* $name,)* }

        impl Bug {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The codes of what it leads to. To be caught means that one of them is reported.
            pub const fn codes(self) -> &'static [&'static str] {
                match self { $(Self::$name => &$codes,)* }
            }
        }
    };
}

impl Bug {
    /// Whether it is in what a worker decides, and not in how it deals with its servers.
    pub const fn is_of_decisions(self) -> bool {
        matches!(
            self,
            Self::LateChargeKept
                | Self::EndsTwice
                | Self::ChargedTwice
                | Self::RefundForgotten
                | Self::Oversold
                | Self::ReleaseForgotten
        )
    }
}

bugs! {
    /// Deliveries are acknowledged as they come.
    AckFirst => ["ack_without_effect"];
    /// An ack reaches as far as deliveries have come, not as far as they are settled.
    AckAhead => ["ack_without_effect", "ack_before_outputs"];
    /// Every message is taken for a new one.
    InboxOff => ["output_changed", "effect_twice"];
    /// A statement fails, and the transaction is committed all the same.
    CommitAfterError => ["ack_without_effect", "published_uncommitted"];
    /// A commit whose outcome is unknown is taken for done.
    UnknownIsDone => ["ack_without_effect", "published_uncommitted"];
    /// A duplicate is acknowledged without saying again what was decided.
    DuplicatesSilent => ["ack_before_outputs"];
    /// What a crash left unpublished is never published.
    SweepOff => ["not_at_rest", "output_lost"];
    /// A message that goes to the retry ladder or the dead letters keeps its claim.
    ClaimKept => ["claim_kept"];
    /// A copy with another body passes for a duplicate.
    ConflictSwallowed => ["conflict_swallowed"];
    /// A returned message counts as confirmed.
    ReturnedIsConfirmed => ["ack_before_outputs", "ack_without_effect"];
    /// A refused message counts as confirmed.
    RefusedIsConfirmed => ["ack_before_outputs", "ack_without_effect"];
    /// Two tasks publish on one channel, and hear each other's confirms.
    ConfirmsShared => ["ack_before_outputs", "ack_without_effect"];
    /// Copies for the retry ladder are forgotten.
    RetryDropped => ["ack_without_effect"];
    /// Dead letters are forgotten.
    LetterDropped => ["ack_without_effect"];
    /// Dead letters lose the end of their body.
    LetterTruncated => ["letter_unlike"];
    /// Dead letters are acknowledged without having been filed.
    LetterUnfiled => ["ack_before_filing"];
    /// A message is stamped when it is published, not when it is decided.
    StampedAtPublish => ["output_changed"];
    /// States are locked in no order.
    NoLockOrder => ["deadlock"];
    /// A charge that comes after the order was called off is kept.
    LateChargeKept => ["kept_after_end", "capture_missing", "money_sum_wrong", "payment_unsettled"];
    /// An order that has ended goes on.
    EndsTwice => ["ended_twice", "ended_and_open", "history_disagrees"];
    /// Who asks again for a charge is charged again.
    ChargedTwice => ["captured_twice"];
    /// A refund that comes before the charge is forgotten.
    RefundForgotten => ["kept_after_end", "payment_unsettled"];
    /// Orders get goods that are not there.
    Oversold => ["stock_impossible"];
    /// A release that comes before the reservation is forgotten.
    ReleaseForgotten => ["held_after_end", "not_at_rest"];
}

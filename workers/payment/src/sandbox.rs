//! The sandbox: a payment provider that lives in its tokens, so that every answer is known before.
//!
//! | token | what the provider does |
//! |---|---|
//! | `tok_decline`, `tok_decline_expired`, ... | declines |
//! | `tok_flaky_3` | fails three times, then approves |
//! | `tok_hang_3` | hangs three times, then approves |
//! | `tok_error` | fails every time |
//! | anything else | approves |

use orderly_contracts::text::{Note, PaymentToken};

/// What a provider says for good.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// It did it.
    Approved,
    /// It refused, in its own words if it has any.
    Declined(Option<Note>),
}

/// What an attempt at the sandbox comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attempt {
    /// It is answered.
    Answered(Answer),
    /// It fails; whether anything was done is not known.
    Failed,
    /// It is never answered.
    Hanging,
}

/// The deterministic provider that comes with the worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Sandbox;

impl Sandbox {
    /// The answer to a charge where it doesn't depend on the attempt; then no call is needed.
    pub fn immediate(token: &PaymentToken) -> Option<Answer> {
        match Behaviour::of(token) {
            Behaviour::Approves => Some(Answer::Approved),
            Behaviour::Declines(words) => Some(declined(words)),
            Behaviour::Flaky(_) | Behaviour::Hangs(_) | Behaviour::Fails => None,
        }
    }

    /// What the `attempt`th attempt, counted from 1, at a call with this token comes to.
    pub fn attempt(token: &PaymentToken, attempt: u32) -> Attempt {
        match Behaviour::of(token) {
            Behaviour::Declines(words) => Attempt::Answered(declined(words)),
            Behaviour::Flaky(times) if attempt <= times => Attempt::Failed,
            Behaviour::Hangs(times) if attempt <= times => Attempt::Hanging,
            Behaviour::Fails => Attempt::Failed,
            Behaviour::Approves | Behaviour::Flaky(_) | Behaviour::Hangs(_) => {
                Attempt::Answered(Answer::Approved)
            }
        }
    }
}

/// What a token makes the sandbox do.
enum Behaviour {
    Approves,
    Declines(&'static str),
    Flaky(u32),
    Hangs(u32),
    Fails,
}

impl Behaviour {
    fn of(token: &PaymentToken) -> Self {
        let token = token.as_str();
        if let Some(variant) = token.strip_prefix("tok_decline") {
            Self::Declines(words(variant))
        } else if let Some(times) = token.strip_prefix("tok_flaky") {
            Self::Flaky(count(times))
        } else if let Some(times) = token.strip_prefix("tok_hang") {
            Self::Hangs(count(times))
        } else if token.starts_with("tok_error") {
            Self::Fails
        } else {
            Self::Approves
        }
    }
}

fn words(variant: &str) -> &'static str {
    match variant {
        "_expired" => "card expired",
        "_stolen" => "card reported stolen",
        "_limit" => "over the limit of the card",
        _ => "insufficient funds",
    }
}

fn declined(words: &str) -> Answer {
    Answer::Declined(Note::new(words).ok())
}

/// How often: the number after the underscore, or once; more than can be counted is for ever.
fn count(rest: &str) -> u32 {
    let digits = rest.strip_prefix('_').unwrap_or_default();
    let end = digits.find(|c: char| !c.is_ascii_digit()).unwrap_or(digits.len());
    match &digits[..end] {
        "" => 1,
        digits => digits.parse().unwrap_or(u32::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn token(text: &str) -> PaymentToken {
        PaymentToken::new(text).unwrap()
    }

    fn refusal(words: &str) -> Answer {
        Answer::Declined(Some(Note::new(words).unwrap()))
    }

    #[test]
    fn a_token_of_no_special_meaning_is_approved_at_once() {
        for text in ["tok_visa", "tok", "4711", "my-tok_decline", "tok_flak"] {
            assert_eq!(Sandbox::immediate(&token(text)), Some(Answer::Approved), "{text}");
            assert_eq!(Sandbox::attempt(&token(text), 1), Attempt::Answered(Answer::Approved));
        }
    }

    #[test]
    fn a_declined_token_says_why() {
        let cases = [
            ("tok_decline", "insufficient funds"),
            ("tok_declined", "insufficient funds"),
            ("tok_decline_expired", "card expired"),
            ("tok_decline_stolen", "card reported stolen"),
            ("tok_decline_limit", "over the limit of the card"),
        ];
        for (text, words) in cases {
            assert_eq!(Sandbox::immediate(&token(text)), Some(refusal(words)));
            assert_eq!(Sandbox::attempt(&token(text), 1), Attempt::Answered(refusal(words)));
        }
    }

    #[test]
    fn a_flaky_or_hanging_token_is_approved_after_as_many_attempts_as_it_says() {
        let approved = Attempt::Answered(Answer::Approved);
        let cases = [
            ("tok_flaky_2", 2, Attempt::Failed),
            ("tok_flaky_2_visa", 2, Attempt::Failed),
            ("tok_flaky", 1, Attempt::Failed),
            ("tok_flaky_0", 0, Attempt::Failed),
            ("tok_hang_3", 3, Attempt::Hanging),
            ("tok_hang", 1, Attempt::Hanging),
        ];
        for (text, times, trouble) in cases {
            assert_eq!(Sandbox::immediate(&token(text)), None, "{text}");
            for attempt in 1..=times {
                assert_eq!(Sandbox::attempt(&token(text), attempt), trouble, "{text} {attempt}");
            }
            assert_eq!(Sandbox::attempt(&token(text), times + 1), approved, "{text}");
        }
    }

    #[test]
    fn a_token_may_fail_for_ever() {
        for text in ["tok_error", "tok_error_503", "tok_flaky_99999999999999999999"] {
            assert_eq!(Sandbox::immediate(&token(text)), None);
            assert_eq!(Sandbox::attempt(&token(text), u32::MAX), Attempt::Failed);
        }
    }
}

//! Deadlines: when a step is asked for again and when it is given up, told from its rounds alone.
//!
//! No clock is read here. How long an order has waited is the sum of the waits it was given, so
//! time during which its timer was frozen does not count against it.

use std::time::Duration;

use orderly_contracts::routes::{PAYMENT_COMMANDS, STOCK_COMMANDS};

/// A step of the saga that waits for an answer. Its word is the step of the order's timer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// The stock was asked to reserve.
    Reserve,
    /// The payment was asked to charge.
    Charge,
    /// Stock, payment or both were asked to undo what they did.
    Compensate,
}

impl Step {
    /// All steps, in order.
    pub const ALL: [Self; 3] = [Self::Reserve, Self::Charge, Self::Compensate];

    /// The word in a timer.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reserve => "reserve",
            Self::Charge => "charge",
            Self::Compensate => "compensate",
        }
    }

    /// The step with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|step| step.as_str() == word)
    }
}

/// The queue that has to be worked off for a timer's `step` to be answered: while its consumer is
/// paused, the deadlines of this step are frozen. A compensation has none, for it never gives up.
pub fn awaited_queue(step: &str) -> Option<&'static str> {
    match Step::from_word(step)? {
        Step::Reserve => Some(STOCK_COMMANDS),
        Step::Charge => Some(PAYMENT_COMMANDS),
        Step::Compensate => None,
    }
}

/// A wait for an answer. An order waits for one step at a time, and no round of it comes twice,
/// so a timer that fires late is told from the one that is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Deadline {
    /// What the answer is to.
    pub step: Step,
    /// How often it was asked for again.
    pub round: u32,
}

/// How long answers are waited for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Deadlines {
    /// How long until a step is asked for again; doubles from round to round.
    pub ask_again: Duration,
    /// The longest wait from one round to the next.
    pub longest_wait: Duration,
    /// After how long in total a step forward is given up; compensations never are.
    pub give_up: Duration,
}

impl Default for Deadlines {
    fn default() -> Self {
        Self {
            ask_again: Duration::from_secs(30),
            longest_wait: Duration::from_secs(10 * 60),
            give_up: Duration::from_secs(24 * 60 * 60),
        }
    }
}

/// No wait is shorter, whatever the settings: without one, a step would be asked for in a spin.
const SHORTEST_WAIT: Duration = Duration::from_millis(1);

/// From this round on the wait has stopped growing, as a `u32` cannot double once more.
const LAST_DOUBLING: u32 = u32::BITS;

impl Deadlines {
    /// How long to wait for the answer to this round.
    pub(crate) fn wait(&self, Deadline { step, round }: Deadline) -> Duration {
        let delay = self.delay(round);
        match step {
            Step::Compensate => delay,
            // The last wait is cut short, so that giving up happens when it was said to.
            Step::Reserve | Step::Charge => {
                let left = self.give_up.saturating_sub(self.waited(round));
                delay.min(left).max(SHORTEST_WAIT)
            }
        }
    }

    /// Whether a step forward is given up when the answer to this round stays away as well.
    pub(crate) fn are_over(&self, round: u32) -> bool {
        self.waited(round.saturating_add(1)) >= self.give_up
    }

    fn delay(&self, round: u32) -> Duration {
        let factor = 1u32.checked_shl(round).unwrap_or(u32::MAX);
        self.ask_again.saturating_mul(factor).min(self.longest_wait).max(SHORTEST_WAIT)
    }

    /// How long the first `rounds` took together.
    fn waited(&self, rounds: u32) -> Duration {
        let growing = (0..rounds.min(LAST_DOUBLING))
            .map(|round| self.delay(round))
            .fold(Duration::ZERO, Duration::saturating_add);
        let constant = rounds.saturating_sub(LAST_DOUBLING);
        growing.saturating_add(self.delay(LAST_DOUBLING).saturating_mul(constant))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn waits(policy: &Deadlines, step: Step, rounds: u32) -> Vec<u64> {
        (0..rounds).map(|round| policy.wait(Deadline { step, round }).as_secs()).collect()
    }

    #[test]
    fn waits_double_up_to_the_longest() {
        let policy = Deadlines::default();
        assert_eq!(waits(&policy, Step::Reserve, 8), [30, 60, 120, 240, 480, 600, 600, 600]);
    }

    #[test]
    fn a_step_forward_is_given_up_after_exactly_the_time_allowed() {
        let policy = Deadlines::default();
        let last = (0..).find(|round| policy.are_over(*round)).expect("it ends some day");
        let total: u64 = waits(&policy, Step::Charge, last + 1).iter().sum();
        assert_eq!(Duration::from_secs(total), policy.give_up);
    }

    #[test]
    fn a_compensation_waits_no_longer_than_the_longest_however_often_it_was_asked_for() {
        let policy = Deadlines::default();
        for round in [100, 1_000, u32::MAX] {
            let deadline = Deadline { step: Step::Compensate, round };
            assert_eq!(policy.wait(deadline), policy.longest_wait);
        }
    }

    #[test]
    fn no_setting_makes_a_wait_vanish_or_a_sum_overflow() {
        let settings = [Duration::ZERO, Duration::from_nanos(1), Duration::MAX];
        for (ask_again, longest_wait, give_up) in settings
            .into_iter()
            .flat_map(|a| settings.into_iter().map(move |b| (a, b)))
            .flat_map(|(a, b)| settings.into_iter().map(move |c| (a, b, c)))
        {
            let policy = Deadlines { ask_again, longest_wait, give_up };
            for (step, round) in
                Step::ALL.into_iter().flat_map(|step| [(step, 0), (step, 40), (step, u32::MAX)])
            {
                assert!(policy.wait(Deadline { step, round }) >= SHORTEST_WAIT, "{policy:?}");
                let _ = policy.are_over(round);
            }
        }
    }

    #[test]
    fn every_step_forward_names_the_queue_it_waits_for() {
        assert_eq!(awaited_queue("reserve"), Some("stock.commands"));
        assert_eq!(awaited_queue("charge"), Some("payment.commands"));
        assert_eq!(awaited_queue("compensate"), None);
        assert_eq!(awaited_queue("no such step"), None);
    }
}

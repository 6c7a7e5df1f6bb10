//! The circuit breaker of a loop: when too much of what it does fails, it pauses by itself.
//!
//! Each failure costs a message one of its attempts. Where most of them fail, the fault is not the
//! messages', and they had better wait in their queue than be used up.

use std::collections::VecDeque;
use std::time::Duration;

use crate::clock::Micros;

/// When a breaker opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerLimits {
    /// So many of a hundred outcomes must be failures.
    pub failures_percent: usize,
    /// The first pause; each further one without a success between is twice as long.
    pub pause: Duration,
    /// The longest pause.
    pub longest: Duration,
}

/// It looks at this many of the latest outcomes.
const WINDOW: usize = 100;
/// It needs this many to judge.
const LEAST: usize = 20;
/// After a pause, these few are enough.
const LEAST_AFTER_PAUSE: usize = 3;

/// Watches outcomes; open, it asks for a pause.
#[derive(Debug)]
pub struct Breaker {
    limits: BreakerLimits,
    /// Whether each of the latest outcomes was a failure.
    outcomes: VecDeque<bool>,
    trips: u32,
    open_until: Micros,
}

impl Breaker {
    /// A closed breaker.
    pub fn new(limits: BreakerLimits) -> Self {
        Self { limits, outcomes: VecDeque::new(), trips: 0, open_until: Micros::default() }
    }

    /// Notes that `failed` of `total` attempts failed; it may open.
    pub fn note(&mut self, failed: usize, total: usize, now: Micros) {
        let failures = std::iter::repeat_n(true, failed);
        self.outcomes.extend(failures.chain(std::iter::repeat_n(false, total - failed)));
        let surplus = self.outcomes.len().saturating_sub(WINDOW);
        self.outcomes.drain(..surplus);
        let failures = self.outcomes.iter().filter(|has_failed| **has_failed).count();
        let least = if self.trips == 0 { LEAST } else { LEAST_AFTER_PAUSE };
        if self.outcomes.len() < least {
            return;
        }
        if failures * 100 >= self.outcomes.len() * self.limits.failures_percent {
            self.trip(now);
        } else {
            self.trips = 0;
        }
    }

    /// Opens at once.
    pub fn trip(&mut self, now: Micros) {
        let factor = 2u32.saturating_pow(self.trips);
        self.open_until = now + self.limits.pause.saturating_mul(factor).min(self.limits.longest);
        self.trips += 1;
        self.outcomes.clear();
    }

    /// Whether it opened, and has not seen enough successes since.
    pub fn is_half_open(&self) -> bool {
        self.trips > 0
    }

    /// How much of the pause is left; zero when closed.
    pub fn pause_left(&self, now: Micros) -> Duration {
        // A clock that was set back must not make the pause longer.
        (self.open_until - now).min(self.limits.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const START: Micros = Micros(1_000_000_000);

    fn breaker() -> Breaker {
        let limits = BreakerLimits { failures_percent: 50, pause: SECOND, longest: 4 * SECOND };
        Breaker::new(limits)
    }

    #[test]
    fn a_few_failures_are_no_reason_to_pause() {
        let mut breaker = breaker();
        breaker.note(LEAST - 1, LEAST - 1, START);
        assert!(breaker.pause_left(START).is_zero());
        breaker.note(0, 1_000, START);
        breaker.note(49, 50, START);
        assert!(breaker.pause_left(START).is_zero());
    }

    #[test]
    fn half_of_the_latest_failing_is() {
        let mut breaker = breaker();
        breaker.note(0, 1_000, START);
        breaker.note(50, 50, START);
        assert_eq!(breaker.pause_left(START), SECOND);
        assert!(breaker.pause_left(START + SECOND).is_zero());
    }

    #[test]
    fn pauses_double_up_to_the_longest_until_something_succeeds() {
        let mut breaker = breaker();
        let pauses = [1, 2, 4, 4].map(|seconds| seconds * SECOND);
        breaker.note(LEAST, LEAST, START);
        for pause in pauses {
            assert_eq!(breaker.pause_left(START), pause);
            breaker.note(LEAST_AFTER_PAUSE, LEAST_AFTER_PAUSE, START);
        }
        assert!(breaker.is_half_open());
        breaker.note(0, LEAST_AFTER_PAUSE, START);
        assert!(!breaker.is_half_open());
        breaker.note(LEAST, LEAST, START);
        assert_eq!(breaker.pause_left(START), SECOND);
    }
}

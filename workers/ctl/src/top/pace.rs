//! How often a statement may run: watching must cost a database next to nothing.

use std::time::{Duration, Instant};

/// A statement runs for at most one part in so many of the time.
const SHARE: u32 = 100;
/// However dear it is, the screen is not older than this.
const RAREST: Duration = Duration::from_secs(30);

/// When a statement is due again.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    next: Option<Instant>,
}

impl Pace {
    /// Whether it is time.
    pub(crate) fn is_due(&self, now: Instant) -> bool {
        self.next.is_none_or(|next| next <= now)
    }

    /// It ran, until `now`, and took so long.
    pub(crate) fn took(&mut self, took: Duration, now: Instant) {
        self.next = Some(now + took.saturating_mul(SHARE).min(RAREST));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_dear_runs_seldom() {
        let start = Instant::now();
        let mut pace = Pace::default();
        assert!(pace.is_due(start));
        let after = |ms| start + Duration::from_millis(ms);
        pace.took(Duration::from_millis(5), start);
        assert!(!pace.is_due(after(499)) && pace.is_due(after(500)));
        pace.took(Duration::from_millis(80), start);
        assert!(!pace.is_due(after(7_999)) && pace.is_due(after(8_000)));
        pace.took(Duration::from_secs(9), start);
        assert!(pace.is_due(after(30_000)));
    }
}

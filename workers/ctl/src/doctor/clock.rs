//! Clocks that differ: deadlines are the databases' time, what people read is everybody's.

use super::finding::Finding;
use super::reading::Ahead;

/// Up to this, nobody notices.
const NOTICED_MS: i64 = 2_000;
/// From this on, times in histories and logs are misleading.
const MISLEADING_MS: i64 = 60_000;

const MEND: &str = "on the machine that is wrong: timedatectl set-ntp true; chronyc tracking";

/// Whether the clock of `whose` agrees with this machine's.
pub(super) fn check(check: &str, whose: &str, ahead: Ahead) -> Finding {
    let Ahead { ms, within_ms } = ahead;
    let certain = ms.abs() - within_ms;
    let side = if ms < 0 { "behind" } else { "ahead of" };
    let text = format!(
        "the clock of {whose} is {}.{:03} s {side} this machine's, to {within_ms} ms",
        ms.abs() / 1_000,
        ms.abs() % 1_000
    );
    match certain {
        MISLEADING_MS.. => Finding::failure(check, text, MEND),
        NOTICED_MS.. => Finding::warning(check, text, MEND),
        _ => Finding::ok(check, text),
    }
}

#[cfg(test)]
mod tests {
    use super::super::finding::State;
    use super::*;

    #[test]
    fn a_difference_counts_as_far_as_it_is_certain() {
        let state = |ms, within_ms| check("c", "x", Ahead { ms, within_ms }).state;
        assert_eq!(state(1_500, 10), State::Ok);
        assert_eq!(state(2_500, 600), State::Ok);
        assert_eq!(state(-2_500, 100), State::Warning);
        assert_eq!(state(-61_000, 100), State::Failure);
    }
}

//! Waiting for a condition, with a deadline and a sentence for whoever has to read why it failed.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// Calls `check` until it yields a value, and fails once `limit` has passed.
///
/// `what` completes the sentence "waited 30s for ...". An error from `check` ends the wait at once: it
/// says that the condition can no longer come true.
pub fn wait_for<T>(
    what: &str,
    limit: Duration,
    mut check: impl FnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(value) = check()? {
            return Ok(value);
        }
        if Instant::now() >= deadline {
            bail!("waited {limit:?} for {what}, in vain");
        }
        thread::sleep(Duration::from_millis(20));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_condition_is_asked_until_it_holds() {
        let mut asked = 0;
        let value = wait_for("three", Duration::from_secs(5), || {
            asked += 1;
            Ok((asked == 3).then_some(asked))
        });
        assert_eq!(value.unwrap(), 3);
    }

    #[test]
    fn a_deadline_names_what_was_waited_for() {
        let outcome = wait_for::<()>("the moon", Duration::from_millis(1), || Ok(None));
        assert!(outcome.unwrap_err().to_string().contains("the moon"));
    }
}

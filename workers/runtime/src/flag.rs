//! A flag that is raised and lowered, and waited for by any number of tasks.
//!
//! Those who wait are woken in the order in which they came. A watch channel wakes them in random
//! order, and then no simulation could be repeated.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Notify;

/// A flag. Copies are the same flag.
#[derive(Debug, Clone)]
pub(crate) struct Flag(Arc<State>);

#[derive(Debug)]
struct State {
    is_up: AtomicBool,
    changed: Notify,
}

impl Flag {
    /// A flag, raised or not.
    pub(crate) fn new(is_up: bool) -> Self {
        Self(Arc::new(State { is_up: AtomicBool::new(is_up), changed: Notify::new() }))
    }

    /// Whether it is raised.
    pub(crate) fn is_up(&self) -> bool {
        self.0.is_up.load(Ordering::SeqCst)
    }

    /// Raises or lowers it; whether that moved it.
    pub(crate) fn set(&self, is_up: bool) -> bool {
        let has_moved = self.0.is_up.swap(is_up, Ordering::SeqCst) != is_up;
        if has_moved {
            self.0.changed.notify_waiters();
        }
        has_moved
    }

    /// Returns once it is raised.
    pub(crate) async fn raised(&self) {
        loop {
            let mut changed = std::pin::pin!(self.0.changed.notified());
            // Registered before looking, or a change in between would go unheard.
            changed.as_mut().enable();
            if self.is_up() {
                return;
            }
            changed.await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_waits_is_woken_when_it_is_raised_and_who_comes_later_does_not_wait() {
        let flag = Flag::new(false);
        let waiting = tokio::spawn({
            let flag = flag.clone();
            async move { flag.raised().await }
        });
        tokio::task::yield_now().await;
        assert!(!flag.set(false));
        assert!(!waiting.is_finished());
        assert!(flag.set(true));
        waiting.await.unwrap();
        flag.raised().await;
        assert!(flag.is_up());
    }
}

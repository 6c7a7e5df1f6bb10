//! Care: how a session begins when those before it ended at once.

use std::time::Duration;

use crate::clock::{Clock, Micros};

/// After this many short sessions in a row, a message may be what ends them, before it is even
/// seen.
const SHORT_SESSIONS: u32 = 3;
/// How long a session is careful.
const CAREFUL: Duration = Duration::from_secs(10);
/// How long a queue is consumed before the next one is too.
const TURN: Duration = Duration::from_millis(300);

/// A careful session takes one message of a queue at a time, and begins with the queues one after
/// the other, each time with another first: so all but the queue of the evil message get on, and
/// only that message comes back again and again, until the broker gives it up.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Care {
    short_sessions: u32,
    began: Micros,
}

impl Care {
    /// For the session that begins now.
    pub(crate) fn after(short_sessions: u32, began: Micros) -> Self {
        Self { short_sessions, began }
    }

    /// Whether it is called for.
    pub(crate) fn is_needed(self) -> bool {
        self.short_sessions >= SHORT_SESSIONS
    }

    /// Until when one message is taken at a time.
    pub(crate) fn until(self) -> Micros {
        if self.is_needed() { self.began + CAREFUL } else { Micros::default() }
    }

    /// Waits for the turn of the queue at `place` of `queues`.
    pub(crate) async fn turn(self, place: usize, queues: usize, clock: &dyn Clock) {
        let turns = (place + self.short_sessions as usize) % queues;
        if self.is_needed() && turns > 0 {
            clock.sleep(TURN * turns as u32).await;
        }
    }
}

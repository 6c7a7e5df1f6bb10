//! How long messages wait: until they are taken in hand, and until they are settled.

use orderly_contracts::envelope::SENT_AT;

use super::catalogue::{CRITICAL_SECONDS, QUEUE_SECONDS};
use crate::clock::{Clock, Micros, SystemClock};
use crate::reception::Received;

/// When messages of a queue were sent that are in hand now.
#[derive(Debug, Default)]
pub struct Waits {
    queue: &'static str,
    sent_at: Vec<Micros>,
}

impl Waits {
    /// What was received has been taken in hand.
    pub(crate) fn begin<I>(queue: &'static str, received: &[Received<I>]) -> Self {
        if !super::is_installed() {
            return Self::default();
        }
        let sent_at = |one: &Received<I>| {
            one.delivery.properties.int_header(SENT_AT).map(|sent_at| (Micros(sent_at), one.at))
        };
        let moments: Vec<_> = received.iter().filter_map(sent_at).collect();
        let waited = moments.iter().map(|(sent_at, at)| (*at - *sent_at).as_secs_f64());
        QUEUE_SECONDS.observe_all(&[queue], waited);
        Self { queue, sent_at: moments.into_iter().map(|(sent_at, _)| sent_at).collect() }
    }

    /// All of them are settled: what follows is confirmed, and they may be acknowledged.
    pub(crate) fn end(self) {
        if self.sent_at.is_empty() {
            return;
        }
        let now = SystemClock.now();
        let waited = self.sent_at.iter().map(|sent_at| (now - *sent_at).as_secs_f64());
        CRITICAL_SECONDS.observe_all(&[self.queue], waited);
    }
}

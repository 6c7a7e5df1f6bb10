//! Suspects: what was not clean when it was first read, read again until it settles.
//!
//! The databases are read at different moments, so on a running system an order may look wrong
//! that is not: it was placed, or went on, between two reads. Nothing is judged for good by its
//! first reading unless it is clean. A reading by ids tells by itself whether the order changed
//! meanwhile ([`Databases::read_ids`]), so an order that stands still is judged by facts that
//! belong together, and the one difference left, a message on its way, is what the queues and
//! outboxes before and after the last reading decide.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use orderly_runtime::amqp::broker::AmqpBroker;
use orderly_runtime::retry::Ladder;

use crate::audit::arrivals::Arrivals;
use crate::audit::databases::Databases;
use crate::audit::facts::Facts;
use crate::audit::tally::Tally;
use crate::audit::verdict::{Outcome, Verdict, judge};
use crate::audit::violation::Violation;
use crate::audit::waiting::Waiting;

/// How many suspects are kept in mind; the verdict of any beyond is that of its first reading.
const SUSPECTS_MAX: usize = 100_000;
/// How many suspects are read at once.
const CHUNK: usize = 500;
/// The first pause between two readings; it doubles up to the longest.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Ids of orders to be read again.
#[derive(Debug, Default)]
pub(crate) struct Suspects {
    ids: Vec<String>,
    /// How many were judged by their first reading, as there were too many.
    pub(crate) judged_at_once: u64,
}

impl Suspects {
    /// Takes the verdict of a first reading: counts it if it is clean, else remembers the order.
    pub(crate) fn sort(
        &mut self,
        facts: &Facts,
        verdict: Verdict,
        tally: &mut Tally,
    ) -> Result<()> {
        // A tombstone may be an order that was placed while it was read.
        let is_final = matches!(verdict, Verdict::Clean(outcome) if outcome != Outcome::Tombstone);
        if !is_final && self.ids.len() < SUSPECTS_MAX {
            self.ids.push(facts.order_id.clone());
            return Ok(());
        }
        self.judged_at_once += u64::from(!is_final);
        tally.count(facts, verdict)
    }
}

/// What is needed to read again.
pub(crate) struct Settling<'a> {
    pub(crate) databases: &'a Databases,
    pub(crate) broker: &'a AmqpBroker,
    pub(crate) ladder: &'a Ladder,
    /// How long suspects have to settle.
    pub(crate) patience: Duration,
    /// How old an unsent batch may be while its worker is running.
    pub(crate) outbox_patience: Duration,
    /// The publisher's receipts, if there are any.
    pub(crate) receipts: Option<&'a Path>,
}

impl Settling<'_> {
    /// Reads suspects again until all have settled or the time is over; the last reading counts.
    pub(crate) async fn settle(
        &self,
        mut suspects: Suspects,
        arrivals: &mut Option<Arrivals>,
        tally: &mut Tally,
    ) -> Result<Waiting> {
        let end = Instant::now() + self.patience;
        let mut pause = FIRST_PAUSE;
        loop {
            let is_last = Instant::now() >= end;
            let before = self.waiting().await?;
            suspects.ids = self.read_again(suspects.ids, &before, is_last, tally).await?;
            let all_arrived = match arrivals.as_mut() {
                Some(arrivals) => arrivals.look_again(self.databases).await?,
                None => true,
            };
            let has_settled =
                suspects.ids.is_empty() && all_arrived && self.stuck(&before).is_empty();
            if is_last || has_settled {
                return self.judge_the_rest(before, arrivals, tally).await;
            }
            let left = end.saturating_duration_since(Instant::now());
            tokio::time::sleep(pause.min(left)).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn waiting(&self) -> Result<Waiting> {
        Waiting::read(self.broker, self.ladder, self.databases).await
    }

    /// Reads suspects once; those that are still not clean. The last reading leaves none.
    async fn read_again(
        &self,
        ids: Vec<String>,
        before: &Waiting,
        is_last: bool,
        tally: &mut Tally,
    ) -> Result<Vec<String>> {
        let mut still = Vec::new();
        for chunk in ids.chunks(CHUNK) {
            let mut read = self.databases.read_ids(chunk).await?;
            let mut waiting = before.clone();
            if is_last {
                self.databases.add_letters(&mut read).await?;
                waiting = waiting.or_later(&self.waiting().await?);
            }
            for facts in read {
                match judge(&facts, &waiting) {
                    verdict if is_last || matches!(verdict, Verdict::Clean(_)) => {
                        tally.count(&facts, verdict)?;
                    }
                    _ => still.push(facts.order_id),
                }
            }
        }
        Ok(still)
    }

    async fn judge_the_rest(
        &self,
        before: Waiting,
        arrivals: &mut Option<Arrivals>,
        tally: &mut Tally,
    ) -> Result<Waiting> {
        let now = self.waiting().await?;
        if let (Some(arrivals), Some(path)) = (arrivals, self.receipts) {
            let waiting = before.or_later(&now);
            arrivals.judge(path, self.databases, &waiting, tally).await?;
        }
        for (party, batches, seconds) in self.stuck(&now) {
            tally.violate("outbox", party, &Violation::OutboxStuck { batches, seconds })?;
        }
        Ok(now)
    }

    /// Outboxes that a running worker has left alone for too long. Without a worker nothing is
    /// wrong with them: what they hold will be published by the next one.
    fn stuck(&self, waiting: &Waiting) -> Vec<(&'static str, i64, i64)> {
        let patience = i64::try_from(self.outbox_patience.as_secs()).unwrap_or(i64::MAX);
        waiting
            .stuck(patience)
            .filter(|(_, is_worker_running)| *is_worker_running)
            .map(|(it, _)| (it.party.name(), it.unsent_batches, it.oldest_seconds))
            .collect()
    }
}

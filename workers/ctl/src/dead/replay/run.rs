//! Working a replay off: lot by lot, at a pace, a canary first, and never further than is good.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use super::journal::{Progress, Replay};
use crate::dead::drawer::Drawer;
use crate::output::{count, duration};
use crate::publish::sender::{Fate, Sender};

/// The most letters that leave at once.
const LOT: u32 = 500;
/// How often the outcomes are looked at while they are waited for.
const LOOK: Duration = Duration::from_millis(200);

/// How to work a replay off.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Manner {
    /// Letters a second, if not as fast as can be.
    pub rate: Option<u32>,
    /// So many go first, and all must turn out well before the next ones go.
    pub canary: Option<u32>,
    /// How long outcomes are waited for, if they are.
    pub wait: Option<Duration>,
}

/// A replay that is being worked off.
pub(crate) struct Run<'a, 's> {
    replay: &'a Replay,
    drawers: &'a mut [Drawer],
    sender: &'a mut Sender<'s>,
    manner: Manner,
    /// Failures of an earlier run of the same replay are no news.
    failed_before: i64,
    sent: u32,
    start: Instant,
}

impl<'a, 's> Run<'a, 's> {
    /// A run of `replay` over `drawers`.
    pub(crate) async fn new(
        replay: &'a Replay,
        drawers: &'a mut [Drawer],
        sender: &'a mut Sender<'s>,
        manner: Manner,
    ) -> Result<Self> {
        let failed_before = replay.progress(drawers).await?.failed_again;
        let start = Instant::now();
        Ok(Self { replay, drawers, sender, manner, failed_before, sent: 0, start })
    }

    /// Sends everything that is left; why it stopped early, if it did.
    pub(crate) async fn run(mut self) -> Result<Option<String>> {
        let paced = self.manner.rate.map_or(LOT, |rate| (rate / 10).clamp(1, LOT));
        let Some(canary) = self.manner.canary else {
            while self.send(paced).await? > 0 {}
            return Ok(None);
        };
        if let Some(why) = self.send_canary(canary, paced).await? {
            return Ok(Some(why));
        }
        // The further it goes well, the larger the next lot.
        let mut lot = canary.min(paced);
        while self.send(lot).await? > 0 {
            let failed = self.failed(&self.replay.progress(self.drawers).await?);
            if failed > 0 {
                return Ok(Some(format!("{} failed again", count(failed, "letter"))));
            }
            lot = lot.saturating_mul(2).min(paced);
        }
        Ok(None)
    }

    /// Sends the first ones and waits until each has turned out well.
    async fn send_canary(&mut self, canary: u32, paced: u32) -> Result<Option<String>> {
        while self.sent < canary && self.send(paced.min(canary - self.sent)).await? > 0 {}
        let is_over = |it: &Progress| it.outstanding == 0 || self.failed(it) > 0;
        let wait = self.manner.wait.unwrap_or_default();
        let progress = wait_until(self.replay, self.drawers, wait, is_over).await?;
        let failed = self.failed(&progress);
        let open = u64::try_from(progress.outstanding).unwrap_or_default();
        let waited = duration(wait);
        Ok(match (failed, open) {
            (0, 0) => None,
            (0, _) => Some(format!(
                "{} of the canary had no outcome within {waited}",
                count(open, "letter")
            )),
            _ => Some(format!("{} of the canary failed again", count(failed, "letter"))),
        })
    }

    fn failed(&self, progress: &Progress) -> u64 {
        u64::try_from(progress.failed_again - self.failed_before).unwrap_or_default()
    }

    /// Sends the next lot; how many letters had their turn.
    async fn send(&mut self, lot: u32) -> Result<usize> {
        self.keep_pace().await;
        for drawer in self.drawers.iter_mut() {
            let lot = self.replay.take(drawer, i64::from(lot)).await?;
            if lot.taken == 0 {
                continue;
            }
            let fates = self.sender.deliver(&lot.messages).await?;
            let out = lot.ids.iter().zip(&fates).filter(|(_, fate)| **fate == Fate::Confirmed);
            let out: Vec<_> = out.map(|(id, _)| *id).collect();
            self.replay.mark_sent(drawer, &out).await?;
            self.sent += u32::try_from(out.len())?;
            let returned = fates.len() - out.len();
            if returned > 0 {
                let returned = count(returned as u64, "message");
                bail!("{returned} returned: no queue takes them; run `orderly setup`, then go on");
            }
            return Ok(lot.taken);
        }
        Ok(0)
    }

    /// Waits until the messages so far fit into the time so far.
    async fn keep_pace(&self) {
        if let Some(rate) = self.manner.rate {
            let due = Duration::from_secs_f64(f64::from(self.sent) / f64::from(rate.max(1)));
            tokio::time::sleep(due.saturating_sub(self.start.elapsed())).await;
        }
    }
}

/// Waits until enough is known, for at most `wait`; how far the replay is then.
pub(crate) async fn wait_until(
    replay: &Replay,
    drawers: &[Drawer],
    wait: Duration,
    is_enough: impl Fn(&Progress) -> bool,
) -> Result<Progress> {
    let deadline = Instant::now() + wait;
    loop {
        let progress = replay.progress(drawers).await?;
        if is_enough(&progress) || Instant::now() >= deadline {
            return Ok(progress);
        }
        tokio::time::sleep(LOOK).await;
    }
}

//! From a source to the broker: checked, in windows, at a stated pace, and all accounted for.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Error, Result};
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc::Receiver;

use super::check;
use super::progress::Progress;
use super::record::{Draft, Record};
use super::refusals::Refusals;
use super::sender::{Fate, Sender, WINDOW};
use crate::receipts::{Receipt, Receipts};

/// A window is sent when it holds this many bytes, whatever its messages are.
const WINDOW_BYTES: usize = 4 << 20;

/// How to publish.
#[derive(Debug, Clone, Default)]
pub struct Manner {
    /// Messages a second, if not as fast as can be.
    pub rate: Option<u32>,
    /// Whether messages are sent without asking the contract.
    pub is_unchecked: bool,
}

/// What came of all records.
#[derive(Debug, Clone, Default, Serialize)]
pub struct Tally {
    /// Messages the broker has taken responsibility for.
    pub confirmed: u64,
    /// Messages no queue takes.
    pub returned: u64,
    /// Messages that were accepted and are neither of these.
    pub unconfirmed: u64,
    /// Records that became no message.
    pub refused: u64,
    /// How long it took.
    pub seconds: f64,
    /// Confirmed messages a second.
    pub per_second: f64,
}

/// A transfer under way.
pub struct Transfer<'a> {
    sender: Sender<'a>,
    manner: Manner,
    receipts: Option<Receipts>,
    refusals: Refusals,
    progress: Progress,
    tally: Tally,
    start: Instant,
}

impl<'a> Transfer<'a> {
    /// A transfer by way of `sender`; receipts and refusals go to these files, if any.
    pub fn new(
        sender: Sender<'a>,
        manner: Manner,
        receipts: Option<&Path>,
        refused: Option<&Path>,
        progress: Progress,
    ) -> Result<Self> {
        Ok(Self {
            sender,
            manner,
            receipts: receipts.map(Receipts::create).transpose()?,
            refusals: Refusals::to(refused)?,
            progress,
            tally: Tally::default(),
            start: Instant::now(),
        })
    }

    /// Sends everything; what came of it, and what stopped it if something did.
    pub async fn run(mut self, mut records: Receiver<Result<Record>>) -> (Tally, Option<Error>) {
        let outcome = self.send_all(&mut records).await;
        let outcome = outcome.and(self.refusals.finish());
        self.progress.finish();
        self.sender.close().await;
        let mut tally = self.tally;
        tally.seconds = self.start.elapsed().as_secs_f64();
        tally.per_second = tally.confirmed as f64 / tally.seconds.max(f64::EPSILON);
        (tally, outcome.err())
    }

    async fn send_all(&mut self, records: &mut Receiver<Result<Record>>) -> Result<()> {
        let most = match self.manner.rate {
            // Ten windows a second are an even flow to the eye, and to the workers.
            Some(rate) => (rate as usize / 10).clamp(1, WINDOW),
            None => WINDOW,
        };
        while let Some(record) = records.recv().await {
            let mut window = Vec::new();
            let mut bytes = 0;
            let mut next = Some(record);
            while let Some(record) = next {
                if let Some(draft) = self.accept(record?)? {
                    bytes += draft.body.len();
                    window.push(draft);
                }
                // What is there already goes along; what may come later is not waited for.
                let is_full = window.len() >= most || bytes >= WINDOW_BYTES;
                next = if is_full { None } else { records.try_recv().ok() };
            }
            self.send(window).await?;
        }
        Ok(())
    }

    /// The message to send, or nothing if it is refused.
    fn accept(&mut self, record: Record) -> Result<Option<Draft>> {
        let check = match self.manner.is_unchecked {
            true => check::carriable,
            false => check::check,
        };
        match record.and_then(check) {
            Ok(draft) => Ok(Some(draft)),
            Err(refused) => {
                self.tally.refused += 1;
                if let Some(text) = self.refusals.add(&refused)? {
                    self.progress.remark(&text);
                }
                Ok(None)
            }
        }
    }

    async fn send(&mut self, window: Vec<Draft>) -> Result<()> {
        if window.is_empty() {
            return Ok(());
        }
        self.keep_pace().await;
        let count = window.len() as u64;
        self.tally.unconfirmed += count;
        let fates = self.sender.send(&window).await?;
        self.tally.unconfirmed -= count;
        for (draft, fate) in window.iter().zip(fates) {
            match fate {
                Fate::Confirmed => {
                    self.tally.confirmed += 1;
                    if let Some(receipts) = &mut self.receipts {
                        receipts.add(&receipt(draft))?;
                    }
                }
                Fate::Returned => {
                    self.tally.returned += 1;
                    if self.tally.returned == 1 {
                        let key = &draft.routing_key;
                        self.progress.remark(&format!(
                            "returned: no queue takes {key}; is the topology there? `orderly setup`"
                        ));
                    }
                }
            }
        }
        if let Some(receipts) = &mut self.receipts {
            receipts.flush()?;
        }
        self.progress.show(&self.tally);
        Ok(())
    }

    /// Waits until the messages so far fit into the time so far.
    async fn keep_pace(&self) {
        if let Some(rate) = self.manner.rate {
            let sent = self.tally.confirmed + self.tally.returned;
            let due = Duration::from_secs_f64(sent as f64 / f64::from(rate.max(1)));
            tokio::time::sleep(due.saturating_sub(self.start.elapsed())).await;
        }
    }
}

fn receipt(draft: &Draft) -> Receipt {
    #[derive(Deserialize)]
    struct About {
        order_id: Option<String>,
    }
    let about: Option<About> = serde_json::from_slice(&draft.body).ok();
    Receipt {
        kind: draft.kind.clone(),
        message_id: draft.message_id.clone(),
        order_id: about.and_then(|about| about.order_id),
    }
}

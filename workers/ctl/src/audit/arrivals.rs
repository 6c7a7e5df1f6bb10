//! The receipts of a publisher: nothing the broker has confirmed to it is lost.
//!
//! A message is accounted for once it is in the inbox of its consumer or among the dead letters.
//! Those that are neither may still be in a queue, and are looked for again.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use anyhow::Result;
use orderly_contracts::routes::{Party, route};
use serde::Serialize;

use crate::audit::databases::Databases;
use crate::audit::sql;
use crate::audit::tally::Tally;
use crate::audit::violation::Violation;
use crate::audit::waiting::Waiting;
use crate::exit::misuse;
use crate::receipts::{self, Receipt};

/// How many receipts are looked up at once.
const CHUNK: usize = 5_000;
/// How many missing messages are kept in mind at most.
const MISSING_MAX: usize = 100_000;

/// What became of the messages.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Arrivals {
    pub(crate) receipts: u64,
    pub(crate) received: u64,
    /// Given up, as dead letters that explain themselves.
    pub(crate) dead_letters: u64,
    /// Perhaps still in a queue.
    pub(crate) queued: u64,
    pub(crate) lost: u64,
    #[serde(skip)]
    missing: Vec<Receipt>,
    /// More is missing than is kept in mind.
    #[serde(skip)]
    is_beyond_bounds: bool,
}

/// Where a message went.
enum Fate {
    Received,
    GivenUp,
    Missing,
}

impl Arrivals {
    /// Looks for every message in the file at `path`.
    pub(crate) async fn read(path: &Path, databases: &Databases) -> Result<Self> {
        let mut arrivals = Self::default();
        for chunk in chunks(path)? {
            for (receipt, fate) in fates(chunk?, databases).await? {
                if !arrivals.count(fate) {
                    arrivals.keep(receipt);
                }
            }
        }
        Ok(arrivals)
    }

    /// Counts a message that is accounted for; whether it is.
    fn count(&mut self, fate: Fate) -> bool {
        match fate {
            Fate::Received => self.received += 1,
            Fate::GivenUp => self.dead_letters += 1,
            Fate::Missing => return false,
        }
        true
    }

    fn keep(&mut self, receipt: Receipt) {
        if self.missing.len() < MISSING_MAX {
            self.missing.push(receipt);
        } else {
            self.is_beyond_bounds = true;
        }
    }

    /// Looks once more for what is missing; whether everything is accounted for by now.
    pub(crate) async fn look_again(&mut self, databases: &Databases) -> Result<bool> {
        let mut missing = std::mem::take(&mut self.missing);
        while !missing.is_empty() {
            let rest = missing.split_off(missing.len().min(CHUNK));
            for (receipt, fate) in fates(missing, databases).await? {
                if !self.count(fate) {
                    self.missing.push(receipt);
                }
            }
            missing = rest;
        }
        Ok(self.missing.is_empty() && !self.is_beyond_bounds)
    }

    /// What is still missing is queued if a queue on its way holds anything, else it is lost.
    pub(crate) async fn judge(
        &mut self,
        path: &Path,
        databases: &Databases,
        waiting: &Waiting,
        tally: &mut Tally,
    ) -> Result<()> {
        if self.is_beyond_bounds {
            // Not all that was missing could be kept in mind, so everything is looked up anew.
            *self = Self::default();
            for chunk in chunks(path)? {
                for (receipt, fate) in fates(chunk?, databases).await? {
                    if !self.count(fate) {
                        self.judge_one(receipt, waiting, tally)?;
                    }
                }
            }
        }
        for receipt in std::mem::take(&mut self.missing) {
            self.judge_one(receipt, waiting, tally)?;
        }
        self.receipts = self.received + self.dead_letters + self.queued + self.lost;
        Ok(())
    }

    fn judge_one(&mut self, receipt: Receipt, waiting: &Waiting, tally: &mut Tally) -> Result<()> {
        let place =
            consumer(&receipt).and_then(|(party, queue)| waiting.place_of_message(party, queue));
        if place.is_some() {
            self.queued += 1;
            return Ok(());
        }
        self.lost += 1;
        let subject = receipt.message_id;
        let (kind, message_id) = (receipt.kind, subject.clone());
        tally.violate("message", &subject, &Violation::MessageLost { kind, message_id })
    }
}

/// The receipts in the file, some at a time.
fn chunks(path: &Path) -> Result<impl Iterator<Item = Result<Vec<Receipt>>>> {
    let mut receipts = receipts::read(path)?;
    let place = path.display().to_string();
    Ok(std::iter::from_fn(move || {
        let chunk: Result<Vec<Receipt>> = receipts.by_ref().take(CHUNK).collect();
        let chunk = chunk.and_then(|chunk| {
            match chunk.iter().find(|receipt| consumer(receipt).is_none()) {
                None => Ok(chunk),
                Some(Receipt { kind, .. }) => {
                    Err(misuse(format!("{place}: nobody consumes messages of type {kind}")))
                }
            }
        });
        chunk.map(|chunk| (!chunk.is_empty()).then_some(chunk)).transpose()
    }))
}

fn consumer(receipt: &Receipt) -> Option<(Party, &'static str)> {
    route(&receipt.kind)?.consumer
}

async fn fates(receipts: Vec<Receipt>, databases: &Databases) -> Result<Vec<(Receipt, Fate)>> {
    let mut by_party: BTreeMap<Party, Vec<Receipt>> = BTreeMap::new();
    for receipt in receipts {
        if let Some((party, _)) = consumer(&receipt) {
            by_party.entry(party).or_default().push(receipt);
        }
    }
    let mut fates = Vec::new();
    for (party, receipts) in by_party {
        let ids: Vec<&str> = receipts.iter().map(|it| it.message_id.as_str()).collect();
        let received = known(databases, party, sql::RECEIVED, &ids).await?;
        let absent: Vec<&str> = ids.into_iter().filter(|id| !received.contains(*id)).collect();
        let given_up = match absent.as_slice() {
            [] => HashSet::new(),
            absent => known(databases, party, sql::GIVEN_UP, absent).await?,
        };
        fates.extend(receipts.into_iter().map(|receipt| {
            let fate = if received.contains(&receipt.message_id) {
                Fate::Received
            } else if given_up.contains(&receipt.message_id) {
                Fate::GivenUp
            } else {
                Fate::Missing
            };
            (receipt, fate)
        }));
    }
    Ok(fates)
}

async fn known(
    databases: &Databases,
    party: Party,
    sql: &str,
    ids: &[&str],
) -> Result<HashSet<String>> {
    let rows = databases.of(party).query(sql, &[&ids]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

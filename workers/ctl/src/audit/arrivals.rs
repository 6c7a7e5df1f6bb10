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
        let mut chunk = Vec::with_capacity(CHUNK);
        for receipt in receipts::read(path)? {
            let receipt = receipt?;
            if consumer(&receipt).is_none() {
                let Receipt { kind, .. } = &receipt;
                let path = path.display();
                return Err(misuse(format!("{path}: nobody consumes messages of type {kind}")));
            }
            chunk.push(receipt);
            if chunk.len() == CHUNK {
                arrivals.look_up(&mut chunk, databases).await?;
            }
        }
        arrivals.look_up(&mut chunk, databases).await?;
        Ok(arrivals)
    }

    async fn look_up(&mut self, chunk: &mut Vec<Receipt>, databases: &Databases) -> Result<()> {
        self.receipts += chunk.len() as u64;
        let chunk = std::mem::take(chunk);
        for (receipt, fate) in fates(chunk, databases).await? {
            match fate {
                Fate::Received => self.received += 1,
                Fate::GivenUp => self.dead_letters += 1,
                Fate::Missing if self.missing.len() < MISSING_MAX => self.missing.push(receipt),
                // Too many to look for again: what is missing now counts as lost below.
                Fate::Missing => self.lost += 1,
            }
        }
        Ok(())
    }

    /// Looks once more for what is missing; whether everything is accounted for by now.
    pub(crate) async fn look_again(&mut self, databases: &Databases) -> Result<bool> {
        let mut missing = std::mem::take(&mut self.missing);
        while !missing.is_empty() {
            let rest = missing.split_off(missing.len().min(CHUNK));
            for (receipt, fate) in fates(missing, databases).await? {
                match fate {
                    Fate::Received => self.received += 1,
                    Fate::GivenUp => self.dead_letters += 1,
                    Fate::Missing => self.missing.push(receipt),
                }
            }
            missing = rest;
        }
        Ok(self.missing.is_empty())
    }

    /// What is still missing is queued if a queue on its way holds anything, else it is lost.
    pub(crate) fn judge(&mut self, waiting: &Waiting, tally: &mut Tally) -> Result<()> {
        for receipt in std::mem::take(&mut self.missing) {
            let place = consumer(&receipt)
                .and_then(|(party, queue)| waiting.place_of_message(party, queue));
            if place.is_some() {
                self.queued += 1;
                continue;
            }
            self.lost += 1;
            let Receipt {
                kind, message_id, ..
            } = receipt;
            let subject = message_id.clone();
            let violation = Violation::MessageLost { kind, message_id };
            tally.violate("message", &subject, &violation)?;
        }
        Ok(())
    }
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
        let absent: Vec<&str> =
            ids.into_iter().filter(|id| !received.contains(*id)).collect();
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

//! One worker's dead letters: the way to them, with everything noted that is known by now.

use anyhow::{Context, Result};
use orderly_contracts::routes::Party;
use orderly_runtime::fingerprint::fingerprint;
use orderly_runtime::postgres::letters::SETTLE;
use orderly_runtime::topology::WORKERS;
use tokio_postgres::Client;
use tokio_postgres::error::SqlState;
use uuid::Uuid;

use crate::cli::Service;
use crate::connections;
use crate::settings::{Need, Settings};

/// Bounds and filters differ from command to command, so plans are made for the values at hand.
const SESSION: &str = "SET plan_cache_mode = force_custom_plan; SET jit = off";
/// How many letters are noted at once.
const LETTERS: i64 = 1_000;

const UNNAMED: &str = "
    SELECT id, reason, kind, explanation FROM dead_letters WHERE fingerprint IS NULL LIMIT $1";
const NAME: &str = "
    UPDATE dead_letters AS letter SET fingerprint = named.fingerprint
    FROM unnest($1::uuid[], $2::text[]) AS named (id, fingerprint)
    WHERE letter.id = named.id AND letter.fingerprint IS NULL";

/// The letters of one worker, in its database.
pub(crate) struct Drawer {
    /// Whose they are.
    pub party: Party,
    /// The database.
    pub client: Client,
}

/// Opens the letters of one service, or of all three; every wrong setting is named at once.
pub(crate) async fn open(
    settings: &Settings,
    only: Option<Service>,
    needs: &[Need],
) -> Result<Vec<Drawer>> {
    let parties = only.map_or_else(|| WORKERS.to_vec(), |service| vec![service.party()]);
    let databases = parties.iter().map(|party| Need::Database(*party));
    settings.check(&databases.chain(needs.iter().copied()).collect::<Vec<_>>())?;
    let mut drawers = Vec::new();
    for party in parties {
        let drawer = Drawer { party, client: connections::database(settings, party).await? };
        drawer.prepare().await?;
        drawers.push(drawer);
    }
    Ok(drawers)
}

impl Drawer {
    async fn prepare(&self) -> Result<()> {
        self.client.batch_execute(SESSION).await?;
        self.settle().await?;
        self.name().await
    }

    /// Notes which replayed letters have had their effect by now.
    pub(crate) async fn settle(&self) -> Result<()> {
        loop {
            let settled = self.client.execute(SETTLE, &[&LETTERS]).await;
            let is_old = |error: &tokio_postgres::Error| {
                [&SqlState::UNDEFINED_COLUMN, &SqlState::UNDEFINED_TABLE]
                    .iter()
                    .any(|code| error.code() == Some(code))
            };
            let settled = match settled {
                Err(error) if is_old(&error) => Err(error).with_context(|| {
                    format!("the {} database has an old schema; run `orderly migrate`", self.party)
                })?,
                settled => settled?,
            };
            if settled < LETTERS as u64 {
                return Ok(());
            }
        }
    }

    /// Gives a fingerprint to letters that an earlier version filed.
    async fn name(&self) -> Result<()> {
        loop {
            let rows = self.client.query(UNNAMED, &[&LETTERS]).await?;
            let ids: Vec<Uuid> = rows.iter().map(|row| row.get(0)).collect();
            let names: Vec<String> =
                rows.iter().map(|row| fingerprint(row.get(1), row.get(2), row.get(3))).collect();
            self.client.execute(NAME, &[&ids, &names]).await?;
            if rows.len() < LETTERS as usize {
                return Ok(());
            }
        }
    }
}

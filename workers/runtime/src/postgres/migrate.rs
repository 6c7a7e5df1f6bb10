//! Migrations: the runtime's tables, then the worker's own; safe when several run at once.

use refinery::Runner;
use tokio_postgres::Client;

use crate::config::Address;
use crate::postgres::connect::{client, located};
use crate::postgres::failure::classify;
use crate::store::StoreError;

mod bookkeeping {
    refinery::embed_migrations!("../../migrations/runtime");
}

/// Any number will do, as long as everybody who migrates uses the same.
const LOCK: i64 = 0x6f72_6465_726c_7901;
const HISTORY: &str = "orderly_runtime_migrations";
const OWN_HISTORY: &str = "orderly_migrations";

/// Brings a database to the schema of this program; how many migrations were applied.
pub async fn migrate(address: &Address, own: Runner) -> Result<usize, StoreError> {
    let mut client = client(address, "orderly migrate").await?;
    // A session lock: whoever comes second waits, and then finds nothing left to do.
    client.execute("SELECT pg_advisory_lock($1)", &[&LOCK]).await.map_err(classify)?;
    let mut applied = 0;
    for (mut runner, history) in [(bookkeeping::migrations::runner(), HISTORY), (own, OWN_HISTORY)]
    {
        runner.set_migration_table_name(history);
        let report = runner.run_async(&mut client).await.map_err(|error| {
            located(address, StoreError::Misconfigured(format!("migration failed: {error}")))
        })?;
        applied += report.applied_migrations().len();
    }
    Ok(applied)
}

/// Checks that the schema is at least the one this program was compiled for. A newer one is fine:
/// migrations expand first and contract later, so that old and new programs run side by side.
pub async fn verify(address: &Address, name: &str, own: &Runner) -> Result<(), StoreError> {
    let client = client(address, name).await?;
    for Standing { found, wanted } in standings(&client, own).await.map_err(classify)? {
        if found < wanted {
            let text = format!("schema is {found:?}, needed is {wanted:?}: run `orderly migrate`");
            return Err(located(address, StoreError::Misconfigured(text)));
        }
    }
    Ok(())
}

/// How far the schema is, as the highest number of a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing {
    /// In the database; `None` if none was applied.
    pub found: Option<i64>,
    /// In this program.
    pub wanted: Option<i64>,
}

/// How far the runtime's tables are, and how far the worker's own. Only reads.
pub async fn standings(
    client: &Client,
    own: &Runner,
) -> Result<[Standing; 2], tokio_postgres::Error> {
    let newest =
        |runner: &Runner| runner.get_migrations().iter().map(|one| i64::from(one.version())).max();
    let runtime = newest(&bookkeeping::migrations::runner());
    Ok([
        Standing { found: version(client, HISTORY).await?, wanted: runtime },
        Standing { found: version(client, OWN_HISTORY).await?, wanted: newest(own) },
    ])
}

async fn version(client: &Client, history: &str) -> Result<Option<i64>, tokio_postgres::Error> {
    let exists = client.query_one("SELECT to_regclass($1::text) IS NOT NULL", &[&history]).await?;
    if !exists.get::<_, bool>(0) {
        return Ok(None);
    }
    let newest = format!("SELECT max(version)::bigint FROM {history}");
    Ok(client.query_one(&newest, &[]).await?.get(0))
}

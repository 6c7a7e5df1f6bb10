//! The stores that the suite runs on.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Context;
use orderly_devstack::TestBed;
use orderly_runtime::clock::SystemClock;
use orderly_runtime::config::{Address, Reader};
use orderly_runtime::memory::store::MemoryStore;
use orderly_runtime::postgres::connect::{client, pool};
use orderly_runtime::postgres::migrate::migrate;
use orderly_runtime::postgres::store::PgStore;

use crate::counters::{CounterTables, Counters, SCHEMA};

pub(crate) fn memory() -> MemoryStore<Counters> {
    MemoryStore::new(Arc::new(SystemClock))
}

pub(crate) async fn postgres(bed: &TestBed) -> anyhow::Result<PgStore<CounterTables>> {
    let address = address(bed)?;
    migrate(&address, refinery_of_nothing()).await?;
    client(&address, "test").await?.batch_execute(SCHEMA).await?;
    on(&address)
}

/// Where the database of a bed is.
pub(crate) fn address(bed: &TestBed) -> anyhow::Result<Address> {
    let address = Reader::new(bed.env()).address("ORDERLY_STOCK_DATABASE", &["postgres"]);
    address.context("no database")
}

/// A store on a database that is migrated.
pub(crate) fn on(address: &Address) -> anyhow::Result<PgStore<CounterTables>> {
    let timeout = Duration::from_secs(10);
    Ok(PgStore::new(pool(address, "test", 8, timeout)?, timeout))
}

pub(crate) fn refinery_of_nothing() -> refinery::Runner {
    refinery::Runner::new(&[])
}

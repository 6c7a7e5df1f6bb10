//! The ways to the broker and to the services' databases, each opened where it is needed.

use std::collections::BTreeMap;

use anyhow::{Context, Result};
use orderly_contracts::routes::Party;
use orderly_runtime::amqp::broker::AmqpBroker;
use orderly_runtime::postgres::connect;
use orderly_runtime::topology::WORKERS;
use tokio_postgres::Client;

use crate::settings::{Need, Settings};

/// The name our connections have in the servers' own lists.
pub const NAME: &str = "orderly";

/// Connects to the broker.
pub async fn broker(settings: &Settings) -> Result<AmqpBroker> {
    let address = settings.broker()?;
    let broker = AmqpBroker::connect(&address, NAME).await;
    broker.context("the broker can't be reached")
}

/// Connects to the database of `party`.
pub async fn database(settings: &Settings, party: Party) -> Result<Client> {
    let address = settings.database(party)?;
    let client = connect::client(&address, NAME).await;
    client.with_context(|| format!("the {party} database can't be reached"))
}

/// Connects to all three databases; every wrong setting is named at once.
pub async fn databases(settings: &Settings) -> Result<BTreeMap<Party, Client>> {
    settings.check(&WORKERS.map(Need::Database))?;
    let mut clients = BTreeMap::new();
    for party in WORKERS {
        clients.insert(party, database(settings, party).await?);
    }
    Ok(clients)
}

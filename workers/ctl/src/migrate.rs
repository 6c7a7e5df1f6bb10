//! `orderly migrate`: brings the services' databases to the schema of this program.

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use orderly_contracts::routes::Party;
use orderly_runtime::postgres::migrate::migrate;
use orderly_runtime::topology::WORKERS;
use refinery::Runner;
use serde_json::json;

use crate::cli::Service;
use crate::output;
use crate::settings::{Need, Settings};

/// The arguments of `orderly migrate`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// Only this service's database
    #[arg(long, value_enum)]
    service: Option<Service>,
    /// Print a JSON line a database
    #[arg(long)]
    json: bool,
}

/// Migrates. Several at once wait for each other, and a second one finds nothing left to do.
pub async fn run(arguments: &Arguments, settings: &Settings) -> Result<ExitCode> {
    let parties = match arguments.service {
        Some(service) => vec![service.party()],
        None => WORKERS.to_vec(),
    };
    let needs: Vec<_> = parties.iter().map(|party| Need::Database(*party)).collect();
    settings.check(&needs)?;
    for party in parties {
        let address = settings.database(party)?;
        let applied = migrate(&address, migrations(party)).await;
        let applied = applied.with_context(|| format!("the {party} database is not migrated"))?;
        if arguments.json {
            output::json(&json!({"service": party.name(), "applied": applied}))?;
        } else if applied == 0 {
            output::line(format!("{party}: up to date"))?;
        } else {
            let count = output::count(applied as u64, "migration");
            output::line(format!("{party}: {count} applied"))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The migrations of the service's own tables.
pub(crate) fn migrations(party: Party) -> Runner {
    match party {
        Party::Stock => orderly_stock::migrations(),
        Party::Payment => orderly_payment::migrations(),
        Party::Order | Party::Client => orderly_order::migrations(),
    }
}

//! What an operator does from the screen, on connections of its own.

use anyhow::{Context, Result, bail};
use orderly_contracts::routes::Party;
use uuid::Uuid;

use super::keys::Action;
use super::snapshot::Letter;
use super::tables;
use crate::connections;
use crate::dead::drawer::Drawer;
use crate::dead::show;
use crate::pause;
use crate::settings::Settings;

/// What came of an action.
pub(super) enum Outcome {
    /// A sentence.
    Said(String),
    /// A letter to look at.
    Opened(Letter),
}

/// Does it; a failure is said.
pub(super) async fn act(settings: &Settings, action: Action) -> Outcome {
    let done = match action {
        Action::Quit => Ok(Outcome::Said(String::new())),
        Action::Change(change) => {
            // The same as the commands: written down in the operator's name.
            let said = match change.pauses {
                true => pause::begin(settings, change.worker, None).await,
                false => pause::end(settings, change.worker).await,
            };
            said.map(Outcome::Said)
        }
        Action::OpenGroup(party, group) => open_latest(settings, party, &group).await,
        Action::Open(party, ids, place) => open(settings, party, ids, place).await,
    };
    done.unwrap_or_else(|error| Outcome::Said(format!("{error:#}")))
}

async fn open_latest(settings: &Settings, party: Party, group: &str) -> Result<Outcome> {
    let client = connections::database(settings, party).await?;
    let ids = tables::letters(&client, group).await?;
    if ids.is_empty() {
        bail!("nothing of this group is left");
    }
    open(settings, party, ids, 0).await
}

async fn open(settings: &Settings, party: Party, ids: Vec<Uuid>, place: usize) -> Result<Outcome> {
    let client = connections::database(settings, party).await?;
    let letter = show::Letter::read(&Drawer { party, client }, ids[place]).await?;
    let text = letter.context("this letter has gone")?.text()?;
    Ok(Outcome::Opened(Letter { service: party, ids, place, text }))
}

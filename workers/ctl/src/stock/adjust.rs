//! `orderly stock adjust`: one correction of an article, by a command to the stock worker.

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::Args;
use orderly_contracts::Message;
use orderly_contracts::number::Delta;
use orderly_contracts::stock::AdjustStock;
use orderly_contracts::text::{AdjustmentId, Note, Sku};
use serde_json::json;
use uuid::Uuid;

use crate::exit::{FAILED, misuse};
use crate::output;
use crate::publish::draft;
use crate::publish::sender::{Fate, Sender};
use crate::settings::{Need, Settings};

/// The arguments of `orderly stock adjust`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The article; a new one begins to exist with its first adjustment
    sku: Sku,
    /// How many pieces come in (above zero) or go out (below)
    #[arg(allow_negative_numbers = true, value_parser = parse_delta)]
    delta: Delta,
    /// Names the correction, so that it counts once [default: a random one, which is shown]
    #[arg(long, value_name = "ID")]
    id: Option<AdjustmentId>,
    /// Why, for people
    #[arg(long, value_name = "TEXT")]
    note: Option<Note>,
    /// Print the result as JSON
    #[arg(long)]
    json: bool,
}

fn parse_delta(text: &str) -> Result<Delta, String> {
    let number: i64 = text.parse().map_err(|_| "give a whole number".to_owned())?;
    Delta::new(number).map_err(|error| error.to_string())
}

pub(super) async fn run(arguments: &Arguments, settings: &Settings) -> Result<ExitCode> {
    let adjustment_id = match &arguments.id {
        Some(id) => id.clone(),
        None => AdjustmentId::new(Uuid::new_v4().to_string())?,
    };
    let command = AdjustStock {
        adjustment_id,
        sku: arguments.sku.clone(),
        delta: arguments.delta,
        note: arguments.note.clone(),
    };
    command.validate().map_err(misuse)?;
    settings.check(&[Need::Broker])?;
    let mut sender = Sender::connect(settings, Duration::from_secs(30)).await?;
    // Always a new id: that the correction counts once is the adjustment's own matter.
    let message_id = Uuid::new_v4().to_string();
    let draft = draft(AdjustStock::KIND, message_id, &command);
    let fates = sender.send(std::slice::from_ref(&draft)).await?;
    sender.close().await;
    let is_confirmed = fates == [Fate::Confirmed];
    let id = &command.adjustment_id;
    if arguments.json {
        output::json(&json!({
            "adjustment_id": id, "message_id": draft.message_id, "confirmed": is_confirmed,
        }))?;
    } else if is_confirmed {
        output::line(format!("adjustment {id} is on its way to the stock worker"))?;
    }
    if is_confirmed {
        return Ok(ExitCode::SUCCESS);
    }
    eprintln!("orderly: no queue takes the command; is the topology there? `orderly setup`");
    Ok(ExitCode::from(FAILED))
}

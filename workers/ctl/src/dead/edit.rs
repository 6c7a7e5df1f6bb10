//! `orderly dead edit`: a corrected message goes where the dead one could not.
//!
//! It is a new message with an id of its own, derived from the letter and the new content: the same
//! edit, run twice, is one message. It is kept before it leaves, so that a crash loses nothing.

mod body;
mod message;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use orderly_runtime::message::{Outgoing, Properties};
use serde_json::json;
use sha2::{Digest, Sha256};
use tokio_postgres::{Row, Transaction};
use uuid::Uuid;

use super::drawer::{self, Drawer};
use super::plain;
use super::replay::LOCK;
use super::replay::way::{Origin, back, done};
use crate::cli::Service;
use crate::exit::misuse;
use crate::operator::operator;
use crate::output;
use crate::publish::sender::{Fate, Sender};
use crate::settings::{Need, Settings};
use message::{Changes, Edited, Original};

/// The arguments of `orderly dead edit`.
#[derive(Debug, Args)]
pub struct Arguments {
    /// The letter
    id: Uuid,
    /// Look only here, rather than in all services
    #[arg(long, value_enum, visible_alias = "worker")]
    service: Option<Service>,
    /// The new body: a file, or `-` for stdin; without any change, $EDITOR opens the old one
    #[arg(long, value_name = "FILE")]
    body: Option<PathBuf>,
    /// The new type
    #[arg(long = "type", value_name = "TYPE")]
    kind: Option<String>,
    /// The new message id, rather than one derived from the letter and the new content
    #[arg(long, value_name = "ID")]
    message_id: Option<String>,
    /// Send it even if the contract refuses it, or if it speaks in a worker's name
    #[arg(long)]
    force: bool,
    /// Print JSON
    #[arg(long)]
    json: bool,
}

const ORIGINAL: &str = "
    SELECT status, edited_as, queue, exchange, routing_key, kind, message_id, properties, body,
        whole_bytes, (extract(epoch FROM first_at) * 1000000)::bigint AS first_at
    FROM dead_letters WHERE id = $1";
const KEPT: &str = "SELECT message_id, properties, body FROM dead_edits WHERE letter = $1";

/// One editor wins; the same edit again goes on where it was interrupted.
const NOTE: &str = "
    UPDATE dead_letters
    SET status = 'replayed', status_at = now(), edited_as = $2, replay = NULL, replayed_at = now(),
        failed_again_at = NULL, done_source = $3, done_id = $4, done_hash = $5
    WHERE id = $1 AND (status = 'open' OR status = 'replayed' AND edited_as = $2)";
const KEEP: &str = "
    INSERT INTO dead_edits (letter, operator, message_id, properties, body)
    VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (letter) DO UPDATE SET at = now(), operator = excluded.operator,
        message_id = excluded.message_id, properties = excluded.properties, body = excluded.body";
const TRAIL: &str = "
    INSERT INTO dead_actions (operator, action, letter, details)
    VALUES ($1, 'edit', $2, 'sent as ' || $3)";
const RESOLVE: &str = "
    UPDATE dead_letters SET status = 'resolved', status_at = now()
    WHERE id = $1 AND status = 'replayed' AND edited_as = $2";

pub(super) async fn run(arguments: &Arguments, settings: &Settings) -> Result<ExitCode> {
    let mut drawers = drawer::open(settings, arguments.service, &[Need::Broker]).await?;
    let (index, row) = find(&drawers, arguments.id).await?;
    let drawer = &mut drawers[index];
    let origin = Origin::of(&row);
    let status: &str = row.get("status");
    let pending: Option<&str> =
        row.get::<_, Option<_>>("edited_as").filter(|_| status == "replayed");
    let edited = match pending {
        Some(_) if !arguments.is_change() => kept(drawer, arguments.id).await?,
        _ => arguments.edited(&row)?,
    };
    if let Some(other) = pending.filter(|id| *id != edited.message_id) {
        bail!(
            "another edit is on its way as {other}; `orderly dead edit {}` finishes it",
            arguments.id
        );
    }
    if status != "open" && pending.is_none() {
        bail!(
            "the letter is {status}; only an open one is edited, so that one message has one effect"
        );
    }
    let route = Origin { kind: edited.properties.kind.as_deref(), ..origin }.route();
    let route = route.map_err(anyhow::Error::msg)?;
    let row_of_inbox = done(route, origin.queue, &edited.message_id);
    let hash = row_of_inbox.is_itself.then(|| Sha256::digest(&edited.body).to_vec());
    let unit = drawer.client.transaction().await?;
    unit.execute(LOCK, &[&vec![arguments.id]]).await?;
    let (source, done_id) = (row_of_inbox.source, row_of_inbox.id);
    let noted =
        unit.execute(NOTE, &[&arguments.id, &edited.message_id, &source, &done_id, &hash]).await?;
    if noted == 0 {
        bail!("somebody else was faster: look at the letter again");
    }
    keep(&unit, arguments.id, &edited, pending.is_none()).await?;
    unit.commit().await?;

    let message = back(
        origin.queue,
        (route.exchange, route.kind),
        row.get("first_at"),
        edited.properties,
        edited.body,
    );
    send(settings, message).await?;
    drawer.client.execute(RESOLVE, &[&arguments.id, &edited.message_id]).await?;
    if arguments.json {
        plain::json(&json!({"letter": arguments.id, "message_id": edited.message_id}))?;
    } else {
        let id = plain::escaped(&edited.message_id);
        output::line(format!("sent as {id}; the letter is resolved"))?;
    }
    Ok(ExitCode::SUCCESS)
}

impl Arguments {
    fn is_change(&self) -> bool {
        self.body.is_some() || self.kind.is_some() || self.message_id.is_some()
    }

    /// The new message, as it is asked for.
    fn edited(&self, row: &Row) -> Result<Edited> {
        let old: &[u8] = row.get("body");
        let body = match &self.body {
            Some(path) => body::read(path)?,
            None if self.is_change() => old.to_vec(),
            None => body::edit(old)?,
        };
        let properties: Properties = serde_json::from_str(row.get("properties"))
            .context("the letter's properties can't be read")?;
        let original = Original {
            letter: self.id,
            origin: Origin::of(row),
            properties: &properties,
            body: old,
        };
        let changes =
            Changes { body, kind: self.kind.clone(), message_id: self.message_id.clone() };
        let edited = original.change(changes, self.force);
        edited.map_err(|why| misuse(format!("nothing was sent: {why}")))
    }
}

async fn find(drawers: &[Drawer], id: Uuid) -> Result<(usize, Row)> {
    for (index, drawer) in drawers.iter().enumerate() {
        if let Some(row) = drawer.client.query_opt(ORIGINAL, &[&id]).await? {
            return Ok((index, row));
        }
    }
    bail!("there is no dead letter {id}")
}

/// The edited message that was kept before it left.
async fn kept(drawer: &Drawer, letter: Uuid) -> Result<Edited> {
    let row = drawer.client.query_one(KEPT, &[&letter]).await?;
    let properties = serde_json::from_str(row.get("properties"))?;
    Ok(Edited { message_id: row.get("message_id"), properties, body: row.get("body") })
}

async fn keep(unit: &Transaction<'_>, letter: Uuid, edited: &Edited, is_first: bool) -> Result<()> {
    let Edited { message_id, properties, body } = edited;
    let operator = operator();
    let properties = serde_json::to_string(properties)?;
    unit.execute(KEEP, &[&letter, &operator, message_id, &properties, body]).await?;
    if is_first {
        unit.execute(TRAIL, &[&operator, &letter, message_id]).await?;
    }
    Ok(())
}

async fn send(settings: &Settings, message: Outgoing) -> Result<()> {
    let mut sender = Sender::connect(settings, Duration::from_secs(60)).await?;
    let fates = sender.deliver(&[message]).await?;
    sender.close().await;
    if fates != [Fate::Confirmed] {
        bail!("the message was returned: no queue takes it; run `orderly setup`, then edit again");
    }
    Ok(())
}

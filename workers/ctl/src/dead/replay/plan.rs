//! The set of letters that a replay is about: chosen once, shown, and from then on the same.

use std::fmt;
use std::str::FromStr;

use anyhow::{Result, bail};
use orderly_contracts::routes::Party;
use serde::Serialize;
use sha2::{Digest, Sha256};
use uuid::Uuid;

use super::way::Origin;
use crate::dead::drawer::Drawer;
use crate::dead::plain::hex;
use crate::dead::selection::{Filter, MATCHES};
use crate::exit::misuse;

const NOW: &str = "SELECT (extract(epoch FROM now()) * 1000000)::bigint";
const CHOOSE: &str = "
    SELECT id, fingerprint, reason, kind, message_id, queue, exchange, routing_key,
        whole_bytes, (extract(epoch FROM last_at) * 1000000)::bigint AS died_at
    FROM dead_letters WHERE {matches} ORDER BY last_at, id LIMIT $12";

/// A letter of the set.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Item {
    /// Whose it is.
    pub service: &'static str,
    /// The letter.
    pub id: Uuid,
    /// Its cause.
    pub group: String,
    /// Why it died, as a code.
    pub reason: String,
    /// Its type.
    #[serde(rename = "type")]
    pub kind: Option<String>,
    /// The message's id.
    pub message_id: Option<String>,
    /// Why it can't be sent again as it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub refused: Option<String>,
    #[serde(skip)]
    party: Party,
    #[serde(skip)]
    died_at: i64,
}

/// What is to be sent again, the oldest death first, and what can't be.
#[derive(Debug)]
pub(crate) struct Plan {
    /// The set.
    pub items: Vec<Item>,
    /// Letters that were meant, and can't be sent again as they are.
    pub refused: Vec<Item>,
    /// Names this very set.
    pub pin: Pin,
}

/// Names a set: the moment it was looked at, and what was in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Pin {
    /// By the databases' clocks, in microseconds since 1970.
    at: i64,
    /// Over the letters' ids.
    hash: String,
}

impl fmt::Display for Pin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:x}-{}", self.at, self.hash)
    }
}

impl FromStr for Pin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let pin = text.split_once('-').and_then(|(at, hash)| {
            Some(Self { at: i64::from_str_radix(at, 16).ok()?, hash: hash.to_owned() })
        });
        pin.ok_or_else(|| "that is no pin; `--dry-run` gives one".to_owned())
    }
}

/// Chooses the letters that match; with a pin, exactly the set that was shown, or nothing.
pub(crate) async fn choose(
    drawers: &[Drawer],
    mut filter: Filter,
    limit: Option<u32>,
    pin: Option<&Pin>,
) -> Result<Plan> {
    let at = match pin {
        Some(pin) => pin.at,
        None => latest(drawers).await?,
    };
    // Whatever came or changed its state since is not part of it.
    filter.as_of = Some(at);
    let most = limit.map(i64::from);
    let statement = CHOOSE.replace("{matches}", MATCHES);
    let mut items = Vec::new();
    for drawer in drawers {
        let mut parameters = filter.parameters().to_vec();
        parameters.push(&most);
        let rows = drawer.client.query(&statement, &parameters).await?;
        items.extend(rows.iter().map(|row| Item {
            service: drawer.party.name(),
            id: row.get("id"),
            group: row.get::<_, Option<_>>("fingerprint").unwrap_or_default(),
            reason: row.get("reason"),
            kind: row.get("kind"),
            message_id: row.get("message_id"),
            refused: Origin::of(row).done().err(),
            party: drawer.party,
            died_at: row.get("died_at"),
        }));
    }
    items.sort_by_key(|item| (item.died_at, item.id));
    items.truncate(limit.map_or(usize::MAX, |limit| limit as usize));
    let found = Pin { at, hash: digest(items.iter().map(|item| item.id)) };
    if pin.is_some_and(|pin| *pin != found) {
        bail!(misuse(
            "this is not the set that was shown: some of its letters have changed their state, or \
             the selection is another one; look again with --dry-run"
        ));
    }
    let (refused, items) = items.into_iter().partition(|item| item.refused.is_some());
    Ok(Plan { items, refused, pin: found })
}

impl Plan {
    /// The set's letters of one worker, in order.
    pub(crate) fn of(&self, party: Party) -> Vec<Uuid> {
        self.items.iter().filter(|item| item.party == party).map(|item| item.id).collect()
    }
}

async fn latest(drawers: &[Drawer]) -> Result<i64> {
    let mut latest = 0;
    for drawer in drawers {
        latest = latest.max(drawer.client.query_one(NOW, &[]).await?.get(0));
    }
    Ok(latest)
}

fn digest(ids: impl Iterator<Item = Uuid>) -> String {
    let mut ids: Vec<Uuid> = ids.collect();
    ids.sort_unstable();
    let mut hash = Sha256::new();
    ids.iter().for_each(|id| hash.update(id.as_bytes()));
    hex(&hash.finalize()[..6])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pin_is_read_as_it_is_written_and_names_the_set_in_any_order() {
        let [a, b] = [Uuid::from_u128(1), Uuid::from_u128(2)];
        let pin = Pin { at: 1_764_000_000_000_001, hash: digest([a, b].into_iter()) };
        assert_eq!(pin.to_string().parse(), Ok(pin));
        assert_eq!(digest([a, b].into_iter()), digest([b, a].into_iter()));
        assert_ne!(digest([a, b].into_iter()), digest([a].into_iter()));
        assert!("nonsense".parse::<Pin>().is_err());
    }
}

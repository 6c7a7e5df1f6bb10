//! Which letters a command is about: the same arguments for all of them.

use anyhow::{Result, bail};
use clap::{Args, ValueEnum};
use jiff::{SignedDuration, Timestamp};
use orderly_contracts::Reason;
use serde::{Deserialize, Serialize};
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use crate::cli::Service;
use crate::exit::Misuse;

/// The arguments that select letters; all that are given must hold.
#[derive(Debug, Clone, Default, PartialEq, Eq, Args, Serialize, Deserialize)]
#[serde(default)]
pub(crate) struct Selection {
    /// These letters
    #[arg(value_name = "ID")]
    pub ids: Vec<Uuid>,
    /// Only of this service's worker
    #[arg(long, value_enum, visible_alias = "worker")]
    pub service: Option<Service>,
    /// Only of this group: a fingerprint, as `orderly dead groups` tells it
    #[arg(long, value_name = "FINGERPRINT")]
    pub group: Option<String>,
    /// Only for this reason, such as `invalid_content`
    #[arg(long, value_name = "REASON")]
    pub reason: Option<String>,
    /// Only about messages of this type
    #[arg(long = "type", value_name = "TYPE")]
    pub kind: Option<String>,
    /// Only about this order or adjustment: the message's correlation id
    #[arg(long, value_name = "ID")]
    pub correlation: Option<String>,
    /// Only about the message with this id
    #[arg(long, value_name = "ID")]
    pub message: Option<String>,
    /// Only if it died since: `2h` for that long ago, a day, or a moment such as `2026-01-31T09:30:00Z`
    #[arg(long, value_name = "WHEN")]
    pub since: Option<String>,
    /// Only if it died until then
    #[arg(long, value_name = "WHEN")]
    pub until: Option<String>,
    /// Only sent again by this replay, and by none since
    #[arg(long, value_name = "REPLAY")]
    pub replayed_by: Option<Uuid>,
    /// Only in this state
    #[arg(long, value_enum)]
    pub status: Option<Status>,
}

/// The states of a letter, for arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Status {
    /// Somebody has to do something
    Open,
    /// Sent again, and without an outcome so far
    Replayed,
    /// Its message has had its effect, or was replaced by an edited one
    Resolved,
    /// Put aside
    Archived,
    /// Whatever its state
    All,
}

impl Status {
    /// The states as they stand in the table.
    pub(crate) const fn names(self) -> &'static [&'static str] {
        match self {
            Self::Open => &["open"],
            Self::Replayed => &["replayed"],
            Self::Resolved => &["resolved"],
            Self::Archived => &["archived"],
            Self::All => &["open", "replayed", "resolved", "archived"],
        }
    }
}

/// Open and replayed: what is not over.
pub(crate) const UNFINISHED: &[&str] = &["open", "replayed"];

/// Says that nothing in these states is selected.
pub(crate) fn none(statuses: &[&str]) -> String {
    format!("no such letter is {}; --status selects another state", statuses.join(" or "))
}

/// A selection as the parameters of a statement.
#[derive(Debug)]
pub(crate) struct Filter {
    ids: Option<Vec<Uuid>>,
    group: Option<String>,
    reason: Option<String>,
    kind: Option<String>,
    correlation: Option<String>,
    message: Option<String>,
    since: Option<i64>,
    until: Option<i64>,
    replayed_by: Option<Uuid>,
    statuses: &'static [&'static str],
    /// Only letters that have been in their state since then, in microseconds.
    pub as_of: Option<i64>,
}

/// The condition that goes with [`Filter::parameters`].
pub(crate) const MATCHES: &str = "
    ($1::uuid[] IS NULL OR id = ANY ($1)) AND ($2::text IS NULL OR fingerprint = $2)
    AND ($3::text IS NULL OR reason = $3) AND ($4::text IS NULL OR kind = $4)
    AND ($5::text IS NULL OR correlation_id = $5) AND ($6::text IS NULL OR message_id = $6)
    AND ($7::bigint IS NULL
         OR last_at >= 'epoch'::timestamptz + $7::bigint * interval '1 microsecond')
    AND ($8::bigint IS NULL
         OR last_at <= 'epoch'::timestamptz + $8::bigint * interval '1 microsecond')
    AND ($9::uuid IS NULL OR replay = $9) AND status = ANY ($10::text[])
    AND ($11::bigint IS NULL
         OR status_at <= 'epoch'::timestamptz + $11::bigint * interval '1 microsecond')";

impl Selection {
    /// Whether nothing at all is said.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self { status: self.status, ..Self::default() }
    }

    /// The states that are meant: those that were named, or the command's own.
    pub(crate) fn statuses(&self, default: &'static [&'static str]) -> &'static [&'static str] {
        self.status.map_or(default, Status::names)
    }

    /// The selection as parameters; `default` are the states if none is named.
    pub(crate) fn filter(&self, default: &'static [&'static str]) -> Result<Filter> {
        if let Some(unknown) = self.reason.as_deref().filter(|it| Reason::from_code(it).is_none()) {
            let known: Vec<_> = Reason::ALL.iter().map(|reason| reason.code()).collect();
            bail!(Misuse(format!("there is no reason {unknown}; there are {}", known.join(", "))));
        }
        let now = Timestamp::now();
        let moment = |text: &Option<String>| text.as_deref().map(|it| moment(it, now)).transpose();
        Ok(Filter {
            ids: (!self.ids.is_empty()).then(|| self.ids.clone()),
            group: self.group.clone(),
            reason: self.reason.clone(),
            kind: self.kind.clone(),
            correlation: self.correlation.clone(),
            message: self.message.clone(),
            since: moment(&self.since)?,
            until: moment(&self.until)?,
            replayed_by: self.replayed_by,
            statuses: self.statuses(default),
            as_of: None,
        })
    }
}

impl Filter {
    /// The parameters `$1` to `$11` of [`MATCHES`].
    pub(crate) fn parameters(&self) -> [&(dyn ToSql + Sync); 11] {
        [
            &self.ids,
            &self.group,
            &self.reason,
            &self.kind,
            &self.correlation,
            &self.message,
            &self.since,
            &self.until,
            &self.replayed_by,
            &self.statuses,
            &self.as_of,
        ]
    }
}

/// `2h` ago, a day's beginning in UTC, or a moment; in microseconds since 1970.
fn moment(text: &str, now: Timestamp) -> Result<i64> {
    if let Ok(ago) = text.parse::<SignedDuration>() {
        return Ok(now.checked_sub(ago)?.as_microsecond());
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return Ok(at.as_microsecond());
    }
    match format!("{text}T00:00:00Z").parse::<Timestamp>() {
        Ok(day) => Ok(day.as_microsecond()),
        Err(_) => bail!(Misuse(format!(
            "{text:?} is no time; give 2h for two hours ago, 2026-01-31, or 2026-01-31T09:30:00Z"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_people_say_them() {
        let now = "2026-01-31T12:00:00Z".parse().unwrap();
        let at = |text: &str| {
            moment(text, now).ok().map(|us| Timestamp::from_microsecond(us).unwrap().to_string())
        };
        assert_eq!(at("2h").unwrap(), "2026-01-31T10:00:00Z");
        assert_eq!(at("90m").unwrap(), "2026-01-31T10:30:00Z");
        assert_eq!(at("2026-01-30").unwrap(), "2026-01-30T00:00:00Z");
        assert_eq!(at("2026-01-30T01:02:03.000004Z").unwrap(), "2026-01-30T01:02:03.000004Z");
        assert_eq!(at("yesterday"), None);
    }

    #[test]
    fn a_state_alone_selects_nothing_in_particular() {
        let of = |status| Selection { status, ..Selection::default() };
        assert!(of(None).is_empty() && of(Some(Status::All)).is_empty());
        let selection = Selection { kind: Some("t".to_owned()), ..Selection::default() };
        assert!(!selection.is_empty());
    }
}

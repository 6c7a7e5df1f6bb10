//! The smallest domain there is: named counters, a log, and a timer.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use orderly_contracts::routes::Party;
use orderly_contracts::{Reason, Refusal};
use orderly_runtime::clock::Micros;
use orderly_runtime::domain::{
    Arrival, Cause, Context, Decision, Domain, Output, States, Timer, Verdict,
};
use orderly_runtime::postgres::session::Session;
use orderly_runtime::postgres::tables::Tables;
use orderly_runtime::postgres::write::{Write, each};
use orderly_runtime::store::{Changes, StoreError};

/// Adds to counters.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Counters;

/// What happens to a counter.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Input {
    /// It grows, and everybody is told.
    Add(String, i64),
    /// Everybody is told how it stands.
    Ask(String),
    /// It can't be decided now.
    Later,
    /// It can never be decided.
    Never,
    /// Deciding on it panics.
    Panic,
}

impl Domain for Counters {
    const PARTY: Party = Party::Stock;

    type Input = Input;
    type Key = String;
    type State = i64;
    type Entry = (String, i64);

    fn decode(_: &str, body: &[u8]) -> Result<Input, Refusal> {
        let text = str::from_utf8(body).unwrap_or_default();
        match text.split_once('+') {
            Some((name, by)) => Ok(Input::Add(name.to_owned(), by.parse().unwrap_or(0))),
            None if text.ends_with('?') => Ok(Input::Ask(text.trim_end_matches('?').to_owned())),
            None if text == "later" => Ok(Input::Later),
            None if text == "never" => Ok(Input::Never),
            None if text == "panic" => Ok(Input::Panic),
            None => Err(Refusal::new(Reason::InvalidContent, "no sum")),
        }
    }

    fn due(timer: &Timer) -> Option<Input> {
        Some(Input::Add(timer.owner.clone(), 1_000))
    }

    fn about(input: &Input) -> &str {
        match input {
            Input::Add(name, _) | Input::Ask(name) => name,
            Input::Later | Input::Never | Input::Panic => "nothing",
        }
    }

    fn keys(input: &Input) -> Vec<String> {
        match input {
            Input::Add(name, _) | Input::Ask(name) => vec![name.clone()],
            Input::Later | Input::Never | Input::Panic => vec![],
        }
    }

    /// Counters are called new when nobody should have heard of them.
    fn opens(input: &Input) -> Vec<String> {
        let mut keys = Self::keys(input);
        keys.retain(|name| name.starts_with("new"));
        keys
    }

    fn decide(&self, arrival: &Arrival<Input>, states: &States<Self>) -> Verdict<Self> {
        let (name, by) = match &arrival.input {
            Input::Add(name, by) => (name, by),
            Input::Ask(name) => {
                let value = states.get(name).copied().unwrap_or(0);
                let mut decision = Decision::nothing();
                decision.outputs.push(told(name, value));
                return decision.done();
            }
            Input::Later => return Verdict::Retry("not now".to_owned()),
            Input::Never => {
                return Verdict::Dead(Refusal::new(Reason::InvalidContent, "never"));
            }
            Input::Panic => panic!("asked to"),
        };
        let value = states.get(name).copied().unwrap_or(0) + by;
        let mut decision =
            Decision::nothing().change(name.clone(), value).entry((name.clone(), *by));
        decision.outputs.push(told(name, value));
        let timer = Timer { owner: name.clone(), step: "tick".to_owned(), round: 0 };
        if *by < 0 { decision.clear_timer(name) } else { decision.set_timer(timer, Duration::ZERO) }
            .done()
    }
}

fn told(name: &str, value: i64) -> Output {
    Output {
        kind: "stock.reserved.v1",
        correlation: name.to_owned(),
        body: format!("{name}={value}").into_bytes(),
    }
}

/// The counters in PostgreSQL.
pub(crate) struct CounterTables;

/// The tables, as a migration would make them. A counter above a million is refused.
pub(crate) const SCHEMA: &str = "
    CREATE TABLE counters (name text COLLATE \"C\" PRIMARY KEY,
                           value bigint NOT NULL CHECK (value <= 1000000));
    CREATE TABLE additions (id bigint GENERATED ALWAYS AS IDENTITY, name text, amount bigint)";

impl Tables<Counters> for CounterTables {
    async fn load(
        session: Session<'_>,
        keys: &BTreeSet<String>,
    ) -> Result<BTreeMap<String, i64>, StoreError> {
        let names: Vec<&str> = keys.iter().map(String::as_str).collect();
        let sql = "SELECT name, value FROM counters WHERE name = ANY ($1)
                   ORDER BY name FOR UPDATE";
        let rows = session.query(sql, &[&names]).await?;
        Ok(rows.iter().map(|row| (row.get(0), row.get(1))).collect())
    }

    fn save<'a>(changes: &'a Changes<Counters>, entries: &'a [(String, i64)]) -> Vec<Write<'a>> {
        const CREATE: &str = "INSERT INTO counters SELECT * FROM unnest($1::text[], $2::bigint[])";
        const UPDATE: &str = "UPDATE counters SET value = changed.value
            FROM unnest($1::text[], $2::bigint[]) AS changed (name, value)
            WHERE counters.name = changed.name";
        const ADD: &str = "INSERT INTO additions (name, amount)
            SELECT * FROM unnest($1::text[], $2::bigint[])";
        vec![
            write(CREATE, &changes.created),
            write(UPDATE, &changes.updated).touching_all(),
            write(ADD, entries),
        ]
    }
}

fn write<'a>(sql: &'static str, rows: &'a [(String, i64)]) -> Write<'a> {
    Write::new(sql).with(each(rows, |row| row.0.as_str())).with(each(rows, |row| row.1))
}

/// An addition as it arrives.
pub(crate) fn arrival(cause: Cause, name: &str, by: i64) -> Arrival<Input> {
    Arrival {
        cause,
        kind: "stock.adjust.v1",
        at: Micros(1_700_000_000_000_000),
        context: Context::default(),
        input: Input::Add(name.to_owned(), by),
    }
}

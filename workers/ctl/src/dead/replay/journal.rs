//! What a replay writes down, and when: the set, what is about to leave, what is out.
//!
//! A letter is noted as replayed *before* its message leaves. Were it noted after, a crash in
//! between would leave an open letter whose message is out, free to be edited into a second one;
//! and a failure that is filed faster than the note would be overwritten by it.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use orderly_runtime::message::{Outgoing, Properties};
use sha2::{Digest, Sha256};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, Transaction};
use uuid::Uuid;

use super::plan::Plan;
use super::way::{Origin, back};
use crate::dead::drawer::Drawer;

/// A lot is cut off at this many bytes of bodies.
const LOT_BYTES: i64 = 4 << 20;

const BEGIN: &str = "INSERT INTO dead_replays (id, operator, selection) VALUES ($1, $2, $3)";
const INCLUDE: &str = "
    INSERT INTO dead_replay_letters (replay, letter, place)
    SELECT $1, id, place
    FROM unnest($2::uuid[]) WITH ORDINALITY AS chosen (id, place) JOIN dead_letters USING (id)";
/// Also one that has ended goes on when it is told to; one whose set is incomplete never does.
const RUN: &str = "UPDATE dead_replays SET status = 'running', ended_at = NULL WHERE id = $1";

const LOT: &str = "
    SELECT * FROM (
        SELECT next.place, next.letter, next.is_resumed, known.queue, known.exchange,
            known.routing_key, known.kind, known.message_id, known.properties, known.body,
            known.whole_bytes,
            (extract(epoch FROM known.first_at) * 1000000)::bigint AS first_at,
            sum(octet_length(known.body)) OVER (ORDER BY next.place)
                - octet_length(known.body) AS bytes_before
        FROM (
            SELECT place, letter, state = 'sending' AS is_resumed FROM dead_replay_letters
            WHERE replay = $1 AND state IN ('waiting', 'sending') ORDER BY place LIMIT $2
        ) AS next JOIN dead_letters AS known ON known.id = next.letter
    ) AS lot WHERE bytes_before < $3 ORDER BY place";

/// One order for all who lock several letters.
pub(crate) const LOCK: &str = "SELECT FROM dead_letters WHERE id = ANY ($1) ORDER BY id FOR UPDATE";
/// A letter that was noted before a crash counts, as long as nothing has become of it since.
const NOTE: &str = "
    UPDATE dead_letters AS known
    SET status = 'replayed', status_at = now(), replay = $1, replayed_at = now(),
        replays = replays + CASE WHEN about.is_resumed THEN 0 ELSE 1 END,
        failed_again_at = NULL, edited_as = NULL,
        done_source = about.source, done_id = about.done_id, done_hash = about.hash
    FROM unnest($2::uuid[], $3::bool[], $4::text[], $5::text[], $6::bytea[])
        AS about (id, is_resumed, source, done_id, hash)
    WHERE known.id = about.id AND CASE
        WHEN about.is_resumed THEN known.status = 'replayed' AND known.replay = $1
        ELSE known.status = ANY ($7::text[])
             AND (known.status = 'open' OR known.edited_as IS NULL) END
    RETURNING known.id";
const STATE: &str = "
    UPDATE dead_replay_letters SET state = $3, why = $4
    WHERE replay = $1 AND letter = ANY ($2)";
/// What was on its way when a crash came, and has had an outcome since, was out.
const LEFT_OUT: &str = "
    UPDATE dead_replay_letters AS item
    SET state = CASE WHEN item.state = 'sending' AND known.replay = $1 THEN 'sent'
                     ELSE 'skipped' END,
        why = 'it was ' || known.status
    FROM dead_letters AS known
    WHERE item.replay = $1 AND item.letter = ANY ($2) AND known.id = item.letter";
const TRAIL: &str = "
    INSERT INTO dead_actions (operator, action, letter, replay)
    SELECT $1, 'replay', id, $2 FROM unnest($3::uuid[]) AS id";

/// How far the replays are that `{which}` selects. What came of a letter is taken from the audit trail:
/// by now, another replay may have had another outcome.
pub(crate) const PROGRESS: &str = "
    WITH latest AS (SELECT * FROM dead_replays {which}),
    outcome AS (
        SELECT DISTINCT ON (replay, letter) replay, letter, action FROM dead_actions
        WHERE replay IN (SELECT id FROM latest) AND action IN ('resolved', 'failed_again')
        ORDER BY replay, letter, id DESC)
    SELECT latest.id::text, latest.operator, latest.selection, latest.status,
        (extract(epoch FROM latest.at) * 1000000)::bigint AS began_at,
        count(item.letter) AS letters, count(*) FILTER (WHERE item.state = 'sent') AS sent,
        count(*) FILTER (WHERE item.state = 'skipped') AS skipped,
        count(*) FILTER (WHERE item.state = 'sent' AND action = 'resolved') AS resolved,
        count(*) FILTER (WHERE item.state = 'sent' AND action = 'failed_again') AS failed_again,
        count(*) FILTER (WHERE item.state = 'sent' AND action IS NULL AND known.replay = latest.id
                               AND known.status = 'replayed') AS outstanding
    FROM latest LEFT JOIN dead_replay_letters AS item ON item.replay = latest.id
    LEFT JOIN dead_letters AS known ON known.id = item.letter
    LEFT JOIN outcome ON outcome.replay = latest.id AND outcome.letter = item.letter
    GROUP BY latest.id, latest.operator, latest.selection, latest.status, latest.at";

const END: &str = "
    WITH ended AS (
        UPDATE dead_replays SET status = $2, ended_at = now() WHERE id = $1 RETURNING id)
    INSERT INTO dead_actions (operator, action, replay, details)
    SELECT $3, 'stop', id, $4 FROM ended WHERE $2 = 'stopped'";

/// How far a replay is, and what came of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Progress {
    /// Letters in the set.
    pub letters: i64,
    /// Messages that are out.
    pub sent: i64,
    /// Letters that somebody else had dealt with before their turn came.
    pub skipped: i64,
    /// Messages that have had their effect.
    pub resolved: i64,
    /// Messages that became dead letters again.
    pub failed_again: i64,
    /// Messages that are out and have no outcome yet.
    pub outstanding: i64,
}

impl std::ops::AddAssign for Progress {
    fn add_assign(&mut self, other: Self) {
        self.letters += other.letters;
        self.sent += other.sent;
        self.skipped += other.skipped;
        self.resolved += other.resolved;
        self.failed_again += other.failed_again;
        self.outstanding += other.outstanding;
    }
}

/// Letters that are about to leave, noted as such.
#[derive(Debug, Default)]
pub(crate) struct Lot {
    /// The letters.
    pub ids: Vec<Uuid>,
    /// Their messages.
    pub messages: Vec<Outgoing>,
    /// How many letters had their turn: these, and those that were passed over.
    pub taken: usize,
}

/// A replay, as it is worked off.
#[derive(Debug, Clone)]
pub(crate) struct Replay {
    /// Names it, in every database alike.
    pub id: Uuid,
    /// In whose name.
    pub operator: String,
    /// The states that a letter may be in when its turn comes.
    pub allowed: &'static [&'static str],
}

impl Replay {
    /// Records the set, before anything is sent. A crash on the way leaves a replay that never
    /// runs, rather than one that runs with a part of its letters.
    pub(crate) async fn record(
        &self,
        drawers: &mut [Drawer],
        selection: &str,
        plan: &Plan,
    ) -> Result<()> {
        for drawer in drawers.iter_mut() {
            let set = plan.of(drawer.party);
            if !set.is_empty() {
                let unit = drawer.client.transaction().await?;
                unit.execute(BEGIN, &[&self.id, &self.operator, &selection]).await?;
                unit.execute(INCLUDE, &[&self.id, &set]).await?;
                unit.commit().await?;
            }
        }
        self.begin(drawers).await
    }

    /// Notes in all databases that it runs: from here on, the same command goes on with it.
    pub(crate) async fn begin(&self, drawers: &[Drawer]) -> Result<()> {
        for drawer in drawers {
            drawer.client.execute(RUN, &[&self.id]).await?;
        }
        Ok(())
    }

    /// Takes up to `limit` letters of the set and notes that they are about to leave; nothing if
    /// none is left. Letters that are in another state by now are passed over.
    pub(crate) async fn take(&self, drawer: &mut Drawer, limit: i64) -> Result<Lot> {
        let rows = drawer.client.query(LOT, &[&self.id, &limit, &LOT_BYTES]).await?;
        let mut candidates = Vec::new();
        let mut refused = Vec::new();
        for row in &rows {
            match Candidate::of(row)? {
                Ok(candidate) => candidates.push(candidate),
                Err(why) => refused.push((row.get::<_, Uuid>("letter"), why)),
            }
        }
        let unit = drawer.client.transaction().await?;
        let noted = self.note(&unit, &candidates).await?;
        for (id, why) in &refused {
            unit.execute(STATE, &[&self.id, &vec![*id], &"skipped", why]).await?;
        }
        unit.commit().await?;
        let mut lot = Lot { taken: rows.len(), ..Lot::default() };
        for candidate in candidates.into_iter().filter(|it| noted.contains(&it.id)) {
            lot.ids.push(candidate.id);
            lot.messages.push(candidate.message);
        }
        Ok(lot)
    }

    /// Notes that letters are about to leave; which of them may.
    async fn note(
        &self,
        unit: &Transaction<'_>,
        candidates: &[Candidate<'_>],
    ) -> Result<BTreeSet<Uuid>> {
        let ids: Vec<Uuid> = candidates.iter().map(|it| it.id).collect();
        let resumed: Vec<bool> = candidates.iter().map(|it| it.is_resumed).collect();
        let sources: Vec<&str> = candidates.iter().map(|it| it.source).collect();
        let done_ids: Vec<&str> = candidates.iter().map(|it| it.done_id.as_str()).collect();
        let hashes: Vec<Option<&[u8]>> = candidates.iter().map(|it| it.hash.as_deref()).collect();
        let parameters: [&(dyn ToSql + Sync); 7] =
            [&self.id, &ids, &resumed, &sources, &done_ids, &hashes, &self.allowed];
        unit.execute(LOCK, &[&ids]).await?;
        let noted = unit.query(NOTE, &parameters).await?;
        let noted: BTreeSet<Uuid> = noted.iter().map(|row| row.get(0)).collect();
        let (leaving, left): (Vec<Uuid>, Vec<Uuid>) = ids.iter().partition(|id| noted.contains(id));
        unit.execute(STATE, &[&self.id, &leaving, &"sending", &None::<&str>]).await?;
        unit.execute(LEFT_OUT, &[&self.id, &left]).await?;
        let is_fresh = |it: &&Candidate<'_>| !it.is_resumed && noted.contains(&it.id);
        let fresh: Vec<Uuid> = candidates.iter().filter(is_fresh).map(|it| it.id).collect();
        unit.execute(TRAIL, &[&self.operator, &self.id, &fresh]).await?;
        Ok(noted)
    }

    /// Notes that the messages of a lot are out.
    pub(crate) async fn mark_sent(&self, drawer: &Drawer, ids: &[Uuid]) -> Result<()> {
        drawer.client.execute(STATE, &[&self.id, &ids, &"sent", &None::<&str>]).await?;
        Ok(())
    }

    /// How far it is in all databases, with every outcome that is known by now.
    pub(crate) async fn progress(&self, drawers: &[Drawer]) -> Result<Progress> {
        let statement = PROGRESS.replace("{which}", "WHERE id = $1");
        let mut all = Progress::default();
        for drawer in drawers {
            drawer.settle().await?;
            let row = drawer.client.query_opt(&statement, &[&self.id]).await?;
            all += row.as_ref().map(Progress::of).unwrap_or_default();
        }
        Ok(all)
    }

    /// Ends it; the audit trail says why if it was stopped.
    pub(crate) async fn end(&self, drawers: &[Drawer], stopped: Option<&str>) -> Result<()> {
        let status = if stopped.is_some() { "stopped" } else { "done" };
        for drawer in drawers {
            drawer.client.execute(END, &[&self.id, &status, &self.operator, &stopped]).await?;
        }
        Ok(())
    }
}

impl Progress {
    /// The progress that stands in a row with columns of these names.
    pub(crate) fn of(row: &Row) -> Self {
        Self {
            letters: row.get("letters"),
            sent: row.get("sent"),
            skipped: row.get("skipped"),
            resolved: row.get("resolved"),
            failed_again: row.get("failed_again"),
            outstanding: row.get("outstanding"),
        }
    }
}

/// A letter whose turn has come.
struct Candidate<'a> {
    id: Uuid,
    is_resumed: bool,
    source: &'a str,
    done_id: String,
    hash: Option<Vec<u8>>,
    message: Outgoing,
}

impl Candidate<'_> {
    /// The letter of a row, or why it can't be sent as it is.
    fn of(row: &Row) -> Result<Result<Self, String>> {
        let origin = Origin::of(row);
        let id: Uuid = row.get("letter");
        let body: &[u8] = row.get("body");
        let properties: Properties = serde_json::from_str(row.get("properties"))
            .with_context(|| format!("the properties of {id} can't be read"))?;
        let from = (origin.exchange, origin.routing_key);
        Ok(origin.done().map(|done| Self {
            id,
            is_resumed: row.get("is_resumed"),
            source: done.source,
            done_id: done.id,
            hash: done.is_itself.then(|| Sha256::digest(body).to_vec()),
            message: back(origin.queue, from, row.get("first_at"), properties, body.to_vec()),
        }))
    }
}

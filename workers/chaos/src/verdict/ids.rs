//! Set equality of ids: what the broker confirmed is what was processed or explained, no more.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use orderly_contracts::routes::Party;
use orderly_e2e::Databases;

use super::rest::FAULTS;
use super::{GOODS_IN, Verdict, each};
use crate::load::Book;

/// Every message of a client is in an inbox or has a letter, and nothing else is or has; letters
/// are open about what was meant to die, for the reason it was meant to, and about nothing else.
pub(super) async fn judge(databases: &Databases, book: &Book, verdict: &mut Verdict) -> Result<()> {
    let mut arrived = BTreeSet::new();
    let mut letters: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (_, database) in each(databases) {
        let sql = "SELECT message_id FROM inbox WHERE source = $1";
        let rows = database.query(sql, &[&Party::Client.name()]).await?;
        // The stock came in before the load began.
        let ids = rows.iter().map(|row| row.get::<_, String>(0));
        arrived.extend(ids.filter(|id| !id.starts_with(GOODS_IN)));
        let sql = "SELECT COALESCE(message_id, ''), reason, kind FROM dead_letters
                   WHERE status <> 'resolved'";
        for row in database.query(sql, &[]).await? {
            let (id, reason, kind): (String, String, Option<String>) =
                (row.get(0), row.get(1), row.get(2));
            let is_expected = book
                .letters
                .get(&id)
                .is_some_and(|reasons| reasons.iter().any(|expected| expected.code() == reason));
            // The calls for orders that nobody will ever pay for.
            let is_unanswered =
                kind.as_deref() == Some("payment.execute.v1") && reason == "exhausted";
            if is_expected {
                letters.entry(id).or_default().push(reason);
            } else if !is_unanswered {
                let text = format!("an unexpected letter: {id} ({kind:?}) for {reason}");
                verdict.violations.push(text);
            }
        }
    }
    verdict.letters = letters.len();
    let unlettered = book.letters.keys().filter(|id| !letters.contains_key(*id));
    verdict.violations.extend(unlettered.map(|id| format!("{id} has no letter")));
    arrived.extend(letters.into_keys());
    let confirmed: BTreeSet<String> = book.receipts.keys().cloned().collect();
    let lost = confirmed.difference(&arrived).map(|id| format!("lost: {id}"));
    verdict.violations.extend(lost);
    let unknown = arrived.difference(&confirmed).map(|id| format!("nobody sent {id}"));
    verdict.violations.extend(unknown);
    Ok(())
}

/// How many messages were given up that are all right.
pub(super) async fn given_up(databases: &Databases) -> Result<usize> {
    let mut count = 0;
    for (_, database) in each(databases) {
        let sql = "SELECT count(*) FROM dead_letters WHERE status = 'open'
                   AND reason = ANY ($1) AND kind <> 'payment.execute.v1'";
        let found: i64 = database.query_one(sql, &[&&FAULTS[..]]).await?.get(0);
        count += usize::try_from(found)?;
    }
    Ok(count)
}

//! Whether anything still moves: in the queues, in the databases, on its way out.

use std::time::{Duration, Instant};

use anyhow::{Result, bail, ensure};
use orderly_contracts::routes::Party;
use orderly_e2e::{Client, Databases, eventually};
use orderly_runtime::topology::{WORKERS, queues};

use super::{each, ids};
use crate::load::{Book, broker, is_open};
use crate::target::Target;

/// How often everything must look the same in a row.
const LOOKS: u32 = 4;
/// The time between two looks.
const BETWEEN: Duration = Duration::from_millis(150);
/// Reasons for which a fault makes a worker give up a message that is all right.
pub(super) const FAULTS: [&str; 3] = ["crash_loop", "exhausted", "delivery_limit"];

/// What there is, and what is missing.
struct Look {
    /// What moves still; nothing, if all is done.
    open: Vec<String>,
    /// Counts that grow with whatever happens.
    counts: Vec<i64>,
}

/// Waits until everything has been done, and nothing has happened for a few looks; how many messages
/// had to be sent again that the faults had made workers give up.
pub(super) async fn wait(target: &Target, book: &Book, limit: Duration) -> Result<usize> {
    let deadline = Instant::now() + limit;
    let databases = target.databases().await?;
    let client = connected(target).await?;
    let mut same = 0;
    let mut before = vec![];
    let mut replayed = 0;
    loop {
        let Look { open, counts } = look(target, &client, &databases, book).await?;
        same = if counts == before { same + 1 } else { 0 };
        before = counts;
        if same >= LOOKS {
            let given_up = ids::given_up(&databases).await?;
            if given_up > 0 {
                replay(target)?;
                replayed += given_up;
                same = 0;
            } else if open.is_empty() {
                return Ok(replayed);
            }
        }
        if Instant::now() > deadline {
            let examples = unfinished(&databases, book).await?;
            bail!("not at rest within {limit:?}: {}; {examples:?}", open.join("; "));
        }
        tokio::time::sleep(BETWEEN).await;
    }
}

async fn connected(target: &Target) -> Result<Client> {
    let address = broker(target.system().environment())?;
    eventually("the broker to answer", async || Ok(Client::connect(&address).await.ok())).await
}

async fn look(
    target: &Target,
    client: &Client,
    databases: &Databases,
    book: &Book,
) -> Result<Look> {
    let mut open = Vec::new();
    let mut counts = Vec::new();
    let missing = missing(databases, book).await?;
    if missing > 0 {
        open.push(format!("{missing} orders have not ended"));
    }
    let unpaid: Vec<&str> = unpaid(book);
    let sql = "SELECT count(*) FROM reservations WHERE status = 'reserved'
               AND order_id <> ALL ($1)";
    let unsettled: i64 = databases.stock.query_one(sql, &[&unpaid]).await?.get(0);
    if unsettled > 0 {
        open.push(format!("{unsettled} reservations are not settled"));
    }
    for (service, database) in each(databases) {
        let sql = "SELECT (SELECT count(*) FROM batches WHERE NOT sent),
                          (SELECT count(*) FROM inbox),
                          (SELECT count(*) FROM dead_letters),
                          (SELECT count(*) FROM dead_letters WHERE status = 'replayed')";
        let row = database.query_one(sql, &[]).await?;
        let (unsent, replayed): (i64, i64) = (row.get(0), row.get(3));
        if unsent > 0 {
            open.push(format!("{unsent} batches of {service} are not sent"));
        }
        if replayed > 0 {
            open.push(format!("{replayed} replayed letters of {service} have no outcome"));
        }
        counts.extend([row.get::<_, i64>(1), row.get(2)]);
    }
    open.extend(queued_at(target, client).await?);
    Ok(Look { open, counts })
}

/// How many orders are not there, or have not ended though they have to.
async fn missing(databases: &Databases, book: &Book) -> Result<usize> {
    let ended: Vec<&str> = book
        .orders
        .iter()
        .filter(|(_, ends)| !is_open(ends))
        .map(|(order, _)| order.as_str())
        .collect();
    let sql = "SELECT count(*) FROM orders WHERE order_id = ANY ($1) AND ended_at IS NOT NULL";
    let found: i64 = databases.order.query_one(sql, &[&ended]).await?.get(0);
    let unpaid = unpaid(book);
    let sql = "SELECT count(*) FROM orders WHERE order_id = ANY ($1) AND status <> 'pending'";
    let waiting: i64 = databases.order.query_one(sql, &[&unpaid]).await?.get(0);
    Ok(book.orders.len() - usize::try_from(found + waiting)?)
}

/// Some orders that have not ended though they have to, and how they stand.
async fn unfinished(databases: &Databases, book: &Book) -> Result<Vec<String>> {
    let all: Vec<&str> = book.orders.keys().map(String::as_str).collect();
    let sql = "SELECT id || ' is ' || COALESCE(status, 'missing') FROM unnest($1::text[]) AS id
               LEFT JOIN orders ON orders.order_id = id
               WHERE ended_at IS NULL AND (status = 'pending' OR NOT id = ANY ($2)) LIMIT 5";
    let rows = databases.order.query(sql, &[&all, &unpaid(book)]).await?;
    Ok(rows.iter().map(|row| row.get(0)).collect())
}

/// Orders that nobody will ever pay for.
fn unpaid(book: &Book) -> Vec<&str> {
    let orders = book.orders.iter();
    orders.filter(|(_, ends)| is_open(ends)).map(|(order, _)| order.as_str()).collect()
}

/// Queues with messages in them.
pub(super) async fn queued(target: &Target) -> Result<Vec<String>> {
    queued_at(target, &connected(target).await?).await
}

async fn queued_at(target: &Target, client: &Client) -> Result<Vec<String>> {
    let ladder = target.system().ladder()?;
    let mut full = Vec::new();
    for queue in WORKERS.into_iter().flat_map(|party| queues(party, &ladder)) {
        let ready = client.ready(&queue.name).await?;
        if ready > 0 {
            full.push(format!("{ready} messages in {}", queue.name));
        }
    }
    Ok(full)
}

/// Sends what the faults made workers give up back to where it died, as an operator does.
fn replay(target: &Target) -> Result<()> {
    for reason in FAULTS {
        for party in WORKERS {
            let service = party.name();
            let mut arguments =
                vec!["dead", "replay", "--yes", "--reason", reason, "--service", service];
            // The provider's failures are not of our making: they would come again.
            if party == Party::Payment && reason == "exhausted" {
                continue;
            }
            arguments.extend(["--status", "open"]);
            let (is_done, said) = target.system().orderly(&arguments)?;
            let is_none = said.contains("no such letter is");
            ensure!(is_done || is_none, "orderly {}:\n{said}", arguments.join(" "));
        }
    }
    Ok(())
}

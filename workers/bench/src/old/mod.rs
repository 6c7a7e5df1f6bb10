//! Old orders, put into the databases by SQL as the saga would have left them, row by row: millions
//! of them would take it an hour.
//!
//! `messages.sql` says what their messages were; `runtime.sql` is what every worker kept of those,
//! and a file a service is what it kept of its own. A test holds all of it against a real order.

use anyhow::Result;
use orderly_e2e::Databases;
use tokio_postgres::Client;

/// So many orders are put in by one statement.
const STEP: u64 = 50_000;
const MESSAGES: &str = include_str!("messages.sql");
const RUNTIME: &str = include_str!("runtime.sql");

/// Puts in `count` single-line orders of the last two weeks, all of them confirmed. Their articles,
/// those of [`Shape::SINGLE`](crate::orders::Shape::SINGLE), have to be in stock.
pub async fn put_in(databases: &Databases, count: u64) -> Result<()> {
    let begin = "SELECT (now() - interval '13 days')::text";
    let begin: String = databases.order.query_one(begin, &[]).await?.get(0);
    tokio::try_join!(
        fill(&databases.order, "order", include_str!("order.sql"), &begin, count),
        fill(&databases.stock, "stock", include_str!("stock.sql"), &begin, count),
        fill(&databases.payment, "payment", include_str!("payment.sql"), &begin, count),
    )?;
    // Nothing of this is written to the disk while something is measured.
    databases.order.batch_execute("CHECKPOINT").await?;
    Ok(())
}

async fn fill(client: &Client, worker: &str, own: &str, begin: &str, count: u64) -> Result<()> {
    // What a crash takes of this is made again.
    set(client, "synchronous_commit", "off").await?;
    set(client, "old.worker", worker).await?;
    set(client, "old.begin", begin).await?;
    set(client, "old.count", &count.to_string()).await?;
    client.batch_execute(MESSAGES).await?;
    let mut done = 0;
    while done < count {
        let last = count.min(done + STEP);
        set(client, "old.first", &(done + 1).to_string()).await?;
        set(client, "old.last", &last.to_string()).await?;
        client.batch_execute(RUNTIME).await?;
        client.batch_execute(own).await?;
        done = last;
    }
    client.batch_execute("DISCARD TEMP; RESET ALL").await?;
    client.batch_execute("VACUUM (ANALYZE)").await?;
    Ok(())
}

async fn set(client: &Client, name: &str, value: &str) -> Result<()> {
    client.execute("SELECT set_config($1, $2, false)", &[&name, &value]).await?;
    Ok(())
}

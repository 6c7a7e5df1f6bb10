//! Statements that are begun together reach the server in the order in which they were begun.

use std::time::Duration;

use orderly_devstack::TestBed;
use orderly_runtime::postgres::connect::pool;
use orderly_runtime::postgres::session::{Session, Turn};
use orderly_runtime::postgres::write::{Write, write};

use crate::stores::address;

const CREATE: &str = "CREATE TABLE log (place int GENERATED ALWAYS AS IDENTITY, word text)";
const FIRST: &str = "INSERT INTO log (word) VALUES ('first')";
const SECOND: &str = "INSERT INTO log (word) VALUES ('second')";
const THIRD: &str = "INSERT INTO log (word) VALUES ('third')";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_statement_that_is_not_prepared_yet_keeps_its_place() -> anyhow::Result<()> {
    let bed = TestBed::new()?;
    let address = address(&bed)?;
    let timeout = Duration::from_secs(10);
    let client = pool(&address, "test", 1, timeout)?.get().await?;
    client.batch_execute(CREATE).await?;
    let turn = Turn::default();
    let session = Session::new(&client, &turn, timeout);
    // The second is prepared now; the first and the third are not.
    session.execute(SECOND, &[]).await?;
    client.batch_execute("TRUNCATE log").await?;

    tokio::try_join!(
        biased;
        session.execute(FIRST, &[]),
        session.execute(SECOND, &[]),
        session.execute(THIRD, &[]),
    )?;

    let rows = session.query("SELECT word FROM log ORDER BY place", &[]).await?;
    let words: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(words, ["first", "second", "third"]);

    // What is written by one statement is written in its order as well.
    client.batch_execute("TRUNCATE log RESTART IDENTITY").await?;
    write(session, [FIRST, SECOND, THIRD].map(Write::new).into()).await?;
    let rows = session.query("SELECT word FROM log ORDER BY place", &[]).await?;
    let words: Vec<&str> = rows.iter().map(|row| row.get(0)).collect();
    assert_eq!(words, ["first", "second", "third"]);
    Ok(())
}

//! A plan that was made for a table next to empty does not outlive that, or does no harm.

use std::time::Duration;

use deadpool_postgres::Object;
use orderly_devstack::TestBed;
use orderly_runtime::postgres::connect::{client, pool};
use tokio_postgres::Client;

use crate::lane::until;
use crate::store::process;
use crate::stores;

/// As every worker changes its states.
const UPDATE: &str = "
    PREPARE change (text[], int[]) AS
    UPDATE things SET count = new.count
    FROM (SELECT unnest($1) AS name, unnest($2) AS count) AS new
    WHERE things.name = new.name";

/// Whether the connection's plan looks up what is asked for, instead of reading the whole table.
async fn looks_up(connection: &Object) -> anyhow::Result<bool> {
    let explain = "EXPLAIN EXECUTE change ('{a}', '{1}')";
    let rows = connection.simple_query(explain).await?;
    Ok(format!("{rows:?}").contains("Index Cond: (name = new.name)"))
}

#[tokio::test]
async fn a_plan_made_for_an_empty_table_is_given_up_as_the_table_grows() -> anyhow::Result<()> {
    let bed = TestBed::new()?;
    let address = stores::address(&bed)?;
    // One connection, so that it is always the same one.
    let pool = pool(&address, "test", 1, Duration::from_secs(10))?;
    let connection = pool.get().await?;
    // Statistics would come some time, by themselves, and with them a new plan.
    let table = "CREATE TABLE things (name text PRIMARY KEY, count int NOT NULL)
                     WITH (autovacuum_enabled = false);
                 INSERT INTO things VALUES ('a', 0);
                 ANALYZE things;";
    connection.batch_execute(table).await?;
    connection.batch_execute(UPDATE).await?;
    assert!(!looks_up(&connection).await?, "there is nothing to be given up");
    let more = "INSERT INTO things SELECT 'thing ' || n, n FROM generate_series(1, 20000) AS n";
    connection.batch_execute(more).await?;
    assert!(!looks_up(&connection).await?, "PostgreSQL plans anew by itself");
    drop(connection);
    for _ in 0..200 {
        drop(pool.get().await?);
    }
    assert!(looks_up(&pool.get().await?).await?, "the plan is the old one");
    Ok(())
}

/// How many timers there ever were, how many of them went, and how many were read in the index of owners.
async fn timers(client: &Client) -> anyhow::Result<(i64, i64, i64)> {
    let sql = "SELECT n_tup_ins, n_tup_del, idx_tup_read
               FROM pg_stat_user_tables JOIN pg_stat_user_indexes USING (relid)
               WHERE indexrelname = 'timers_pkey'";
    let row = client.query_one(sql, &[]).await?;
    Ok((row.get(0), row.get(1), row.get(2)))
}

#[tokio::test]
async fn timers_are_found_by_their_owners_though_there_were_none_when_that_was_planned()
-> anyhow::Result<()> {
    let bed = TestBed::new()?;
    let store = stores::postgres(&bed).await?;
    let writer = client(&stores::address(&bed)?, "test").await?;
    let many = |name: &str| {
        format!(
            "INSERT INTO timers
             SELECT '{name} ' || n, 'tick', 0, now() + interval '1 hour'
             FROM generate_series(1, 5000) AS n"
        )
    };
    // A quiet moment after a busy one, and statistics that say so.
    writer.batch_execute("ALTER TABLE timers SET (autovacuum_enabled = false)").await?;
    writer.batch_execute(&many("old")).await?;
    writer.batch_execute("DELETE FROM timers WHERE owner <> 'old 5000'").await?;
    writer.batch_execute("VACUUM ANALYZE timers").await?;
    process(&store, &[("a", "x", -1)], |_| ()).await?;
    writer.batch_execute(&many("new")).await?;
    // What a connection did is told when it ends at the latest.
    drop(writer);
    let reader = client(&stores::address(&bed)?, "test").await?;
    until("everything to be told", async || Ok(timers(&reader).await?.0 == 10_000)).await?;
    let (_, gone, read) = timers(&reader).await?;

    process(&store, &[("b", "new 7", -1)], |_| ()).await?;
    drop(store);
    until("everything to be told", async || Ok(timers(&reader).await?.1 > gone)).await?;
    let read = timers(&reader).await?.2 - read;
    assert!(read < 10, "{read} timers were read for one of them to go");
    Ok(())
}

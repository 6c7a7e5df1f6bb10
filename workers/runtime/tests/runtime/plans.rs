//! A plan that was made for a table next to empty does not outlive that.

use std::time::Duration;

use deadpool_postgres::Object;
use orderly_devstack::TestBed;
use orderly_runtime::config::Reader;
use orderly_runtime::postgres::connect::pool;

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
    let address = Reader::new(bed.env())
        .address("ORDERLY_STOCK_DATABASE", &["postgres"])
        .ok_or_else(|| anyhow::anyhow!("no database"))?;
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

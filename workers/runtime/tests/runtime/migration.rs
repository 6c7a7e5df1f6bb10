//! What lies in a database survives its migration.

use std::time::Duration;

use orderly_devstack::TestBed;
use orderly_runtime::message::{HeaderValue, Outgoing, Properties};
use orderly_runtime::postgres::connect::client;
use orderly_runtime::postgres::migrate::migrate;
use orderly_runtime::store::Store;
use refinery::Target;
use uuid::Uuid;

use crate::counters::Counters;
use crate::stores::{address, on, refinery_of_nothing};

mod bookkeeping {
    refinery::embed_migrations!("../../migrations/runtime");
}

/// The last version in which every output was a row.
const ROWS_OF_OUTPUTS: i32 = 4;

fn output(id: &str, body: &str) -> Outgoing {
    let mut properties = Properties { message_id: Some(id.to_owned()), ..Properties::default() };
    properties.set_header("note", HeaderValue::Text("a \"quoted\" \u{0} word".to_owned()));
    Outgoing {
        exchange: "orderly.events".to_owned(),
        routing_key: "stock.adjusted.v1".to_owned(),
        mandatory: id == "one",
        properties,
        body: body.as_bytes().to_vec(),
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn outputs_that_were_rows_are_published_as_they_were() -> anyhow::Result<()> {
    let bed = TestBed::new()?;
    let address = address(&bed)?;
    let mut database = client(&address, "test").await?;
    let mut runner = bookkeeping::migrations::runner().set_target(Target::Version(ROWS_OF_OUTPUTS));
    runner.set_migration_table_name("orderly_runtime_migrations");
    runner.run_async(&mut database).await?;
    let (batch, empty) = (Uuid::from_u128(1), Uuid::from_u128(2));
    let note = "INSERT INTO batches (id, at) VALUES ($1, now() - interval '1 hour')";
    for id in [batch, empty] {
        database.execute(note, &[&id]).await?;
    }
    let outputs = [output("one", r#"{"name":"\u00e4 \"b\""}"#), output("two", "two\n")];
    for (ordinal, output) in outputs.iter().enumerate() {
        let insert = "INSERT INTO outbox VALUES ($1, $2, 'client', 'cause', $3, $4, $5, $6, $7)";
        let properties = serde_json::to_string(&output.properties)?;
        let ordinal = i32::try_from(ordinal)?;
        database
            .execute(
                insert,
                &[
                    &batch,
                    &ordinal,
                    &output.exchange,
                    &output.routing_key,
                    &output.mandatory,
                    &properties,
                    &output.body,
                ],
            )
            .await?;
    }

    migrate(&address, refinery_of_nothing()).await?;

    let store = on(&address)?;
    let unsent = Store::<Counters>::unsent(&store, Duration::from_secs(60), 10).await?;
    assert_eq!(unsent, [(batch, outputs.to_vec())]);
    Ok(())
}

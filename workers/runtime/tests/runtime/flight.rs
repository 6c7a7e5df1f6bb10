//! The first flight of a batch sends its claims right behind BEGIN. Had BEGIN failed, they would be
//! committed one by one, and messages that nobody has processed would be duplicates for ever.

use std::collections::BTreeSet;

use orderly_devstack::TestBed;
use orderly_runtime::clock::{Entropy, SystemEntropy};
use orderly_runtime::config::Reader;
use orderly_runtime::domain::Cause;
use orderly_runtime::postgres::connect::client;
use orderly_runtime::store::{Claim, Store, Unit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::stores::{on, postgres};

/// Takes one connection to `server` and passes everything on, but spells BEGIN wrong.
async fn misspell(listener: TcpListener, server: String) -> std::io::Result<()> {
    loop {
        let (near, _) = listener.accept().await?;
        let (mut from_client, mut to_client) = near.into_split();
        let (mut from_server, mut to_server) = TcpStream::connect(&server).await?.into_split();
        tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
        tokio::spawn(async move {
            let mut bytes = [0; 65_536];
            loop {
                let read = match from_client.read(&mut bytes).await {
                    Ok(0) | Err(_) => return,
                    Ok(read) => &mut bytes[..read],
                };
                if let Some(at) = read.windows(6).position(|word| word == b"BEGIN;") {
                    read[at..at + 6].copy_from_slice(b"BEGUN;");
                }
                if to_server.write_all(read).await.is_err() {
                    return;
                }
            }
        });
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_that_no_transaction_holds_are_not_made() -> anyhow::Result<()> {
    let bed = TestBed::new()?;
    let _schema = postgres(&bed).await?;
    let address = Reader::new(bed.env())
        .address("ORDERLY_STOCK_DATABASE", &["postgres"])
        .ok_or_else(|| anyhow::anyhow!("no database"))?;
    let server = format!("{}:{}", address.host(), address.url.port().unwrap_or(5432));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut misspelled = address.clone();
    let port = listener.local_addr()?.port();
    misspelled.url.set_port(Some(port)).map_err(|()| anyhow::anyhow!("no port"))?;
    let proxy = tokio::spawn(misspell(listener, server));

    let mut unit = on(&misspelled)?.begin().await?;
    let cause = Cause { source: "client", id: "a".to_owned() };
    let claims = [Claim { cause, kind: "stock.adjust.v1", body_hash: [1; 32] }];
    let entered = unit.enter(SystemEntropy.uuid(), &claims, &BTreeSet::new()).await;
    let error = entered.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(error.contains("BEGUN"), "{error}");
    unit.rollback().await;

    let kept = client(&address, "test").await?;
    let count: i64 = kept.query_one("SELECT count(*) FROM inbox", &[]).await?.get(0);
    assert_eq!(count, 0, "a claim without a transaction was kept");
    proxy.abort();
    Ok(())
}

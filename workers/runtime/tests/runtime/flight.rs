//! What is sent before answers are heard, and answers that are never heard.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use orderly_devstack::TestBed;
use orderly_runtime::clock::{Entropy, SystemEntropy};
use orderly_runtime::config::Address;
use orderly_runtime::domain::States;
use orderly_runtime::fold::fold;
use orderly_runtime::postgres::connect::client;
use orderly_runtime::store::{Standing, Store, StoreError, Unit};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

use crate::counters::{Counters, arrival};
use crate::store::{cause, claim};
use crate::stores::{address, on, postgres};

/// Passes everything on to `server`, but spells BEGIN wrong.
async fn misspell(listener: TcpListener, server: String) -> std::io::Result<()> {
    loop {
        let (near, _) = listener.accept().await?;
        let (from_client, mut to_client) = near.into_split();
        let (mut from_server, to_server) = TcpStream::connect(&server).await?.into_split();
        tokio::spawn(async move { tokio::io::copy(&mut from_server, &mut to_client).await });
        tokio::spawn(pass(from_client, to_server, |read| {
            if let Some(at) = read.windows(6).position(|word| word == b"BEGIN;") {
                read[at..at + 6].copy_from_slice(b"BEGUN;");
            }
            true
        }));
    }
}

/// Passes everything on, but ends the first connection on which the server says that a statement is done.
async fn swallow(listener: TcpListener, server: String) -> std::io::Result<()> {
    let has_swallowed = Arc::new(AtomicBool::new(false));
    loop {
        let (near, _) = listener.accept().await?;
        let (mut from_client, to_client) = near.into_split();
        let (from_server, mut to_server) = TcpStream::connect(&server).await?.into_split();
        tokio::spawn(async move { tokio::io::copy(&mut from_client, &mut to_server).await });
        let has_swallowed = has_swallowed.clone();
        tokio::spawn(pass(from_server, to_client, move |read| {
            let is_done = read.windows(9).any(|word| word == b"SELECT 1\0");
            !is_done || has_swallowed.swap(true, Ordering::SeqCst)
        }));
    }
}

/// Passes on what is read, as `change` leaves it, until that says no more.
async fn pass(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut change: impl FnMut(&mut [u8]) -> bool,
) {
    let mut bytes = [0; 65_536];
    loop {
        let read = match from.read(&mut bytes).await {
            Ok(0) | Err(_) => return,
            Ok(read) => &mut bytes[..read],
        };
        if !change(read) || to.write_all(read).await.is_err() {
            return;
        }
    }
}

/// The database of a bed, migrated: where it is, and where to go for it by way of a listener.
async fn detour(bed: &TestBed) -> anyhow::Result<(Address, Address, TcpListener)> {
    let _schema = postgres(bed).await?;
    let direct = address(bed)?;
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let mut detour = direct.clone();
    let port = listener.local_addr()?.port();
    detour.url.set_port(Some(port)).map_err(|()| anyhow::anyhow!("no port"))?;
    Ok((direct, detour, listener))
}

fn place(address: &Address) -> String {
    format!("{}:{}", address.host(), address.url.port().unwrap_or(5432))
}

/// The first flight of a batch sends its claims before `BEGIN` is answered. Had that failed, they would be
/// committed one by one, and messages that nobody has processed would be duplicates for ever.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn claims_that_no_transaction_holds_are_not_made() -> anyhow::Result<()> {
    let bed = TestBed::new()?;
    let (direct, detour, listener) = detour(&bed).await?;
    let proxy = tokio::spawn(misspell(listener, place(&direct)));

    let mut unit = on(&detour)?.begin().await?;
    let entered = unit.enter(SystemEntropy.uuid(), &[claim("a", 1)], &BTreeSet::new()).await;
    let error = entered.err().map(|error| error.to_string()).unwrap_or_default();
    assert!(error.contains("BEGUN"), "{error}");
    unit.rollback().await;

    let kept = client(&direct, "test").await?;
    let count: i64 = kept.query_one("SELECT count(*) FROM inbox", &[]).await?.get(0);
    assert_eq!(count, 0, "a claim without a transaction was kept");
    proxy.abort();
    Ok(())
}

/// One statement is a whole transaction: it may be done, and nobody hears of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_done_and_not_heard_is_unknown_and_then_known() -> anyhow::Result<()> {
    let bed = TestBed::new()?;
    let (direct, detour, listener) = detour(&bed).await?;
    let proxy = tokio::spawn(swallow(listener, place(&direct)));
    let store = on(&detour)?;

    let unit = store.begin().await?;
    let nothing = States::new(BTreeSet::from(["x".to_owned()]), BTreeMap::new());
    let addition = arrival(cause("a"), "x", 1);
    let work = fold(&Counters, SystemEntropy.uuid(), &[&addition], nothing).work;
    let left = unit.leave_new(&[claim("a", 1)], &work).await;
    assert!(matches!(left, Err(StoreError::Unknown(_))), "{left:?}");

    let mut unit = store.begin().await?;
    let standings = unit.claim(SystemEntropy.uuid(), &[claim("a", 1)]).await?;
    assert!(matches!(&standings[..], [Standing::Known { unsent, .. }] if unsent.len() == 1));
    unit.rollback().await;
    proxy.abort();
    Ok(())
}

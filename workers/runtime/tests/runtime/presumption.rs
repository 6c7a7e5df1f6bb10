//! Batches that are presumed to be new, and are or are not.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use orderly_devstack::TestBed;
use orderly_runtime::clock::{Clock, Entropy, SystemClock, SystemEntropy};
use orderly_runtime::domain::States;
use orderly_runtime::fold::fold;
use orderly_runtime::lane::Lane;
use orderly_runtime::message::{Delivery, Outgoing};
use orderly_runtime::stop;
use orderly_runtime::store::{Claim, Standing, Store, StoreError, Unit};
use orderly_runtime::unnoted::Unnoted;

use crate::broker::memory as memory_broker;
use crate::counters::{Counters, arrival};
use crate::lane::{lane, message};
use crate::store::{cause, claim, expect_nothing_of, process};
use crate::stores::{memory as memory_store, postgres};

type Outcome = anyhow::Result<()>;

/// What is said of batches one after the other, each of messages that never came back, and in the end the
/// counter `new-x`.
async fn say<S: Store<Counters>>(
    store: S,
    batches: &[&[(&str, &str)]],
) -> anyhow::Result<(Vec<Vec<String>>, Option<i64>)> {
    let (store, (_stopper, stop)) = (Arc::new(store), stop::channel());
    let Lane { processor, reception, .. } = lane(&Arc::new(memory_broker()), &store, 10, stop);
    let mut said = Vec::new();
    for batch in batches {
        let received = batch.iter().zip(1..).map(|((id, body), tag)| {
            let Outgoing { exchange, routing_key, properties, body, .. } = message(id, body);
            let delivery = Delivery { tag, returns: 0, exchange, routing_key, properties, body };
            reception.receive(delivery, SystemClock.now())
        });
        let done = processor.process(received.collect(), &mut Unnoted::default()).await?;
        assert_eq!((done.left, done.tags.len()), (None, batch.len()));
        let first_line = |message: Outgoing| {
            let text = String::from_utf8_lossy(&message.body).into_owned();
            text.lines().next().unwrap_or_default().to_owned()
        };
        let mut outgoing: Vec<_> = done.outgoing.into_iter().map(first_line).collect();
        outgoing.sort();
        said.push(outgoing);
    }
    let name = "new-x".to_owned();
    let mut unit = store.begin().await?;
    let value = unit.load(&BTreeSet::from([name.clone()])).await?.get(&name).copied();
    unit.rollback().await;
    Ok((said, value))
}

/// Whatever is presumed of them, batches come to what they would with care.
async fn what_is_not_as_presumed_is_done_with_care(store: impl Store<Counters>) -> Outcome {
    let (said, value) = say(
        store,
        &[
            // All new, one of them twice.
            &[("a", "new-x+1"), ("b", "new-y+2"), ("c", "new-y+3")],
            // A message that is known, and what it said is not known to be out.
            &[("a", "new-x+1"), ("d", "new-z+4")],
            // A counter that is there.
            &[("e", "new-x+5"), ("f", "new-w+1")],
            // Asking creates nothing, so nothing would tell that it is there.
            &[("g", "new-x?"), ("h", "new-v+1")],
            // A copy within the batch.
            &[("i", "new-u+1"), ("i", "new-u+1")],
            // No opening, and one that is.
            &[("j", "old+1"), ("k", "new-t+1")],
            // Not one claim may stay behind of what is tried again.
            &[("l", "new-s+1"), ("m", "later")],
            &[("l", "new-s+1"), ("m", "later"), ("n", "new-x+1")],
        ],
    )
    .await?;
    assert_eq!(said[0], ["new-x=1", "new-y=2", "new-y=5"]);
    assert_eq!(said[1], ["new-x=1", "new-z=4"]);
    assert_eq!(said[2], ["new-w=1", "new-x=6"]);
    assert_eq!(said[3], ["new-v=1", "new-x=6"]);
    assert_eq!(said[4], ["new-u=1"]);
    assert_eq!(said[5], ["new-t=1", "old=1"]);
    assert_eq!(said[6], ["later", "new-s=1"]);
    assert_eq!(said[7], ["later", "new-s=1", "new-x=7"]);
    assert_eq!(value, Some(7));
    Ok(())
}

#[tokio::test]
async fn what_is_not_as_presumed_is_done_with_care_in_memory() -> Outcome {
    what_is_not_as_presumed_is_done_with_care(memory_store()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_not_as_presumed_is_done_with_care_in_postgres() -> Outcome {
    let bed = TestBed::new()?;
    what_is_not_as_presumed_is_done_with_care(postgres(&bed).await?).await
}

/// Another body under an id that is known is told apart, whatever was presumed.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_known_id_with_another_body_is_a_dead_letter() -> Outcome {
    let bed = TestBed::new()?;
    let batches: [&[_]; 2] = [&[("a", "new-x+1")], &[("a", "new-x+2")]];
    let (said, value) = say(postgres(&bed).await?, &batches).await?;
    assert!(said[1][0].contains("id_conflict"), "{said:?}");
    assert_eq!(value, Some(1));
    Ok(())
}

/// Leaves additions as if nothing were known of their messages; where nothing is loaded, nor of counters.
async fn presume<S: Store<Counters>>(
    store: &S,
    additions: &[(&str, &str, i64)],
    loads: bool,
) -> Result<(), StoreError> {
    let arrivals: Vec<_> =
        additions.iter().map(|(id, name, by)| arrival(cause(id), name, *by)).collect();
    let claims: Vec<Claim> = additions.iter().map(|(id, _, _)| claim(id, 1)).collect();
    let keys: BTreeSet<String> = additions.iter().map(|(_, name, _)| (*name).to_owned()).collect();
    let mut unit = store.begin().await?;
    let states = if loads { unit.load(&keys).await? } else { BTreeMap::new() };
    let states = States::new(keys, states);
    let refs: Vec<_> = arrivals.iter().collect();
    let work = fold(&Counters, SystemEntropy.uuid(), &refs, states).work;
    unit.leave_new(&claims, &work).await
}

async fn what_is_presumed_new_is_claimed_when_it_is_left(store: &impl Store<Counters>) -> Outcome {
    presume(store, &[("a", "x", 1), ("b", "y", 2)], false).await?;
    presume(store, &[("c", "x", 3), ("d", "z", 4)], true).await?;
    let mut unit = store.begin().await?;
    let claims = ["a", "b", "c", "d"].map(|id| claim(id, 1));
    let standings = unit.claim(SystemEntropy.uuid(), &claims).await?;
    assert!(
        standings
            .iter()
            .all(|it| matches!(it, Standing::Known { unsent, .. } if unsent.len() == 1))
    );
    let found: Vec<_> =
        unit.load(&["x", "y", "z"].map(str::to_owned).into()).await?.into_iter().collect();
    let expected = [("x", 4), ("y", 2), ("z", 4)].map(|(name, value)| (name.to_owned(), value));
    assert_eq!(found, expected);
    unit.rollback().await;
    Ok(())
}

async fn a_wrong_presumption_leaves_nothing_behind(store: &impl Store<Counters>) -> Outcome {
    process(store, &[("a", "x", 1)], |_| ()).await?;
    for loads in [false, true] {
        let late = presume(store, &[("a", "y", 5), ("b", "z", 5)], loads).await;
        assert!(matches!(late, Err(StoreError::Conflict(_))), "{late:?}");
        expect_nothing_of(store, "b", ("y", None)).await?;
        expect_nothing_of(store, "b", ("z", None)).await?;
    }
    let late = presume(store, &[("b", "x", 5)], false).await;
    assert!(matches!(late, Err(StoreError::Conflict(_))), "{late:?}");
    expect_nothing_of(store, "b", ("x", Some(1))).await
}

#[tokio::test]
async fn a_store_in_memory_tells_what_is_new() -> Outcome {
    what_is_presumed_new_is_claimed_when_it_is_left(&memory_store()).await?;
    a_wrong_presumption_leaves_nothing_behind(&memory_store()).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_store_on_postgres_tells_what_is_new() -> Outcome {
    let (one, other) = (TestBed::new()?, TestBed::new()?);
    what_is_presumed_new_is_claimed_when_it_is_left(&postgres(&one).await?).await?;
    a_wrong_presumption_leaves_nothing_behind(&postgres(&other).await?).await
}

//! The suite for stores.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use orderly_contracts::{Reason, Refusal};
use orderly_runtime::clock::{Entropy, Micros, SystemEntropy};
use orderly_runtime::domain::{Cause, States, Timer};
use orderly_runtime::fold::fold;
use orderly_runtime::letter::Letter;
use orderly_runtime::message::{Delivery, HeaderValue, Properties};
use orderly_runtime::metrics::Reading;
use orderly_runtime::metrics::catalogue::{DEAD_LETTERS_OPEN, DEADLINES_OVERDUE, OUTPUTS_WAITING};
use orderly_runtime::store::{Claim, Entered, Standing, Store, StoreError, Unit, Work};
use uuid::Uuid;

use crate::counters::{Counters, arrival};

/// What the suite runs on.
type Outcome = anyhow::Result<()>;

macro_rules! conforms {
    ($($test:ident),* $(,)?) => {
        mod memory_store {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() -> super::Outcome {
                super::$test(&crate::stores::memory()).await
            })*
        }
        mod postgres_store {
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $test() -> super::Outcome {
                let bed = orderly_devstack::TestBed::new()?;
                super::$test(&crate::stores::postgres(&bed).await?).await
            })*
        }
    };
}

conforms!(
    a_claim_is_fresh_once,
    what_is_not_committed_never_happened,
    who_claims_what_somebody_else_claims_waits_for_what_becomes_of_it,
    a_duplicate_repeats_its_outputs_until_they_are_out,
    what_was_processed_under_an_id_is_remembered_by_its_hash,
    a_disclaimed_message_is_fresh_again,
    a_state_is_never_created_twice,
    what_is_not_there_is_not_changed_and_the_rest_does_not_happen,
    what_exists_is_in_the_way_at_once_whoever_has_it_locked,
    states_survive_and_are_loaded,
    what_was_left_unsent_is_leased_once,
    timers_fall_due_are_put_off_and_spent,
    suspects_count_the_processes_that_died_until_cleared,
    a_letter_that_comes_again_is_counted_and_nothing_is_lost,
    the_inbox_forgets_what_is_old,
    what_a_letter_is_about_is_never_forgotten,
    the_census_counts_what_waits_and_what_is_late,
);

pub(crate) fn cause(id: &str) -> Cause {
    Cause { source: "client", id: id.to_owned() }
}

pub(crate) fn claim(id: &str, body: u8) -> Claim {
    Claim { cause: cause(id), kind: "stock.adjust.v1", body_hash: [body; 32] }
}

/// Claims and processes additions as the loop does; the standings.
pub(crate) async fn process<S: Store<Counters>>(
    store: &S,
    additions: &[(&str, &str, i64)],
    change: impl FnOnce(&mut Work<Counters>),
) -> Result<(Uuid, Vec<Standing>), StoreError> {
    let batch = SystemEntropy.uuid();
    let arrivals: Vec<_> =
        additions.iter().map(|(id, name, by)| arrival(cause(id), name, *by)).collect();
    let mut claims: Vec<Claim> = additions.iter().map(|(id, _, _)| claim(id, 1)).collect();
    claims.sort_by(|a, b| a.cause.cmp(&b.cause));
    let mut unit = store.begin().await?;
    let keys: BTreeSet<String> = additions.iter().map(|(_, name, _)| (*name).to_owned()).collect();
    let Entered { standings, states } = unit.enter(batch, &claims, &keys).await?;
    let refs: Vec<_> = arrivals.iter().collect();
    let mut work = fold(&Counters, batch, &refs, States::new(keys, states)).work;
    change(&mut work);
    unit.leave(&work).await?;
    Ok((batch, standings))
}

async fn a_claim_is_fresh_once(store: &impl Store<Counters>) -> Outcome {
    let (_, standings) = process(store, &[("a", "x", 1), ("b", "x", 1)], |_| ()).await?;
    assert_eq!(standings, [Standing::Fresh, Standing::Fresh]);
    let mut unit = store.begin().await?;
    let standings = unit.claim(SystemEntropy.uuid(), &[claim("a", 1), claim("c", 1)]).await?;
    assert!(matches!(standings[..], [Standing::Known { .. }, Standing::Fresh]));
    unit.rollback().await;
    Ok(())
}

async fn what_is_not_committed_never_happened(store: &impl Store<Counters>) -> Outcome {
    for is_polite in [true, false] {
        let mut unit = store.begin().await?;
        unit.claim(SystemEntropy.uuid(), &[claim("a", 1)]).await?;
        if is_polite {
            unit.rollback().await;
        } else {
            drop(unit);
        }
    }
    let mut unit = store.begin().await?;
    assert_eq!(unit.claim(SystemEntropy.uuid(), &[claim("a", 1)]).await?, [Standing::Fresh]);
    Ok(())
}

async fn who_claims_what_somebody_else_claims_waits_for_what_becomes_of_it(
    store: &impl Store<Counters>,
) -> Outcome {
    for is_committed in [false, true] {
        let id = if is_committed { "kept" } else { "given up" };
        let mut first = store.begin().await?;
        first.claim(SystemEntropy.uuid(), &[claim(id, 1)]).await?;
        let mut second = store.begin().await?;
        let claims = [claim(id, 1)];
        let mut waiting = std::pin::pin!(second.claim(SystemEntropy.uuid(), &claims));
        let early = tokio::time::timeout(Duration::from_millis(100), &mut waiting).await;
        assert!(early.is_err(), "nobody knows yet what becomes of it: {early:?}");
        if is_committed {
            first.commit().await?;
        } else {
            first.rollback().await;
        }
        let standings = waiting.await?;
        let is_known = matches!(standings[..], [Standing::Known { .. }]);
        assert_eq!(is_known, is_committed, "{standings:?}");
    }
    Ok(())
}

async fn a_duplicate_repeats_its_outputs_until_they_are_out(
    store: &impl Store<Counters>,
) -> Outcome {
    let (batch, _) = process(store, &[("a", "x", 1), ("b", "y", 2)], |_| ()).await?;
    let again = async |id: &str| -> anyhow::Result<Vec<Vec<u8>>> {
        let mut unit = store.begin().await?;
        let mut standings = unit.claim(SystemEntropy.uuid(), &[claim(id, 1)]).await?;
        unit.rollback().await;
        match standings.pop() {
            Some(Standing::Known { unsent, .. }) => {
                assert!(unsent.iter().all(|message| !message.id().is_empty()));
                Ok(unsent.into_iter().map(|message| message.body).collect())
            }
            other => anyhow::bail!("{other:?}"),
        }
    };
    assert_eq!(again("a").await?, [b"x=1".to_vec()]);
    assert_eq!(again("b").await?, [b"y=2".to_vec()]);
    store.mark_sent(&[batch]).await?;
    assert!(again("a").await?.is_empty());
    Ok(())
}

async fn what_was_processed_under_an_id_is_remembered_by_its_hash(
    store: &impl Store<Counters>,
) -> Outcome {
    process(store, &[("a", "x", 1)], |_| ()).await?;
    let mut unit = store.begin().await?;
    let standings = unit.claim(SystemEntropy.uuid(), &[claim("a", 2)]).await?;
    assert!(matches!(standings[..], [Standing::Known { body_hash, .. }] if body_hash == [1; 32]));
    unit.rollback().await;
    Ok(())
}

async fn a_disclaimed_message_is_fresh_again(store: &impl Store<Counters>) -> Outcome {
    process(store, &[("a", "x", 1), ("b", "x", 1)], |work| {
        work.disclaimed.push(cause("b"));
    })
    .await?;
    let mut unit = store.begin().await?;
    let standings = unit.claim(SystemEntropy.uuid(), &[claim("a", 1), claim("b", 1)]).await?;
    assert!(matches!(standings[..], [Standing::Known { .. }, Standing::Fresh]));
    unit.rollback().await;
    Ok(())
}

async fn a_state_is_never_created_twice(store: &impl Store<Counters>) -> Outcome {
    process(store, &[("a", "x", 1)], |_| ()).await?;
    let late = process(store, &[("b", "x", 5)], |work| {
        // As if nothing had been found when loading: somebody else was faster.
        work.changes.created = std::mem::take(&mut work.changes.updated);
    })
    .await;
    assert!(matches!(late, Err(StoreError::Conflict(_))), "{late:?}");
    expect_nothing_of(store, "b", ("x", Some(1))).await
}

async fn what_is_not_there_is_not_changed_and_the_rest_does_not_happen(
    store: &impl Store<Counters>,
) -> Outcome {
    process(store, &[("a", "x", 1)], |_| ()).await?;
    let astray = process(store, &[("b", "x", 5), ("c", "y", 5)], |work| {
        // As if `y` had been found when loading.
        work.changes.updated.append(&mut work.changes.created);
    })
    .await;
    assert!(matches!(astray, Err(StoreError::Conflict(_))), "{astray:?}");
    expect_nothing_of(store, "b", ("x", Some(1))).await?;
    expect_nothing_of(store, "c", ("y", None)).await
}

/// Nothing of the transaction that claimed `id` is there: not its claim, and not what it did to a state.
pub(crate) async fn expect_nothing_of(
    store: &impl Store<Counters>,
    id: &str,
    (name, value): (&str, Option<i64>),
) -> Outcome {
    let mut unit = store.begin().await?;
    assert_eq!(unit.claim(SystemEntropy.uuid(), &[claim(id, 1)]).await?, [Standing::Fresh]);
    let found = unit.load(&BTreeSet::from([name.to_owned()])).await?;
    assert_eq!(found.get(name).copied(), value);
    unit.rollback().await;
    Ok(())
}

async fn what_exists_is_in_the_way_at_once_whoever_has_it_locked(
    store: &impl Store<Counters>,
) -> Outcome {
    process(store, &[("a", "x", 1)], |_| ()).await?;
    let mut holder = store.begin().await?;
    holder.load(&BTreeSet::from(["x".to_owned()])).await?;
    let mut late = store.begin().await?;
    let arrival = arrival(cause("b"), "x", 5);
    let unseen = States::new(BTreeSet::from(["x".to_owned()]), BTreeMap::new());
    let work = fold(&Counters, SystemEntropy.uuid(), &[&arrival], unseen).work;
    // To wait for the holder, who may come to wait for what we have created, would be a deadlock.
    let saved = tokio::time::timeout(Duration::from_secs(5), late.save(&work)).await?;
    assert!(matches!(saved, Err(StoreError::Conflict(_))), "{saved:?}");
    late.rollback().await;
    holder.rollback().await;
    Ok(())
}

async fn states_survive_and_are_loaded(store: &impl Store<Counters>) -> Outcome {
    process(store, &[("a", "x", 1), ("b", "y", 2), ("c", "x", 3)], |_| ()).await?;
    process(store, &[("d", "x", 10), ("e", "z", 5)], |_| ()).await?;
    let mut unit = store.begin().await?;
    let asked = ["w", "x", "y", "z"].map(str::to_owned);
    let found: Vec<_> = unit.load(&asked.into()).await?.into_iter().collect();
    let expected = [("x", 14), ("y", 2), ("z", 5)].map(|(name, value)| (name.to_owned(), value));
    assert_eq!(found, expected);
    Ok(())
}

async fn what_was_left_unsent_is_leased_once(store: &impl Store<Counters>) -> Outcome {
    let (left, _) = process(store, &[("a", "x", 1), ("b", "x", 1)], |_| ()).await?;
    let (out, _) = process(store, &[("c", "x", 1)], |_| ()).await?;
    store.mark_sent(&[out]).await?;
    let age = Duration::from_millis(300);
    assert!(store.unsent(Duration::from_secs(60), 10).await?.is_empty(), "too young");
    let leased = loop {
        let leased = store.unsent(age, 10).await?;
        if !leased.is_empty() {
            break leased;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    };
    assert_eq!(leased.len(), 1);
    assert_eq!(leased[0].0, left);
    let bodies: Vec<_> = leased[0].1.iter().map(|message| message.body.clone()).collect();
    assert_eq!(bodies, [b"x=1".to_vec(), b"x=2".to_vec()]);
    assert!(store.unsent(age, 10).await?.is_empty(), "it is leased");
    Ok(())
}

async fn timers_fall_due_are_put_off_and_spent(store: &impl Store<Counters>) -> Outcome {
    process(store, &[("a", "x", 1), ("b", "y", 1), ("c", "z", 1)], |_| ()).await?;
    process(store, &[("d", "z", -1)], |_| ()).await?;
    let owners = async || -> anyhow::Result<BTreeSet<String>> {
        let due = store.due_timers(10).await?;
        Ok(due.into_iter().map(|due| due.timer.owner).collect())
    };
    assert_eq!(owners().await?, BTreeSet::from(["x".to_owned(), "y".to_owned()]));
    let timer = |owner: &str| Timer { owner: owner.to_owned(), step: "tick".to_owned(), round: 0 };
    store.postpone(&[timer("x")], Duration::from_secs(60)).await?;
    assert_eq!(owners().await?, BTreeSet::from(["y".to_owned()]));
    let stale = Timer { round: 7, ..timer("y") };
    process(store, &[("e", "w", -1)], |work| work.spent = vec![stale]).await?;
    assert_eq!(owners().await?.len(), 1, "another round is another timer");
    // What is set takes the place of what is spent.
    process(store, &[("f", "y", 1)], |work| work.spent = vec![timer("y")]).await?;
    assert_eq!(owners().await?.len(), 1, "it was set again");
    process(store, &[("g", "w", -1)], |work| work.spent = vec![timer("y")]).await?;
    assert!(owners().await?.is_empty());
    Ok(())
}

async fn suspects_count_the_processes_that_died_until_cleared(
    store: &impl Store<Counters>,
) -> Outcome {
    let [first, second, third] = [1, 2, 3].map(Uuid::from_u128);
    assert_eq!(store.note_suspect(&cause("a"), first).await?, 0);
    assert_eq!(store.note_suspect(&cause("a"), first).await?, 0, "it lives, and tries again");
    assert_eq!(store.note_suspect(&cause("a"), second).await?, 1);
    assert_eq!(store.note_suspect(&cause("b"), second).await?, 0);
    assert_eq!(store.note_suspect(&cause("a"), third).await?, 2);
    store.clear_suspect(&cause("a")).await?;
    assert_eq!(store.note_suspect(&cause("a"), first).await?, 0);
    Ok(())
}

fn letter(message_id: &str) -> Letter {
    let mut properties =
        Properties { message_id: Some(message_id.to_owned()), ..Properties::default() };
    properties.set_header("nul", HeaderValue::Text("a\0b".to_owned()));
    let delivery = Delivery {
        tag: 1,
        returns: 0,
        exchange: "orderly.commands".to_owned(),
        routing_key: "stock.adjust.v1".to_owned(),
        properties,
        body: vec![0, 159, 146, 150],
    };
    let refusal = Refusal::new(Reason::InvalidUtf8, "not \0 UTF-8");
    Letter::about(&delivery, "stock.commands", "test", &refusal, Micros(1))
}

async fn a_letter_that_comes_again_is_counted_and_nothing_is_lost(
    store: &impl Store<Counters>,
) -> Outcome {
    let letter = letter("with \0 nul");
    store.file_letters(&[letter.clone(), letter]).await?;
    Ok(())
}

/// Purges once all is old; so many messages or batches are to be forgotten.
async fn forget(store: &impl Store<Counters>, count: u64) -> Outcome {
    tokio::time::sleep(Duration::from_millis(5)).await;
    assert_eq!(store.purge(Duration::from_millis(1), 100).await?, count);
    Ok(())
}

async fn the_inbox_forgets_what_is_old(store: &impl Store<Counters>) -> Outcome {
    let (batch, _) = process(store, &[("a", "x", 1), ("b", "x", 1)], |_| ()).await?;
    store.mark_sent(&[batch]).await?;
    assert_eq!(store.purge(Duration::from_secs(60), 100).await?, 0);
    forget(store, 2).await?;
    let mut unit = store.begin().await?;
    assert_eq!(unit.claim(SystemEntropy.uuid(), &[claim("a", 1)]).await?, [Standing::Fresh]);
    Ok(())
}

async fn the_census_counts_what_waits_and_what_is_late(store: &impl Store<Counters>) -> Outcome {
    let shows = async || -> anyhow::Result<[f64; 4]> {
        let readings = store.census(true).await?;
        let gauges = [
            (&OUTPUTS_WAITING, ""),
            (&DEADLINES_OVERDUE, ""),
            (&DEAD_LETTERS_OPEN, "invalid_utf8"),
            (&DEAD_LETTERS_OPEN, "exhausted"),
        ];
        Ok(gauges.map(|(gauge, label)| {
            let is_it = |reading: &&Reading| {
                reading.metric.name == gauge.name && reading.values.concat() == label
            };
            readings.iter().find(is_it).map_or(f64::NAN, |reading| reading.value)
        }))
    };
    assert_eq!(shows().await?, [0.0; 4]);
    let (batch, _) =
        process(store, &[("a", "x", 1), ("b", "y", 1), ("c", "z", -1)], |_| ()).await?;
    process(store, &[("d", "z", -1)], |_| ()).await?;
    store.file_letters(&[letter("a"), letter("a"), letter("b")]).await?;
    assert_eq!(shows().await?, [2.0, 2.0, 2.0, 0.0]);
    store.mark_sent(&[batch]).await?;
    let timer = Timer { owner: "x".to_owned(), step: "tick".to_owned(), round: 0 };
    store.postpone(&[timer], Duration::from_secs(60)).await?;
    assert_eq!(shows().await?, [1.0, 1.0, 2.0, 0.0]);
    Ok(())
}

/// Old outputs are forgotten all the same, of many batches at once.
async fn what_a_letter_is_about_is_never_forgotten(store: &impl Store<Counters>) -> Outcome {
    let kept: Vec<String> = (0..12).map(|n| format!("b{n}")).collect();
    for id in kept.iter().map(String::as_str).chain(["a"]) {
        store.mark_sent(&[process(store, &[(id, "x", 1)], |_| ()).await?.0]).await?;
    }
    store.file_letters(&kept.iter().map(|id| letter(id)).collect::<Vec<_>>()).await?;
    forget(store, 13).await?;
    let mut unit = store.begin().await?;
    let standings = unit.claim(SystemEntropy.uuid(), &[claim("a", 1), claim("b7", 1)]).await?;
    assert!(matches!(standings[..], [Standing::Fresh, Standing::Known { .. }]), "{standings:?}");
    unit.rollback().await;
    Ok(())
}

//! Workers killed at every step of theirs, under load: nothing is lost, nothing happens twice.

use std::time::Duration;

use anyhow::Result;
use orderly_chaos::drills::freezes::{self, Freezes};
use orderly_chaos::drills::kills::{self, Kills};
use orderly_chaos::drills::{crowds, panics};
use orderly_chaos::need::reachable;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_worker_is_killed_at_every_step_and_nothing_is_lost_or_double() -> Result<()> {
    let killed = kills::run(Kills { seed: 1, size: 60, rate: 25 }).await?;
    println!("{} kills in {:.1?}; {}", killed.count(), killed.took, killed.verdict);
    for (place, times) in &killed.at {
        println!("{} {}: {times}", place.0, place.1);
    }
    for place in reachable() {
        assert!(killed.at.contains_key(&place), "{} was never killed at {}", place.0, place.1);
    }
    assert!(killed.count() >= 60);
    killed.verdict.expect_clean()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_panic_at_any_step_ends_the_session_and_not_the_process() -> Result<()> {
    let panicked = panics::run(2, 25).await?;
    println!(
        "{} panics, ready again after {:.1?} at most; {}",
        panicked.count, panicked.longest, panicked.verdict
    );
    assert_eq!(panicked.count, 27);
    panicked.verdict.expect_clean()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_that_was_stopped_and_goes_on_does_no_harm() -> Result<()> {
    let pause = Duration::from_secs(6);
    let frozen = freezes::run(Freezes { seed: 3, heartbeat: 2, pause }).await?;
    println!(
        "{} workers stopped for {pause:?} and given up by the broker; {}",
        frozen.count, frozen.verdict
    );
    assert_eq!(frozen.count, 15);
    frozen.verdict.expect_clean()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn twenty_workers_may_start_at_once() -> Result<()> {
    let crowd = crowds::run(4, 20, 500).await?;
    println!(
        "{} workers ready after {:.1?}, {} of {} connections; {}",
        crowd.workers, crowd.ready, crowd.connections, crowd.connections_max, crowd.verdict
    );
    // Each has at most as many as its pool.
    assert!(crowd.connections <= 21 * 8, "{} connections", crowd.connections);
    assert!(crowd.connections < crowd.connections_max);
    crowd.verdict.expect_clean()?;
    Ok(())
}

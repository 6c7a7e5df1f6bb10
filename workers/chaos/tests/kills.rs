//! Workers killed at every step of theirs, under load: nothing is lost, nothing happens twice.

use anyhow::Result;
use orderly_chaos::drills::kills::{self, Kills};
use orderly_chaos::need::reachable;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn every_worker_is_killed_at_every_step_and_nothing_is_lost_or_double() -> Result<()> {
    let killed = kills::run(Kills { seed: 1, size: 60, rate: 40 }).await?;
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

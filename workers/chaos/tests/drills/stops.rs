//! SIGTERM under load and in trouble: an end within the bound, nothing lost, nothing double.

use std::time::Duration;

use anyhow::Result;
use orderly_chaos::drills::rig::Rig;
use orderly_chaos::drills::stops::{self, ENDS, IN_FLIGHT};
use orderly_chaos::drills::troubled;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_with_hundreds_in_flight_ends_well_within_five_seconds() -> Result<()> {
    let stopped = stops::run(11, 6).await?;
    println!(
        "{} stops, {:.2?} at most, {} in flight at least; {}",
        stopped.stops.len(),
        stopped.longest(),
        stopped.in_flight(),
        stopped.verdict
    );
    assert_eq!(stopped.stops.len(), 6);
    assert!(stopped.in_flight() >= IN_FLIGHT);
    assert!(stopped.longest() <= ENDS);
    stopped.verdict.expect_clean()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_second_signal_ends_what_the_first_could_not() -> Result<()> {
    let (first, second, verdict) = stops::insist(12).await?;
    println!("alive {first:.2?} after the first signal, ended {second:.2?} after the second");
    assert!(second < Duration::from_secs(2), "{second:?}");
    verdict.expect_clean()?;
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_while_a_server_is_away_silent_or_full_ends_by_the_deadline() -> Result<()> {
    let mut rig = Rig::start(13)?;
    let troubled = troubled::run(&mut rig, 13).await?;
    for (trouble, party, took) in &troubled.ends {
        println!("{trouble:?}: {party} ended after {took:.1?}");
    }
    println!("{}", troubled.verdict);
    assert_eq!(troubled.ends.len(), 15);
    troubled.verdict.expect_clean()?;
    Ok(())
}

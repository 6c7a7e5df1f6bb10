//! Random schedules of faults: whatever comes together, nothing is lost and nothing is double.

use std::time::Duration;

use anyhow::Result;
use orderly_chaos::drills::rig::Rig;
use orderly_chaos::drills::schedules::{self, Extent};

/// The seeds of the schedules that are always run; each has another of the faults that take long.
const SEEDS: std::ops::RangeInclusive<u64> = 1..=5;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn random_schedules_of_faults_lose_and_double_nothing() -> Result<()> {
    let mut rig = Rig::start(1)?;
    let extent = Extent { orders: 1_000, span: Duration::from_secs(8) };
    for seed in SEEDS {
        let ran = schedules::run(&mut rig, seed, extent).await?;
        print!("{}", ran.schedule);
        println!("  {:.1?}; {}", ran.took, ran.verdict);
        ran.verdict.expect_clean()?;
    }
    Ok(())
}

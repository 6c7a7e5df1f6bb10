//! A small drill with poison: what is good gets through, and every poison message is accounted for.

use std::collections::BTreeMap;

use anyhow::Result;
use orderly_e2e::System;
use orderly_e2e::poison::{Plan, Poison, poison_throughput};

/// How many dead letters there are for each reason after a drill of 200 orders and 22 or so poison.
async fn reasons(poison: Poison) -> Result<BTreeMap<String, i64>> {
    let system = System::start().await?;
    let plan = Plan { poison, percent: 10, orders: 200, pairs: 1 };
    let throughput = poison_throughput(&system, plan).await?;
    println!("{poison:?}: {throughput}");
    assert_eq!(throughput.poison, 22, "a tenth of 222 messages");
    // Two clean rounds, one poisoned, and the one that is known before.
    let outcomes = system.databases.outcomes().await?;
    assert_eq!(outcomes, BTreeMap::from([("confirmed".to_owned(), 601)]));
    let sql = "SELECT reason, count(*) FROM dead_letters GROUP BY 1";
    let rows = system.databases.order.query(sql, &[]).await?;
    let reasons: BTreeMap<String, i64> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    assert_eq!(reasons.values().sum::<i64>(), throughput.letters as i64);
    for worker in system.running() {
        assert!((worker.metric("orderly_sessions_total")? - 1.0).abs() < 0.1, "it began anew");
    }
    system.expect_clean_audit()?;
    system.databases.expect_conserved().await?;
    Ok(reasons)
}

fn counted(reasons: &[(&str, i64)]) -> BTreeMap<String, i64> {
    reasons.iter().map(|(reason, count)| ((*reason).to_owned(), *count)).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn poison_that_reading_finds_is_filed_and_harms_no_order() -> Result<()> {
    let expected = [("invalid_json", 8), ("invalid_content", 7), ("unsupported_version", 7)];
    assert_eq!(reasons(Poison::Decode).await?, counted(&expected));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn poison_that_deciding_finds_is_filed_or_answered_and_harms_no_order() -> Result<()> {
    let expected = [("unknown_order", 7), ("id_conflict", 7)];
    assert_eq!(reasons(Poison::Decide).await?, counted(&expected));
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn poison_that_only_the_database_finds_is_filed_and_harms_no_order() -> Result<()> {
    assert_eq!(reasons(Poison::Sql).await?, counted(&[("poison", 22)]));
    Ok(())
}

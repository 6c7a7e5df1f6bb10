//! Servers that are killed, frozen or full: each test has servers of its own.

use std::time::Duration;

use anyhow::Result;
use orderly_chaos::drills::recovery::{Recovery, broker_killed, database_killed};
use orderly_devstack::Nodes;
use orderly_e2e::{Message, System};

use crate::support::{expect_all_confirmed, orders, stock_up};

/// How many orders are on their way when a server is killed.
const ORDERS: usize = 300;

fn best(recoveries: &[Recovery]) -> Duration {
    recoveries.iter().map(|recovery| recovery.first_effect).min().unwrap_or(Duration::MAX)
}

fn placed(round: usize) -> Vec<Message> {
    orders(&format!("r{round}"), ORDERS)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_servers_come_back_and_work_goes_on_within_moments() -> Result<()> {
    let mut nodes = tokio::task::block_in_place(Nodes::start)?;
    let mut system = System::start_on(nodes.endpoints()).await?;
    stock_up(&system).await?;
    let mut all = Vec::new();
    let mut of_broker = Vec::new();
    let mut of_database = Vec::new();
    for round in 0..3 {
        of_broker.push(broker_killed(&mut nodes, &mut system, round, ORDERS).await?);
        all.extend(placed(round));
    }
    for round in 3..6 {
        of_database.push(database_killed(&mut nodes, &mut system, round, ORDERS).await?);
        all.extend(placed(round));
    }
    println!("broker {of_broker:#?}\ndatabase {of_database:#?}");
    expect_all_confirmed(&mut system, &all).await?;
    assert!(best(&of_broker) <= Duration::from_secs(2), "{of_broker:#?}");
    assert!(best(&of_database) <= Duration::from_secs(1), "{of_database:#?}");
    Ok(())
}

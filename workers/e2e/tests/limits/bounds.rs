//! What a worker takes of memory, connections, work and time, each bounded by a setting.

use std::fs;
use std::time::Duration;

use anyhow::{Context, Result};
use orderly_contracts::routes::ORDER_NEW;
use orderly_devstack::TestBed;
use orderly_e2e::{Message, System, eventually, place};

/// The most memory a process has ever had, in bytes.
fn peak(pid: u32) -> Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).context("no peak")?;
    let kilobytes: u64 = line.trim().trim_end_matches(" kB").parse()?;
    Ok(kilobytes * 1024)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_prefetch_bounds_what_a_flood_of_large_messages_takes() -> Result<()> {
    const LARGE: usize = 4 << 20;
    const FLOOD: usize = 60;
    let settings = [("ORDERLY_PREFETCH", "4"), ("ORDERLY_BATCH_MESSAGES", "4")];
    let mut system = System::prepare(TestBed::new()?, &settings).await?;
    system.start_workers()?;
    let pid = system.workers()[0].process.pid();
    let before = peak(pid)?;
    for n in 0..FLOOD {
        let large = Message::raw("order.place.v1", &format!("large-{n}"), vec![b' '; LARGE]);
        system.client.publish([large]).await?;
    }
    eventually("a letter for each", async || {
        let sql = "SELECT count(*) FROM dead_letters WHERE reason = 'body_too_large'";
        let filed: i64 = system.databases.order.query_one(sql, &[]).await?.get(0);
        Ok((filed == FLOOD as i64).then_some(()))
    })
    .await?;
    // Four that wait, the one in hand, and letters of half the size on their way out and back in.
    let taken = peak(pid)? - before;
    println!("{} MiB at most for {FLOOD} messages of 4 MiB", taken >> 20);
    assert!(taken < (FLOOD * LARGE / 2) as u64, "{} MiB", taken >> 20);
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_more_connections_to_the_database_are_opened_than_set() -> Result<()> {
    let mut system =
        System::prepare(TestBed::new()?, &[("ORDERLY_DATABASE_CONNECTIONS", "4")]).await?;
    system.start_workers()?;
    system.client.stock_up(&[("lamp", 1_000)]).await?;
    system.databases.item_reaches("lamp", 1_000, 0).await?;
    let orders = (0..300).map(|n| place(&format!("o{n}"), "lamp", 1, "tok_visa"));
    system.client.publish(orders).await?;
    let mut most = 0;
    eventually("the orders to end", async || {
        let sql = "SELECT count(*) FROM pg_stat_activity
                   WHERE datname = current_database() AND application_name LIKE 'orderly-order%'";
        let open: i64 = system.databases.order.query_one(sql, &[]).await?.get(0);
        most = most.max(open);
        assert!(open <= 4, "{open} connections");
        let outcomes = system.databases.outcomes().await?;
        Ok((outcomes.get("confirmed") == Some(&300)).then_some(()))
    })
    .await?;
    assert!(most > 1, "only {most} were ever seen");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn new_orders_wait_while_too_many_are_in_progress() -> Result<()> {
    // Far more than get in between two looks, on however fast a machine.
    const ORDERS: usize = 3_000;
    let settings = [
        ("ORDERLY_IN_PROGRESS_MAX", "10"),
        ("ORDERLY_BATCH_MESSAGES", "10"),
        ("ORDERLY_PREFETCH", "20"),
    ];
    let mut system = System::prepare(TestBed::new()?, &settings).await?;
    system.start_worker("order")?;
    let orders = (0..ORDERS).map(|n| place(&format!("o{n}"), "lamp", 1, "tok_visa"));
    system.client.publish(orders).await?;
    // Nobody reserves anything, so what was let in stays in progress.
    let order = &system.running()[0];
    eventually("the intake to be closed", async || {
        let consumers = system.client.consumers(ORDER_NEW).await?;
        Ok((consumers == 0 && order.metric("orderly_in_progress")? >= 10.0).then_some(()))
    })
    .await?;
    let waiting = system.client.ready(ORDER_NEW).await? as usize;
    // It is looked at every tenth of a second, so some more get in meanwhile.
    println!("{} of {ORDERS} orders were let in", ORDERS - waiting);
    assert!(waiting > ORDERS / 2, "only {waiting} wait");
    system.start_worker("stock")?;
    system.start_worker("payment")?;
    let outcomes = system.databases.settled(ORDERS as i64).await?;
    assert_eq!(outcomes["rejected"], ORDERS as i64, "there never was a lamp");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_that_can_not_finish_ends_at_its_deadline() -> Result<()> {
    // A lock is waited for a fifth of a statement's time: far longer than the deadline.
    let settings =
        [("ORDERLY_DRAIN_DEADLINE_MS", "1000"), ("ORDERLY_STATEMENT_TIMEOUT_MS", "300000")];
    let mut system = System::prepare(TestBed::new()?, &settings).await?;
    system.start_worker("stock")?;
    let lock = "BEGIN; LOCK TABLE items IN ACCESS EXCLUSIVE MODE";
    system.databases.stock.batch_execute(lock).await?;
    system.client.stock_up(&[("lamp", 10)]).await?;
    eventually("the worker to wait for the lock", async || {
        let sql = "SELECT 1 FROM pg_stat_activity
                   WHERE datname = current_database() AND wait_event_type = 'Lock' LIMIT 1";
        Ok(system.databases.stock.query_opt(sql, &[]).await?.map(|_| ()))
    })
    .await?;
    let status = system.workers()[0].process.terminate(Duration::from_secs(20))?;
    assert!(status.success(), "{status}");
    let said = system.workers()[0].process.output();
    assert!(said.contains("the deadline is over"), "{said}");
    // What it had in hand is back, and the next worker does it.
    system.databases.stock.batch_execute("ROLLBACK").await?;
    system.workers().clear();
    system.start_worker("stock")?;
    system.databases.item_reaches("lamp", 10, 0).await
}

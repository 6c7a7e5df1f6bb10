//! Pausing: by an operator, for as long as he likes, and by a worker itself when nothing gets through.

use std::process::Command;
use std::time::Duration;

use anyhow::{Result, ensure};
use orderly_contracts::routes::{STOCK_COMMANDS, STOCK_SETTLE};
use orderly_devstack::TestBed;
use orderly_e2e::{System, eventually, place, program};
use orderly_runtime::broker::Broker as _;

/// Runs `orderly` with these arguments; what it says.
fn orderly(system: &System, arguments: &[&str]) -> Result<String> {
    let mut command = Command::new(program("orderly")?);
    command.args(arguments).envs(system.environment()).env("ORDERLY_OPERATOR", "alice");
    let output = command.env_remove("ORDERLY_TEST_NODES").output()?;
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(said)
}

/// Waits until nobody, or somebody, consumes what is for the stock worker.
async fn consumers(system: &System, are_there: bool) -> Result<()> {
    eventually("consumers to come or go", async || {
        let queues = [STOCK_COMMANDS, STOCK_SETTLE];
        for queue in queues {
            if (system.client.broker().depth(queue).await?.consumers > 0) != are_there {
                return Ok(None);
            }
        }
        Ok(Some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_paused_worker_takes_nothing_until_it_is_resumed_whatever_is_restarted() -> Result<()> {
    let mut system = System::start().await?;
    system.client.stock_up(&[("lamp", 10)]).await?;
    system.databases.item_reaches("lamp", 10, 0).await?;

    let said = orderly(&system, &["pause", "stock", "--why", "the shelves move"])?;
    assert!(said.contains("the stock worker is paused"), "{said}");
    let said = orderly(&system, &["pause", "stock"])?;
    assert!(said.contains("paused already") && said.contains("by alice: the shelves"), "{said}");
    consumers(&system, false).await?;

    system.client.publish([place("waits", "lamp", 1, "tok_visa")]).await?;
    system.databases.reaches("waits", "pending").await?;
    // A restart does not end it, nor does a new replica know better.
    let stock = system.workers().iter().position(|w| w.process.name().contains("stock"));
    let mut worker = system.workers().remove(stock.unwrap_or_default());
    worker.process.terminate(Duration::from_secs(10))?;
    let first = system.start_worker("stock")?;
    system.start_worker("stock")?;
    let health = system.workers()[first].get("/readyz")?;
    assert!(health.contains("by alice: the shelves move"), "{health}");
    assert!(
        system.workers()[first].get("/metrics")?.contains("orderly_paused{worker=\"stock\"} 1")
    );
    // The deadline of the step that it would answer stands still.
    let fall_due = "UPDATE timers SET due_at = now() WHERE owner = 'waits'";
    system.databases.order.execute(fall_due, &[]).await?;
    eventually("the deadline to be put off", async || {
        let sql = "SELECT 1 FROM timers WHERE owner = 'waits' AND round = 0 AND due_at > now()";
        Ok(system.databases.order.query_opt(sql, &[]).await?.map(drop))
    })
    .await?;
    assert_eq!(system.client.ready(STOCK_COMMANDS).await?, 1);
    consumers(&system, false).await?;

    let said = orderly(&system, &["resume", "stock"])?;
    assert!(said.contains("goes on") && said.contains("by alice: the shelves"), "{said}");
    system.databases.reaches("waits", "confirmed").await?;
    consumers(&system, true).await?;
    assert!(!system.workers()[first].get("/readyz")?.contains("alice"));
    assert!(orderly(&system, &["resume", "stock"])?.contains("was not paused"));
    system.expect_clean_audit()?;
    system.databases.expect_conserved().await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_worker_whose_tables_are_locked_pauses_and_uses_up_no_attempt() -> Result<()> {
    let settings = [
        ("ORDERLY_STATEMENT_TIMEOUT_MS", "100"),
        ("ORDERLY_BREAKER_PAUSE_MS", "300"),
        ("ORDERLY_BREAKER_PAUSE_MAX_MS", "300"),
        // One attempt used up would be the last.
        ("ORDERLY_RETRY_CONFLICT_ATTEMPTS", "0"),
    ];
    let mut system = System::prepare(TestBed::new()?, &settings).await?;
    system.start_workers()?;
    system.client.stock_up(&[("lamp", 100)]).await?;
    system.databases.item_reaches("lamp", 100, 0).await?;
    // As an ALTER TABLE or a CREATE INDEX would.
    let lock = "BEGIN; LOCK TABLE items IN ACCESS EXCLUSIVE MODE";
    system.databases.stock.batch_execute(lock).await?;
    let orders = (0..30).map(|n| place(&format!("o{n}"), "lamp", 1, "tok_visa"));
    system.client.publish(orders).await?;
    let halted = format!("orderly_breaker_open{{worker=\"stock\",queue=\"{STOCK_COMMANDS}\"}} 1");
    eventually("the stock worker to leave its queue alone", async || {
        let worker = system.workers().iter().find(|worker| !worker.is_ready());
        let metrics = worker.map(|worker| worker.get("/metrics")).transpose()?;
        Ok(metrics.filter(|metrics| metrics.contains(&halted)))
    })
    .await?;
    eventually("a second pause: it looks again by itself", async || {
        let trips = system.workers().iter().map(|worker| worker.process.output());
        let trips: usize = trips.map(|log| log.matches("this queue is left alone").count()).sum();
        Ok((trips >= 2).then_some(()))
    })
    .await?;
    system.databases.stock.batch_execute("ROLLBACK").await?;
    let outcomes = system.databases.settled(30).await?;
    assert_eq!(outcomes["confirmed"], 30);
    let letters = system.databases.letters(&system.databases.stock).await?;
    assert!(letters.is_empty(), "{letters:?}");
    system.expect_clean_audit()?;
    system.databases.expect_conserved().await
}

//! PostgreSQL that fails, refuses or contradicts, in databases of the test's own.

use anyhow::{Context, Result};
use orderly_chaos::proxy::{Act, Ending, Pattern, Point, Toxics, Way};
use orderly_devstack::{SERVICES, TestBed, variable};
use orderly_e2e::{Message, System, eventually};
use serde_json::json;
use tokio_postgres::Client;

use crate::support::{
    ARTICLE, IMPATIENT, Proxies, all_ready, expect_all_confirmed, expect_confirmed, metric, orders,
    stock_up, system, unready, worker,
};

/// Ends every session of the workers in a database.
const TERMINATE: &str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity
     WHERE datname = current_database() AND application_name LIKE 'orderly-%'";

fn databases(system: &System) -> [&Client; 3] {
    let databases = &system.databases;
    [&databases.order, &databases.stock, &databases.payment]
}

/// A number that SQL tells.
async fn number(database: &Client, sql: &str) -> Result<i64> {
    Ok(database.query_one(sql, &[]).await?.get(0))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sessions_ended_by_an_administrator_use_up_no_attempt() -> Result<()> {
    let mut system = system(&[]).await?;
    let mut all = Vec::new();
    for round in 0..4 {
        let some = orders(&format!("ended{round}"), 50);
        if round % 2 == 0 {
            // In the middle of batches; in the other rounds between them.
            system.client.publish(some.clone()).await?;
        }
        for database in databases(&system) {
            database.execute(TERMINATE, &[]).await?;
        }
        if round % 2 == 1 {
            system.client.publish(some.clone()).await?;
        }
        all.extend(some);
        system.databases.settled(all.len() as i64).await?;
    }
    expect_all_confirmed(&mut system, &all).await?;
    all_ready(&mut system).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_read_only_primary_is_told_and_left_as_soon_as_there_is_another() -> Result<()> {
    let mut system = system(&[]).await?;
    let name = system.bed().database("stock");
    let set = async |system: &System, value: &str| {
        let sql = format!("ALTER DATABASE {name} SET default_transaction_read_only = {value}");
        system.databases.order.batch_execute(&sql).await
    };
    set(&system, "on").await?;
    system.databases.stock.execute(TERMINATE, &[]).await?;
    let all = orders("readonly", 100);
    system.client.publish(all.clone()).await?;
    let said = unready(&mut system, "stock", "25006").await?;
    assert!(said.contains("read-only"), "{said}");
    set(&system, "off").await?;
    expect_all_confirmed(&mut system, &all).await?;
    all_ready(&mut system).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_commit_whose_outcome_is_unknown_happens_once() -> Result<()> {
    let (proxies, mut system) = Proxies::start(&[]).await?;
    let before = |pattern: &Pattern, nth| Point::Before(pattern.clone(), nth);
    let after = |pattern: &Pattern, nth| Point::After(pattern.clone(), nth);
    type At<'a> = &'a dyn Fn(&Pattern, u64) -> Point;
    let cuts: [(Way, At<'_>, Pattern, Ending); 4] = [
        // It never arrives.
        (Way::ToServer, &before, Pattern::COMMIT, Ending::Reset),
        // It arrives, perhaps.
        (Way::ToServer, &after, Pattern::COMMIT, Ending::Reset),
        // It is done for certain: the server says so, and the worker does not hear it.
        (Way::ToClient, &before, Pattern::COMMITTED, Ending::Reset),
        // The worker hears it, and then the end of the connection.
        (Way::ToClient, &after, Pattern::COMMITTED, Ending::Close),
    ];
    let mut all = Vec::new();
    for round in 0..2 {
        for (index, (way, point, pattern, ending)) in cuts.iter().enumerate() {
            // Another each time: the goods of twenty orders are reserved and booked out by two at least. What else
            // they take is done by statements that need no word to commit.
            let nth = 1 + (round + index as u64) % 2;
            let trap = proxies.database.lay(*way, point(pattern, nth), Act::Cut(*ending));
            let some = orders(&format!("cut{round}{index}"), 20);
            system.client.publish(some.clone()).await?;
            all.extend(some);
            eventually("the trap to spring", async || Ok(trap.has_sprung().then_some(()))).await?;
            system.databases.settled(all.len() as i64).await?;
        }
    }
    expect_all_confirmed(&mut system, &all).await?;
    let mut duplicates = 0.0;
    for worker in system.workers().iter() {
        duplicates += metric(worker, "orderly_duplicates_total", "")?;
    }
    assert!(duplicates > 0.0, "nothing that was done came again");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_slow_database_is_told_and_slows_without_using_up_attempts() -> Result<()> {
    let (proxies, mut system) = Proxies::start(&IMPATIENT).await?;
    // Longer than a worker waits for a statement, which is three seconds here.
    let slow = Toxics::late(std::time::Duration::from_secs(2), std::time::Duration::ZERO);
    proxies.database.set_both(&slow);
    let mut all = orders("slow", 50);
    system.client.publish(all.clone()).await?;
    for service in SERVICES {
        unready(&mut system, service, "no answer within 3s").await?;
    }
    proxies.database.heal()?;
    all_ready(&mut system).await?;
    system.databases.settled(50).await?;
    proxies.database.set_both(&Toxics::narrow(10_000));
    let more = orders("narrow", 1);
    system.client.publish(more.clone()).await?;
    all.extend(more);
    expect_all_confirmed(&mut system, &all).await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn connections_all_in_use_are_waited_for_and_told() -> Result<()> {
    // Five seconds for a connection of the pool pass long before the locks are given up. The loops
    // of a worker need no more than four at once, unless it sweeps all the time.
    let settings = [
        ("ORDERLY_DATABASE_CONNECTIONS", "4"),
        ("ORDERLY_STATEMENT_TIMEOUT_MS", "60000"),
        ("ORDERLY_SWEEP_AFTER_MS", "300"),
    ];
    let mut system = system(&settings).await?;
    let lock = "BEGIN; LOCK TABLE inbox, timers, batches, orders, pauses IN ACCESS EXCLUSIVE MODE";
    system.databases.order.batch_execute(lock).await?;
    let all = orders("exhausted", 100);
    system.client.publish(all.clone()).await?;
    unready(&mut system, "order", "waiting for a slot").await?;
    system.databases.order.batch_execute("ROLLBACK").await?;
    expect_all_confirmed(&mut system, &all).await?;
    all_ready(&mut system).await
}

/// An order of several articles, in the given order.
fn basket(id: &str, articles: &[String]) -> Message {
    let lines: Vec<_> = articles
        .iter()
        .map(|sku| json!({ "sku": sku, "quantity": 1, "unit_price": 250 }))
        .collect();
    let body = json!({ "order_id": id, "lines": lines, "currency": "GBP",
                       "payment_token": "tok_visa" });
    Message::new("order.place.v1", &format!("place-{id}"), &body)
}

async fn stock_many(system: &System) -> Result<Vec<String>> {
    let names: Vec<String> = (0..10).map(|n| format!("article-{n}")).collect();
    let articles: Vec<(&str, i64)> = names.iter().map(|name| (name.as_str(), 100_000)).collect();
    system.client.stock_up(&articles).await?;
    for name in &names {
        system.databases.item_reaches(name, 100_000, 0).await?;
    }
    Ok(names)
}

const DEADLOCKS: &str = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn batches_in_any_order_of_articles_never_deadlock() -> Result<()> {
    // Many small batches of three workers, which meet at the same few articles.
    let settings = [("ORDERLY_BATCH_MESSAGES", "5"), ("ORDERLY_PREFETCH", "10")];
    let mut system = system(&settings).await?;
    system.start_worker("stock")?;
    system.start_worker("stock")?;
    let mut names = stock_many(&system).await?;
    let mut random = fastrand::Rng::with_seed(31);
    let baskets: Vec<_> = (0..600)
        .map(|n| {
            random.shuffle(&mut names);
            basket(&format!("basket-{n}"), &names[..4])
        })
        .collect();
    system.client.publish(baskets.clone()).await?;
    let outcome = expect_confirmed(&mut system, &baskets).await;
    // First, because a deadlock takes so long that it may be why they have not all ended.
    assert_eq!(number(&system.databases.stock, DEADLOCKS).await?, 0);
    outcome?;
    let stock = system.workers().iter().filter(|it| it.process.name().contains("stock"));
    let mut batches = 0.0;
    for worker in stock {
        batches += metric(worker, "orderly_batch_messages_count", "")?;
    }
    println!("{batches} batches of three stock workers");
    assert!(batches >= 240.0, "only {batches} batches");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_deadlock_with_a_stranger_is_tried_again() -> Result<()> {
    let mut system = system(&[("ORDERLY_LOG", "info,orderly_runtime=debug")]).await?;
    let names = stock_many(&system).await?;
    let stranger = &system.databases.stock;
    // Whoever waits for the shorter time finds the deadlock, and is its victim.
    let begin = "BEGIN; SET LOCAL deadlock_timeout = '1min';
                 SELECT 1 FROM items WHERE sku = 'article-9' FOR UPDATE";
    stranger.batch_execute(begin).await?;
    let order = basket("embraced", &[names[9].clone(), names[0].clone()]);
    system.client.publish([order.clone()]).await?;
    eventually("the worker to hold one lock and wait for the other", async || {
        let sql = "SELECT 1 FROM pg_stat_activity WHERE datname = $1
                   AND application_name LIKE 'orderly-%' AND wait_event_type = 'Lock' LIMIT 1";
        let name = system.bed().database("stock");
        Ok(system.databases.order.query_opt(sql, &[&name]).await?.map(drop))
    })
    .await?;
    stranger
        .batch_execute("SELECT 1 FROM items WHERE sku = 'article-0' FOR UPDATE; ROLLBACK")
        .await
        .context("the worker should be the victim")?;
    expect_all_confirmed(&mut system, &[order]).await?;
    let log = worker(&mut system, "stock")?.process.output();
    assert!(log.contains("40P01"), "{log}");
    eventually("the deadlock to be counted", async || {
        Ok((number(&system.databases.stock, DEADLOCKS).await? == 1).then_some(()))
    })
    .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn serialization_failures_are_tried_again() -> Result<()> {
    let settings = [("ORDERLY_LOG", "info,orderly_runtime=debug")];
    let mut system = System::prepare(TestBed::new()?, &settings).await?;
    let name = system.bed().database("stock");
    let sql =
        format!("ALTER DATABASE {name} SET default_transaction_isolation = 'repeatable read'");
    system.databases.order.batch_execute(&sql).await?;
    system.start_workers()?;
    system.start_worker("stock")?;
    stock_up(&system).await?;
    let all = orders("serial", 300);
    system.client.publish(all.clone()).await?;
    expect_confirmed(&mut system, &all).await?;
    let log = worker(&mut system, "stock")?.process.output();
    assert!(log.contains("40001"), "no two of their transactions met");
    Ok(())
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_schema_that_changes_under_the_workers_is_read_anew() -> Result<()> {
    let mut system = system(&[("ORDERLY_LOG", "info,orderly_runtime=debug")]).await?;
    let mut all = Vec::new();
    let changes = [
        "ALTER TABLE orders ADD COLUMN remark text",
        // Statements that are prepared already would now give another type.
        "ALTER TABLE orders ALTER COLUMN order_id TYPE varchar(200) COLLATE \"C\"",
    ];
    for (round, change) in [""].iter().chain(&changes).enumerate() {
        system.databases.order.batch_execute(change).await?;
        let some = orders(&format!("drift{round}"), 50);
        system.client.publish(some.clone()).await?;
        all.extend(some);
        system.databases.settled(all.len() as i64).await?;
    }
    expect_all_confirmed(&mut system, &all).await?;
    let worker = worker(&mut system, "order")?;
    assert!(worker.process.output().contains("0A000"), "no statement was stale");
    assert_eq!(metric(worker, "orderly_sessions_total", "")?, 1.0, "it began anew");
    Ok(())
}

/// A role without the superuser's powers, dropped with its rights when the test ends.
struct Role<'a> {
    system: &'a TestBed,
    name: String,
    database: String,
}

impl<'a> Role<'a> {
    fn create(bed: &'a TestBed, database: String) -> Result<Self> {
        let name = format!("role_{database}");
        let role = Self { system: bed, name, database };
        role.run(&format!(
            "CREATE ROLE {0} LOGIN PASSWORD 'secret'; GRANT USAGE ON SCHEMA public TO {0};
             GRANT ALL ON ALL TABLES IN SCHEMA public TO {0};
             GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO {0}",
            role.name
        ))?;
        Ok(role)
    }

    fn run(&self, sql: &str) -> Result<()> {
        self.system.endpoints().query(&self.database, sql).map(drop)
    }
}

impl Drop for Role<'_> {
    fn drop(&mut self) {
        if let Err(error) = self.run(&format!("DROP OWNED BY {0}; DROP ROLE {0}", self.name)) {
            eprintln!("the role {} remains: {error:#}", self.name);
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_its_rights_on_a_table_a_worker_is_not_ready_and_messages_stay() -> Result<()> {
    let bed = TestBed::new()?;
    let (endpoints, name) = (bed.endpoints().clone(), bed.database("stock"));
    let mut system = System::prepare(bed, &[]).await?;
    let other = TestBed::on(&endpoints)?;
    let role = Role::create(&other, name)?;
    let url = system.bed().database_url("stock");
    let user = format!("{}:{}@", endpoints.database.superuser, endpoints.database.password);
    let url = url.replace(&user, &format!("{}:secret@", role.name));
    system.set(&[(&variable("stock", "DATABASE_URL"), &url)]);
    system.start_workers()?;
    stock_up(&system).await?;
    role.run(&format!("REVOKE UPDATE ON items FROM {}", role.name))?;
    let all = orders("revoked", 50);
    system.client.publish(all.clone()).await?;
    let said = unready(&mut system, "stock", "42501").await?;
    assert!(said.contains("permission denied"), "{said}");
    assert_eq!(system.databases.item(ARTICLE).await?, Some((1_000_000, 0)));
    role.run(&format!("GRANT UPDATE ON items TO {}", role.name))?;
    expect_all_confirmed(&mut system, &all).await?;
    all_ready(&mut system).await
}

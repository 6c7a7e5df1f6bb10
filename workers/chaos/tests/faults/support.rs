//! What the tests of faults ask of workers, and how each of them ends.

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::process::Command;

use anyhow::{Context, Result, ensure};
use orderly_chaos::proxy::{Protocol, Proxy};
use orderly_devstack::{SERVICES, TestBed, Worker, variable};
use orderly_e2e::{Message, System, eventually, place, program};

/// Settings for what tests wait for: little patience, and the log of what is tried again.
pub(crate) const IMPATIENT: [(&str, &str); 2] =
    [("ORDERLY_STATEMENT_TIMEOUT_MS", "1000"), ("ORDERLY_LOG", "info,orderly_runtime=debug")];

/// Proxies between the workers of a system and their servers.
pub(crate) struct Proxies {
    /// Before RabbitMQ.
    pub(crate) broker: Proxy,
    /// Before PostgreSQL, for all three databases.
    pub(crate) database: Proxy,
}

impl Proxies {
    /// A system whose workers, but not its client, go through proxies. A silent broker is noticed
    /// after four seconds.
    pub(crate) async fn start(settings: &[(&str, &str)]) -> Result<(Self, System)> {
        let mut system = System::prepare(TestBed::new()?, settings).await?;
        let endpoints = system.bed().endpoints().clone();
        let broker: SocketAddr =
            format!("{}:{}", endpoints.broker.host, endpoints.broker.amqp_port).parse()?;
        let database: SocketAddr =
            format!("{}:{}", endpoints.database.host, endpoints.database.port).parse()?;
        let proxies = Self {
            broker: Proxy::start(broker, Protocol::Amqp, 1)?,
            database: Proxy::start(database, Protocol::Postgres, 2)?,
        };
        let url = proxies.broker.before(&system.bed().amqp_url());
        system.set(&[("ORDERLY_BROKER_URL", &format!("{url}?heartbeat=2"))]);
        for service in SERVICES {
            let url = proxies.database.before(&system.bed().database_url(service));
            system.set(&[(&variable(service, "DATABASE_URL"), &url)]);
        }
        system.start_workers()?;
        stock_up(&system).await?;
        Ok((proxies, system))
    }
}

/// A system on the shared nodes, with further settings and enough in stock.
pub(crate) async fn system(settings: &[(&str, &str)]) -> Result<System> {
    let mut system = System::prepare(TestBed::new()?, settings).await?;
    system.start_workers()?;
    stock_up(&system).await?;
    Ok(system)
}

/// Runs `orderly` with these arguments, which must succeed.
pub(crate) fn orderly(system: &System, arguments: &[&str]) -> Result<()> {
    let mut command = Command::new(program("orderly")?);
    command.args(arguments).envs(system.environment()).env_remove("ORDERLY_TEST_NODES");
    let output = command.output()?;
    ensure!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    Ok(())
}

/// The article that the orders of a test are for.
pub(crate) const ARTICLE: &str = "lamp";
/// How many pieces of it there are.
const PIECES: i64 = 1_000_000;

/// Puts enough into the stock for any test.
pub(crate) async fn stock_up(system: &System) -> Result<()> {
    system.client.stock_up(&[(ARTICLE, PIECES)]).await?;
    system.databases.item_reaches(ARTICLE, PIECES, 0).await
}

/// Orders with ids that begin with `name`.
pub(crate) fn orders(name: &str, count: usize) -> Vec<Message> {
    (0..count).map(|n| place(&format!("{name}-{n}"), ARTICLE, 1, "tok_visa")).collect()
}

/// The first worker of `service`.
pub(crate) fn worker<'a>(system: &'a mut System, service: &str) -> Result<&'a mut Worker> {
    let mut workers = system.workers().iter_mut();
    let found = workers.find(|worker| worker.process.name().contains(service));
    found.with_context(|| format!("there is no {service} worker"))
}

/// Waits until a worker is not ready and says `word` about it; all it says.
pub(crate) async fn unready(system: &mut System, service: &str, word: &str) -> Result<String> {
    let worker = worker(system, service)?;
    let mut said = String::new();
    let outcome = eventually(&format!("the {service} worker to say {word:?}"), async || {
        worker.process.expect_running()?;
        said = worker.readiness()?;
        Ok((said.contains("\"ready\":false") && said.contains(word)).then_some(()))
    })
    .await;
    outcome.with_context(|| format!("it said last: {said}"))?;
    Ok(said)
}

/// Waits until every worker is ready.
pub(crate) async fn all_ready(system: &mut System) -> Result<()> {
    for worker in system.workers() {
        eventually(&format!("{} to be ready", worker.process), async || {
            worker.process.expect_running()?;
            Ok(worker.is_ready().then_some(()))
        })
        .await
        .with_context(|| format!("it says {:?}", worker.readiness()))?;
    }
    Ok(())
}

/// The sum of a metric over all its labels that contain `labels`.
pub(crate) fn metric(worker: &Worker, name: &str, labels: &str) -> Result<f64> {
    let page = worker.get("/metrics")?;
    let lines = page.lines().filter(|line| {
        line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['{', ' ']))
            && line.contains(labels)
    });
    Ok(lines.filter_map(|line| line.rsplit(' ').next()?.parse::<f64>().ok()).sum())
}

/// Waits until a metric of a worker has this value.
pub(crate) async fn metric_reaches(
    system: &mut System,
    service: &str,
    name: &str,
    value: f64,
) -> Result<()> {
    let worker = worker(system, service)?;
    eventually(&format!("{name} of {service} to be {value}"), async || {
        Ok((metric(worker, name, "")? == value).then_some(()))
    })
    .await
}

/// All orders placed have ended confirmed, and they are exactly those that were placed; no attempt
/// was used up, no letter is dead, the sums are right, and the audit is clean.
pub(crate) async fn expect_all_confirmed(system: &mut System, placed: &[Message]) -> Result<()> {
    for worker in system.workers() {
        let retries = metric(worker, "orderly_retries_total", "")?;
        ensure!(retries == 0.0, "{}: {retries} attempts were used up", worker.process);
    }
    expect_confirmed(system, placed).await
}

/// As [`expect_all_confirmed`], where some attempts may have been used up.
pub(crate) async fn expect_confirmed(system: &mut System, placed: &[Message]) -> Result<()> {
    let placed: BTreeSet<String> = placed.iter().filter_map(order_id).collect();
    let outcomes = system.databases.settled(placed.len() as i64).await?;
    let databases = &system.databases;
    let sql = "SELECT order_id FROM orders WHERE status = 'confirmed'";
    let rows = databases.order.query(sql, &[]).await?;
    let confirmed: BTreeSet<String> = rows.iter().map(|row| row.get(0)).collect();
    let lost: Vec<_> = placed.difference(&confirmed).collect();
    let strange: Vec<_> = confirmed.difference(&placed).collect();
    ensure!(lost.is_empty() && strange.is_empty(), "{outcomes:?} {lost:?} {strange:?}");
    eventually("all reservations to be settled", async || {
        let sql = "SELECT count(*) FROM reservations WHERE status = 'reserved'";
        let open: i64 = databases.stock.query_one(sql, &[]).await?.get(0);
        Ok((open == 0).then_some(()))
    })
    .await?;
    for database in [&databases.order, &databases.stock, &databases.payment] {
        let letters = databases.letters(database).await?;
        ensure!(letters.is_empty(), "{letters:?}");
    }
    databases.expect_conserved().await?;
    system.expect_clean_audit().map(drop)
}

fn order_id(message: &Message) -> Option<String> {
    message.properties.message_id.as_ref()?.strip_prefix("place-").map(str::to_owned)
}

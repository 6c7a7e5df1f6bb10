//! The system under fire: the shipped workers on real servers, with a trace of what they do.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::process::ExitStatus;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use orderly_contracts::routes::Party;
use orderly_devstack::{Endpoints, TestBed, Worker};
use orderly_e2e::{Databases, System, eventually};
use orderly_runtime::topology::WORKERS;

use crate::story::articles;

/// Settings under which everything comes about sooner than in production.
const SETTINGS: [(&str, &str); 9] = [
    // Long enough for whatever holds a lock here; short rungs first.
    ("ORDERLY_RETRY_DELAYS_MS", "50,100,200,400,800,1000,1001,1002,1003,1004"),
    ("ORDERLY_RETRY_OUTSIDE_ATTEMPTS", "3"),
    ("ORDERLY_SWEEP_AFTER_MS", "1000"),
    ("ORDERLY_TIMER_PERIOD_MS", "200"),
    // Orders that nobody pays for keep failing here, and must not keep all others waiting.
    ("ORDERLY_BREAKER_FAILURES_PERCENT", "100"),
    ("ORDERLY_BREAKER_PAUSE_MS", "50"),
    ("ORDERLY_BREAKER_PAUSE_MAX_MS", "200"),
    // A statement waits for a lock for a fifth of it.
    ("ORDERLY_STATEMENT_TIMEOUT_MS", "5000"),
    ("ORDERLY_LOG", "info"),
];
/// How often a process is looked at.
pub const LOOK: Duration = Duration::from_millis(10);

/// Broker, databases, and the workers that run at the moment.
pub struct Target {
    // Fields drop in this order: workers first.
    crew: Vec<(Party, Worker)>,
    system: System,
    /// Variables of the workers alone, such as proxies before their servers.
    workers_own: Vec<(String, String)>,
    trace: PathBuf,
    _folder: tempfile::TempDir,
}

impl Target {
    /// A target on the nodes that tests share, with a full stock and no worker.
    pub async fn prepare(extra: &[(&str, &str)]) -> Result<Self> {
        Self::on(TestBed::new()?, extra).await
    }

    /// A target on nodes of its own.
    pub async fn prepare_on(endpoints: &Endpoints, extra: &[(&str, &str)]) -> Result<Self> {
        Self::on(TestBed::on(endpoints)?, extra).await
    }

    async fn on(bed: TestBed, extra: &[(&str, &str)]) -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let trace = folder.path().join("trace.jsonl");
        // Nobody may have done anything yet.
        std::fs::File::create(&trace)?;
        let path = trace.display().to_string();
        let mut settings = vec![(orderly_faults::kill::TRACE, path.as_str())];
        settings.extend(SETTINGS);
        settings.extend(extra);
        let system = System::prepare(bed, &settings).await?;
        Ok(Self { crew: vec![], system, workers_own: vec![], trace, _folder: folder })
    }

    /// Fills the shelves, which needs a stock worker.
    pub async fn stock_up(&self) -> Result<()> {
        let articles = articles();
        self.system.client.stock_up(&articles).await?;
        let databases = self.databases().await?;
        for (sku, pieces) in articles {
            databases.item_reaches(sku, pieces, 0).await?;
        }
        Ok(())
    }

    /// Starts a worker of `party` with further variables; it is the caller's.
    pub fn recruit(&self, party: Party, extra: &[(&str, &str)]) -> Result<Worker> {
        let own = self.workers_own.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let all: Vec<_> = own.chain(extra.iter().copied()).collect();
        self.system.launch(party.name(), &format!("failing-{party}-worker"), &all)
    }

    /// Gives all workers to come, but nobody else, this variable.
    pub fn set_for_workers(&mut self, name: &str, value: String) {
        self.workers_own.push((name.to_owned(), value));
    }

    /// Starts one more worker of `party`, which keeps running; it may take its time to be ready.
    pub fn enlist(&mut self, party: Party) -> Result<()> {
        let worker = self.recruit(party, &[])?;
        self.crew.push((party, worker));
        Ok(())
    }

    /// Starts one more worker of `party`, which keeps running.
    pub async fn employ(&mut self, party: Party) -> Result<()> {
        let worker = self.recruit(party, &[])?;
        self.take_on(party, worker).await
    }

    /// Makes a worker one of those that keep running, once it is ready.
    pub async fn take_on(&mut self, party: Party, mut worker: Worker) -> Result<()> {
        ready(&mut worker).await?;
        self.crew.push((party, worker));
        Ok(())
    }

    /// Starts one more worker of every service.
    pub async fn employ_all(&mut self) -> Result<()> {
        for party in WORKERS {
            self.employ(party).await?;
        }
        Ok(())
    }

    /// Asks all workers to stop and waits for their end, which must be an orderly one.
    pub async fn dismiss_all(&mut self) -> Result<()> {
        for (_, worker) in &mut self.crew {
            worker.process.signal("TERM")?;
        }
        for (_, mut worker) in self.crew.drain(..) {
            let status = ended(&mut worker, "stop", Duration::from_secs(20)).await?;
            let log = || worker.process.tail(20);
            ensure!(status.success(), "{}: {status}\n{}", worker.process, log());
        }
        Ok(())
    }

    /// The workers that keep running.
    pub fn crew(&mut self) -> &mut Vec<(Party, Worker)> {
        &mut self.crew
    }

    /// The same, to look at.
    pub fn crew_ref(&self) -> &[(Party, Worker)] {
        &self.crew
    }

    /// Where the worker of `party` is among them.
    pub fn position(&self, party: Party) -> Result<usize> {
        let place = self.crew.iter().position(|(service, _)| *service == party);
        place.with_context(|| format!("no {party} worker runs"))
    }

    /// Fresh connections to the databases, whatever became of earlier ones.
    pub async fn databases(&self) -> Result<Databases> {
        eventually("the databases to answer", async || {
            Ok(Databases::connect(self.system.environment()).await.ok())
        })
        .await
    }

    /// The system: its variables, its virtual host, its programs.
    pub fn system(&self) -> &System {
        &self.system
    }

    /// The file that all workers write their trace to.
    pub fn trace(&self) -> &std::path::Path {
        &self.trace
    }
}

/// Waits until a worker is ready.
pub async fn ready(worker: &mut Worker) -> Result<()> {
    until(worker, "ready", Worker::is_ready).await
}

/// Waits until a worker can be asked anything: a signal before is for a process that has not begun.
pub async fn alive(worker: &mut Worker) -> Result<()> {
    until(worker, "alive", |worker| worker.get("/livez").is_ok()).await
}

async fn until(worker: &mut Worker, what: &str, is_so: impl Fn(&Worker) -> bool) -> Result<()> {
    let limit = Instant::now() + Duration::from_secs(60);
    while !is_so(worker) {
        worker.process.expect_running()?;
        let log = || worker.process.tail(20);
        ensure!(Instant::now() < limit, "{} is not {what}:\n{}", worker.process, log());
        tokio::time::sleep(LOOK).await;
    }
    Ok(())
}

/// Waits for the end of a worker that is about to `do_what`; fails by that name.
pub async fn ended(worker: &mut Worker, do_what: &str, limit: Duration) -> Result<ExitStatus> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(status) = worker.process.status()? {
            return Ok(status);
        }
        if Instant::now() > deadline {
            let log = worker.process.tail(20);
            bail!("{} did not {do_what} within {limit:?}:\n{log}", worker.process);
        }
        tokio::time::sleep(LOOK).await;
    }
}

/// That a worker's end was a SIGKILL, and nothing else.
pub fn expect_killed(worker: &Worker, status: ExitStatus) -> Result<()> {
    const SIGKILL: i32 = 9;
    let log = || worker.process.tail(20);
    ensure!(status.signal() == Some(SIGKILL), "{}: {status}\n{}", worker.process, log());
    Ok(())
}

//! A system of its own for a test: topology, schemas and worker processes.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use orderly_contracts::routes::Party;
use orderly_devstack::{Endpoints, Environment, Prometheus, TestBed, Watched, Worker, variable};
use orderly_runtime::amqp::broker::AmqpBroker;
use orderly_runtime::amqp::declare::declare;
use orderly_runtime::broker::Broker;
use orderly_runtime::config::{Config, Reader};
use orderly_runtime::postgres::migrate::migrate;
use orderly_runtime::retry::Ladder;

use crate::broker::Client;
use crate::database::Databases;

/// How long anything may take that a test waits for.
const PATIENCE: Duration = Duration::from_secs(60);
/// Rungs that let a test see a message come back within moments.
const RETRY_DELAYS_MS: &str = "100,200,400";

/// Broker, databases and workers. Dropping it ends the workers and removes everything.
pub struct System {
    // Fields drop in this order: workers first.
    workers: Vec<Worker>,
    /// Publishes and consumes as a client does.
    pub client: Client,
    /// Looks into the databases.
    pub databases: Databases,
    environment: Environment,
    logs: tempfile::TempDir,
    bed: TestBed,
}

impl System {
    /// A system with one worker a service, on the nodes that all tests share.
    pub async fn start() -> Result<Self> {
        let mut system = Self::prepare(TestBed::new()?, &[]).await?;
        system.start_workers()?;
        Ok(system)
    }

    /// A system with one worker a service, on nodes of the test's own.
    pub async fn start_on(endpoints: &Endpoints) -> Result<Self> {
        let mut system = Self::prepare(TestBed::on(endpoints)?, &[]).await?;
        system.start_workers()?;
        Ok(system)
    }

    /// A system without workers, with further settings for those to be started.
    pub async fn prepare(bed: TestBed, settings: &[(&str, &str)]) -> Result<Self> {
        let mut environment = bed.env();
        environment.insert("ORDERLY_RETRY_DELAYS_MS".to_owned(), RETRY_DELAYS_MS.to_owned());
        environment.extend(settings.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
        let config = read(Party::Order, &environment)?;
        let broker = AmqpBroker::connect(&config.broker, "test setup").await?;
        declare(&broker, &config.ladder).await?;
        broker.close().await;
        let own = [
            (Party::Order, orderly_order::migrations as fn() -> _),
            (Party::Stock, orderly_stock::migrations),
            (Party::Payment, orderly_payment::migrations),
        ];
        for (party, migrations) in own {
            migrate(&read(party, &environment)?.database, migrations()).await?;
        }
        Ok(Self {
            workers: vec![],
            client: Client::connect(&config.broker).await?,
            databases: Databases::connect(&environment).await?,
            environment,
            logs: tempfile::tempdir()?,
            bed,
        })
    }

    /// Starts one more worker of every service and waits until each is ready.
    pub fn start_workers(&mut self) -> Result<()> {
        for service in ["order", "stock", "payment"] {
            self.start_worker(service)?;
        }
        Ok(())
    }

    /// Starts one more worker of `service`; its place among [`System::workers`].
    pub fn start_worker(&mut self, service: &str) -> Result<usize> {
        let mut environment = self.environment.clone();
        let fresh = self.bed.env();
        let http = variable(service, "HTTP");
        let is_first = !self.workers.iter().any(|worker| worker.process.name().contains(service));
        if !is_first {
            // A second replica needs an address of its own.
            let port = orderly_devstack::free_port()?;
            environment.insert(http, format!("127.0.0.1:{port}"));
        } else if let Some(address) = fresh.get(&http) {
            environment.insert(http, address.clone());
        }
        let mut worker = Worker::start(&program("")?, service, &environment, self.logs.path())?;
        worker.wait_ready()?;
        self.workers.push(worker);
        Ok(self.workers.len() - 1)
    }

    /// Starts `program`, such as `failing-stock-worker`, as one more worker of `service` with
    /// further variables. It may be about to fail, so nobody waits for it, and it is the caller's.
    pub fn launch(&self, service: &str, program: &str, extra: &[(&str, &str)]) -> Result<Worker> {
        let mut environment = self.environment.clone();
        let address = format!("127.0.0.1:{}", orderly_devstack::free_port()?);
        environment.insert(variable(service, "HTTP"), address);
        environment.extend(extra.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())));
        Worker::start_as(&self::program(program)?, service, &environment, self.logs.path())
    }

    /// Runs `orderly` with these arguments; whether it succeeded, and what it says.
    pub fn orderly(&self, arguments: &[&str]) -> Result<(bool, String)> {
        let mut orderly = Command::new(program("orderly")?);
        orderly.args(arguments).envs(&self.environment).env_remove("ORDERLY_TEST_NODES");
        let output = orderly.output()?;
        let said = [output.stdout, output.stderr].concat();
        Ok((output.status.success(), String::from_utf8_lossy(&said).into_owned()))
    }

    /// Connects the client and the databases again, after a restart of the nodes.
    pub async fn reconnect(&mut self) -> Result<()> {
        self.client = Client::connect(&read(Party::Order, &self.environment)?.broker).await?;
        self.databases = Databases::connect(&self.environment).await?;
        Ok(())
    }

    /// Runs `orderly audit`, which must find nothing violated; what it says.
    pub fn expect_clean_audit(&self) -> Result<String> {
        let mut audit = Command::new(program("orderly")?);
        audit.arg("audit").envs(&self.environment).env_remove("ORDERLY_TEST_NODES");
        let output = audit.output()?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        ensure!(output.status.success(), "the audit is not clean:\n{said}");
        Ok(said)
    }

    /// All workers, in the order of their start.
    pub fn workers(&mut self) -> &mut Vec<Worker> {
        &mut self.workers
    }

    /// Further settings for workers started from now on, such as a proxy before a server. The
    /// client and the databases of this test stay connected as they are.
    pub fn set(&mut self, settings: &[(&str, &str)]) {
        let settings = settings.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        self.environment.extend(settings);
    }

    /// All workers, to be asked and not to be changed.
    pub fn running(&self) -> &[Worker] {
        &self.workers
    }

    /// Starts a Prometheus as it ships, which looks at the running workers and their broker `every`
    /// such as `5s`; its own files lie in `home`.
    pub fn watch(&self, home: &Path, every: &str) -> Result<Prometheus> {
        let each = self.workers.iter();
        let workers = each
            .map(|worker| (worker.process.name().trim_end_matches("-worker"), worker.address()));
        let broker = &self.bed.endpoints().broker;
        let watched =
            Watched { workers: workers.collect(), broker, vhost: self.bed.vhost(), every };
        let shipped = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../deploy/prometheus");
        Prometheus::start(&shipped, home, &watched)
    }

    /// The variables that workers and `orderly` read.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// The virtual host and the databases.
    pub fn bed(&self) -> &TestBed {
        &self.bed
    }

    /// The delays of the retry ladder in this system.
    pub fn ladder(&self) -> Result<Ladder> {
        Ok(read(Party::Order, &self.environment)?.ladder)
    }
}

fn read(party: Party, environment: &Environment) -> Result<Config> {
    let variables = environment.iter().map(|(name, value)| (name.clone(), value.clone()));
    Ok(Config::read(party, variables)?)
}

/// The address of a service's database.
pub(crate) fn database_address(
    environment: &Environment,
    service: &str,
) -> Result<orderly_runtime::config::Address> {
    let variables = environment.iter().map(|(name, value)| (name.clone(), value.clone()));
    let prefix = format!("ORDERLY_{}_DATABASE", service.to_uppercase());
    Reader::new(variables)
        .address(&prefix, &["postgres", "postgresql"])
        .with_context(|| format!("{prefix}_URL is missing"))
}

/// A program of the project, where this one was built; the folder itself for `""`.
pub fn program(name: &str) -> Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folder = own.parent().context("a program lies in a folder")?;
    // Tests lie one folder deeper than the programs they start.
    let is_test = folder.file_name().is_some_and(|name| name == "deps");
    let folder = if is_test { folder.parent().context("so does a test")? } else { folder };
    Ok(folder.join(name))
}

/// Waits until `check` gives a value; fails with `what` if it takes too long.
pub async fn eventually<T>(
    what: &str,
    mut check: impl AsyncFnMut() -> Result<Option<T>>,
) -> Result<T> {
    let deadline = Instant::now() + PATIENCE;
    loop {
        if let Some(value) = check().await? {
            return Ok(value);
        }
        if Instant::now() > deadline {
            bail!("waited {PATIENCE:?} in vain: {what}");
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

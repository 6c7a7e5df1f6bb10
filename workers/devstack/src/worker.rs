//! Worker processes: started with their variables alone, ready when they say so.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use crate::account::Account;
use crate::environment::{Environment, SERVICES, give, variable};
use crate::process::Process;

/// How long a worker may take to become ready.
const READY_LIMIT: Duration = Duration::from_secs(30);

/// Starts a program bound to this process, with `environment` as its only `ORDERLY_*` variables.
///
/// Its log is `<program's name>.log` in the folder `logs`; a second program of that name appends to it.
pub fn start_program(
    program: &Path,
    arguments: &[&str],
    environment: &Environment,
    logs: &Path,
) -> Result<Process> {
    let name = program.file_name().context("a program needs a name")?.to_string_lossy();
    let mut command = Account::Own.command(program, "KILL");
    command.args(arguments);
    give(&mut command, environment);
    Process::start(&name, command, &logs.join(format!("{name}.log")))
}

/// One worker process and the address of its health and metrics.
pub struct Worker {
    /// The process: its pid, its log, its signals.
    pub process: Process,
    address: String,
}

impl Worker {
    /// Starts `<service>-worker` from the folder `bin`; see [`Worker::wait_ready`].
    pub fn start(
        bin: &Path,
        service: &str,
        environment: &Environment,
        logs: &Path,
    ) -> Result<Self> {
        Self::start_as(&bin.join(format!("{service}-worker")), service, environment, logs)
    }

    /// Starts `program` as the worker of `service`: one that is not the shipped one, but does its work.
    pub fn start_as(
        program: &Path,
        service: &str,
        environment: &Environment,
        logs: &Path,
    ) -> Result<Self> {
        let name = variable(service, "HTTP");
        let address = environment.get(&name).with_context(|| format!("{name} is missing"))?.clone();
        let process = start_program(program, &[], environment, logs)?;
        Ok(Self { process, address })
    }

    /// Where the worker serves `/livez`, `/readyz` and `/metrics`, as `host:port`.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// The same as `http://host:port`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The body of a GET, if the worker answers with a success.
    pub fn get(&self, path: &str) -> Result<String> {
        get(&format!("{}{path}", self.url()))
    }

    /// Whether the worker says that it is ready.
    pub fn is_ready(&self) -> bool {
        self.get("/readyz").is_ok()
    }

    /// What the worker says about its readiness, whether it is ready or not.
    pub fn readiness(&self) -> Result<String> {
        body(&format!("{}/readyz", self.url()), false)
    }

    /// The sum of a metric over all its labels; zero if the worker has none of it yet.
    pub fn metric(&self, name: &str) -> Result<f64> {
        let page = self.get("/metrics")?;
        let values = page.lines().filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            (rest.starts_with(['{', ' '])).then(|| rest.rsplit(' ').next())?
        });
        values.map(|value| value.parse::<f64>().with_context(|| format!("{name} is {value}"))).sum()
    }

    /// Waits until the worker is ready; fails, with the end of its log, if it ends or takes too long.
    pub fn wait_ready(&mut self) -> Result<()> {
        let url = format!("{}/readyz", self.url());
        self.process.wait_until("be ready", READY_LIMIT, || get(&url).is_ok())
    }
}

/// The body of a GET of `url`, if it is answered with a success.
pub fn get(url: &str) -> Result<String> {
    body(url, true)
}

fn body(url: &str, must_succeed: bool) -> Result<String> {
    let agent = ureq::Agent::new_with_config(
        ureq::Agent::config_builder()
            .timeout_global(Some(Duration::from_secs(5)))
            .http_status_as_error(must_succeed)
            .proxy(None)
            .build(),
    );
    let mut response = agent.get(url).call().with_context(|| format!("no success from {url}"))?;
    Ok(response.body_mut().read_to_string()?)
}

/// The three workers of a system.
pub struct Workers {
    /// `order-worker`.
    pub order: Worker,
    /// `stock-worker`.
    pub stock: Worker,
    /// `payment-worker`.
    pub payment: Worker,
}

impl Workers {
    /// Starts all three from the folder `bin` and waits until each is ready.
    pub fn start(bin: &Path, environment: &Environment, logs: &Path) -> Result<Self> {
        let [order, stock, payment] =
            SERVICES.map(|service| Worker::start(bin, service, environment, logs));
        let mut workers = Self { order: order?, stock: stock?, payment: payment? };
        for (_, worker) in workers.each_mut() {
            worker.wait_ready()?;
        }
        Ok(workers)
    }

    /// All three, each with the name of its service.
    pub fn each(&self) -> [(&'static str, &Worker); 3] {
        [("order", &self.order), ("stock", &self.stock), ("payment", &self.payment)]
    }

    /// All three, to send signals to.
    pub fn each_mut(&mut self) -> [(&'static str, &mut Worker); 3] {
        [("order", &mut self.order), ("stock", &mut self.stock), ("payment", &mut self.payment)]
    }
}

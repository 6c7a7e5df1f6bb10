//! The whole system on private nodes: databases, topology, the three workers, and Prometheus to watch them.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::account::Account;
use crate::environment::{Environment, SERVICES, environment, give};
use crate::keeper;
use crate::nodes::Nodes;
use crate::prometheus::{Prometheus, Watched};
use crate::worker::{Worker, Workers};

const VHOST: &str = "orderly";

/// Nodes with an empty virtual host and empty databases, and the programs to run on them.
pub struct Stack {
    // First, because fields are dropped in this order: workers go before their nodes.
    workers: Option<Workers>,
    prometheus: Option<Prometheus>,
    nodes: Nodes,
    bin: PathBuf,
    environment: Environment,
}

impl Stack {
    /// Starts the nodes; the programs are looked for in the folder `bin`.
    pub fn start(bin: &Path) -> Result<Self> {
        let bin = bin
            .canonicalize()
            .with_context(|| format!("the folder of programs {} is missing", bin.display()))?;
        let nodes = Nodes::start()?;
        let endpoints = nodes.endpoints();
        endpoints.create_vhost(VHOST)?;
        let databases = SERVICES.map(database);
        endpoints.create_databases(&databases.each_ref().map(String::as_str))?;
        let environment = environment(endpoints, VHOST, database)?;
        Ok(Self { workers: None, prometheus: None, nodes, bin, environment })
    }

    /// Starts the three workers and waits until each is ready.
    pub fn start_workers(&mut self) -> Result<()> {
        let workers = Workers::start(&self.bin, &self.environment, self.nodes.folder())?;
        self.workers = Some(workers);
        Ok(())
    }

    /// Starts a Prometheus that watches the workers and the broker by what lies in the folder `shipped`.
    pub fn start_prometheus(&mut self, shipped: &Path) -> Result<()> {
        let workers = self.workers.as_ref().context("there are no workers to watch")?.each();
        let workers = workers.map(|(service, worker)| (service, worker.address())).to_vec();
        let broker = &self.nodes.endpoints().broker;
        let watched = Watched { workers, broker, vhost: VHOST, every: "5s" };
        self.prometheus = Some(Prometheus::start(shipped, self.nodes.folder(), &watched)?);
        Ok(())
    }

    /// Runs `orderly` in the foreground; fails if it does.
    pub fn orderly(&self, arguments: &[&str]) -> Result<()> {
        let mut command = Account::Own.command(self.bin.join("orderly"), "TERM");
        command.args(arguments);
        give(&mut command, &self.environment);
        let call = format!("orderly {}", arguments.join(" "));
        let status = keeper::spawn(command)
            .and_then(|mut child| child.wait())
            .with_context(|| format!("cannot start `{call}`"))?;
        if !status.success() {
            bail!("`{call}` failed ({status})");
        }
        Ok(())
    }

    /// The nodes.
    pub fn nodes(&self) -> &Nodes {
        &self.nodes
    }

    /// The workers, once started.
    pub fn workers(&self) -> Option<&Workers> {
        self.workers.as_ref()
    }

    /// Prometheus, once started.
    pub fn prometheus(&self) -> Option<&Prometheus> {
        self.prometheus.as_ref()
    }

    /// Starts each worker again that has ended; yields their services and new pids.
    pub fn restart_ended_workers(&mut self) -> Result<Vec<(&'static str, u32)>> {
        let mut restarted = Vec::new();
        for (service, worker) in self.workers.iter_mut().flat_map(Workers::each_mut) {
            if worker.process.status()?.is_some() {
                let logs = self.nodes.folder();
                *worker = Worker::start(&self.bin, service, &self.environment, logs)?;
                restarted.push((service, worker.process.pid()));
            }
        }
        Ok(restarted)
    }

    /// The variables for workers and for `orderly`.
    pub fn environment(&self) -> &Environment {
        &self.environment
    }

    /// The folder of the programs, in full.
    pub fn bin(&self) -> &Path {
        &self.bin
    }
}

fn database(service: &str) -> String {
    format!("orderly_{service}")
}

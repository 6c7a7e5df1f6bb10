//! One private RabbitMQ and one private PostgreSQL node, for as long as a value of this type lives.

use std::path::Path;
use std::thread;

use anyhow::{Result, anyhow};

use crate::broker::Broker;
use crate::certificate::Certificate;
use crate::database::Database;
use crate::disk::Disk;
use crate::endpoints::Endpoints;
use crate::folder::Folder;
use crate::insight::Insight;

/// A pair of nodes on free loopback ports, with all their data in one temporary folder.
///
/// Dropping it ends the nodes and removes the folder. So does the end of this process, in whatever way.
pub struct Nodes {
    endpoints: Endpoints,
    broker: Broker,
    database: Database,
    // Last, because fields are dropped in this order.
    folder: Folder,
}

impl Nodes {
    /// Starts both nodes, side by side, and comes back when both are ready to be used.
    pub fn start() -> Result<Self> {
        Self::start_with(Disk::Usual, Insight::Usual)
    }

    /// As [`Nodes::start`], with PostgreSQL's tables on a disk of this kind, and servers that look at themselves
    /// this closely.
    pub fn start_with(disk: Disk, insight: Insight) -> Result<Self> {
        let folder = Folder::create()?;
        let run = folder.path();
        let certificate = Certificate::issue()?;
        certificate.write_authority(run)?;
        let (broker, database) = thread::scope(|scope| {
            let database = scope.spawn(|| Database::create(run, &certificate, disk, insight));
            let broker = Broker::create(run, &certificate, insight);
            let panicked = |_| Err(anyhow!("the start of PostgreSQL panicked"));
            (broker, database.join().unwrap_or_else(panicked))
        });
        let (broker, database) = (broker?, database?);
        let endpoints = Endpoints {
            broker: broker.endpoint().clone(),
            database: database.endpoint().clone(),
            ca_file: run.join("ca.pem"),
        };
        Ok(Self { endpoints, broker, database, folder })
    }

    /// Where the nodes listen; the same after a restart.
    pub fn endpoints(&self) -> &Endpoints {
        &self.endpoints
    }

    /// The folder of this run: data, logs, certificates; put there whatever must not outlive it.
    pub fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Stops RabbitMQ in good order.
    pub fn stop_broker(&mut self) -> Result<()> {
        self.broker.stop()
    }

    /// Kills RabbitMQ, as a power cut would.
    pub fn kill_broker(&mut self) -> Result<()> {
        self.broker.kill()
    }

    /// Starts RabbitMQ again on its data and waits until it takes connections.
    pub fn start_broker(&mut self) -> Result<()> {
        self.broker.start()
    }

    /// Stops RabbitMQ in good order and starts it again.
    pub fn restart_broker(&mut self) -> Result<()> {
        self.stop_broker()?;
        self.start_broker()
    }

    /// Freezes RabbitMQ: its connections stay, and nothing answers.
    pub fn freeze_broker(&mut self) -> Result<()> {
        self.broker.freeze()
    }

    /// Lets RabbitMQ go on.
    pub fn thaw_broker(&mut self) -> Result<()> {
        self.broker.thaw()
    }

    /// Runs `rabbitmqctl` on RabbitMQ, which takes seconds; what it prints. For what its management
    /// can't do.
    pub fn rabbitmqctl(&self, arguments: &[&str]) -> Result<String> {
        self.broker.control(arguments)
    }

    /// Stops PostgreSQL, breaking off its sessions.
    pub fn stop_database(&mut self) -> Result<()> {
        self.database.stop()
    }

    /// Kills PostgreSQL; it has to recover from its log when it starts again.
    pub fn kill_database(&mut self) -> Result<()> {
        self.database.kill()
    }

    /// Starts PostgreSQL again on its data and waits until it answers.
    pub fn start_database(&mut self) -> Result<()> {
        self.database.start()
    }

    /// Stops PostgreSQL, breaking off its sessions, and starts it again.
    pub fn restart_database(&mut self) -> Result<()> {
        self.stop_database()?;
        self.start_database()
    }

    /// Freezes PostgreSQL with all its sessions: connections stay, and nothing answers.
    pub fn freeze_database(&mut self) -> Result<()> {
        self.database.freeze()
    }

    /// Lets PostgreSQL go on.
    pub fn thaw_database(&mut self) -> Result<()> {
        self.database.thaw()
    }

    /// Fills the disk of PostgreSQL's tables, which must be [`Disk::Small`], to the last byte.
    pub fn fill_database_disk(&self) -> Result<()> {
        self.database.fill_disk()
    }

    /// Makes room on that disk again.
    pub fn free_database_disk(&self) -> Result<()> {
        self.database.free_disk()
    }
}

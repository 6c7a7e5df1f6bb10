//! A private PostgreSQL node: made, started, stopped, killed, started again on the same data.

use std::fs::{self, Permissions};
use std::net::Ipv4Addr;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::account::Account;
use crate::certificate::Certificate;
use crate::disk::{self, Disk};
use crate::endpoints::{DatabaseEndpoint, write_private};
use crate::folder;
use crate::insight::Insight;
use crate::ports::{free_port, until_ports_are_free};
use crate::process::{Process, send_signal};
use crate::random::random_word;
use crate::sql;
use crate::wait::wait_for;

const LIMIT: Duration = Duration::from_secs(60);

/// PostgreSQL's way out without a checkpoint: it ends its children and leaves no shared memory behind.
const IMMEDIATE: &str = "QUIT";
/// PostgreSQL's way out that breaks off sessions but leaves the data clean.
const FAST: &str = "INT";

/// A PostgreSQL node with its data in a folder of its own.
pub(crate) struct Database {
    run: PathBuf,
    home: PathBuf,
    account: Account,
    endpoint: DatabaseEndpoint,
    disk: Disk,
    insight: Insight,
    server: Option<Process>,
}

impl Database {
    /// Makes a node under `run`, the folder of the run, and waits until it answers a query.
    pub(crate) fn create(
        run: &Path,
        certificate: &Certificate,
        disk: Disk,
        insight: Insight,
    ) -> Result<Self> {
        let home = run.join("database");
        let account = Account::for_server("postgres")?;
        fs::create_dir(&home)?;
        fs::set_permissions(&home, Permissions::from_mode(0o700))?;
        account.take(&home)?;
        certificate.write(&home, account)?;
        let endpoint = DatabaseEndpoint {
            host: Ipv4Addr::LOCALHOST.to_string(),
            port: 0,
            superuser: "orderly".to_owned(),
            password: random_word(24)?,
        };
        let run = run.to_owned();
        let mut node = Self { run, home, account, endpoint, disk, insight, server: None };
        node.initialize()?;
        until_ports_are_free(|| {
            node.endpoint.port = free_port()?;
            node.configure()?;
            node.start()
        })?;
        Ok(node)
    }

    pub(crate) fn endpoint(&self) -> &DatabaseEndpoint {
        &self.endpoint
    }

    /// Starts the node, unless it runs, and waits until it answers a query.
    pub(crate) fn start(&mut self) -> Result<()> {
        if self.server.is_some() {
            return Ok(());
        }
        let mut command = self.command("postgres", IMMEDIATE)?;
        command.arg("-D").arg(self.data());
        let command = self.disk.command(command, &self.tables())?;
        let mut server = Process::start("PostgreSQL", command, &self.run.join("database.log"))?;
        folder::record(&self.run, "database", server.pid())?;
        server.wait_until("answer a query", LIMIT, || {
            self.endpoint.execute("postgres", &["SELECT 1".to_owned()]).is_ok()
        })?;
        self.server = Some(server);
        Ok(())
    }

    /// Breaks off all sessions and stops with a checkpoint.
    pub(crate) fn stop(&mut self) -> Result<()> {
        self.end_by(FAST)
    }

    /// SIGKILL; comes back when the last process of the node has gone and the data can be used again.
    pub(crate) fn kill(&mut self) -> Result<()> {
        if let Some(mut server) = self.server.take() {
            server.kill()?;
        }
        wait_for("the end of PostgreSQL's sessions", LIMIT, || {
            Ok(self.sessions()?.is_empty().then_some(()))
        })
    }

    /// SIGSTOP to the server and each of its processes.
    pub(crate) fn freeze(&mut self) -> Result<()> {
        // The server first: it would start again what it misses.
        self.server.as_mut().map_or(Ok(()), |server| server.signal("STOP"))?;
        for session in self.sessions()? {
            // A frozen process does not see that its server has gone: it must not be forgotten.
            folder::record(&self.run, &format!("frozen-{session}"), session)?;
            send_signal("STOP", &session.to_string())?;
        }
        Ok(())
    }

    /// SIGCONT to all of them.
    pub(crate) fn thaw(&mut self) -> Result<()> {
        for session in self.sessions()? {
            send_signal("CONT", &session.to_string())?;
        }
        self.server.as_mut().map_or(Ok(()), |server| server.signal("CONT"))
    }

    /// Fills the disk of the tables.
    pub(crate) fn fill_disk(&self) -> Result<()> {
        disk::fill(self.pid()?, &self.tables())
    }

    /// Makes room on it again.
    pub(crate) fn free_disk(&self) -> Result<()> {
        disk::free(self.pid()?, &self.tables())
    }

    fn pid(&self) -> Result<u32> {
        let server = self.server.as_ref().context("PostgreSQL does not run")?;
        Ok(server.pid())
    }

    fn end_by(&mut self, signal: &str) -> Result<()> {
        if let Some(mut server) = self.server.take() {
            server.signal(signal)?;
            server.wait(LIMIT)?;
        }
        Ok(())
    }

    fn initialize(&self) -> Result<()> {
        let password = self.run.join("database.password");
        write_private(&password, &self.endpoint.password)?;
        self.account.take(&password)?;
        let mut command = self.command("initdb", "KILL")?;
        command
            .arg("--pgdata")
            .arg(self.data())
            .args(["--username", &self.endpoint.superuser, "--auth=scram-sha-256"])
            .args(["--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions"])
            .arg("--pwfile")
            .arg(&password);
        let mut initdb = Process::start("initdb", command, &self.run.join("initdb.log"))?;
        let status = initdb.wait(LIMIT)?;
        if !status.success() {
            bail!("initdb failed ({status}):\n{}", initdb.output());
        }
        fs::remove_file(&password)?;
        Ok(())
    }

    /// Durable as in production (the tests prove that nothing is lost), with room for many tests at once.
    fn configure(&self) -> Result<()> {
        let home = self.home.display();
        let settings = format!(
            "listen_addresses = '{host}'
port = {port}
unix_socket_directories = '{home}'
cluster_name = '{name}'
max_connections = 300
shared_buffers = 128MB
min_wal_size = 1GB
max_wal_size = 2GB
fsync = on
synchronous_commit = on
ssl = on
ssl_ca_file = '{home}/ca.pem'
ssl_cert_file = '{home}/server.pem'
ssl_key_file = '{home}/server.key'
timezone = 'UTC'
log_timezone = 'UTC'
{more}",
            host = self.endpoint.host,
            port = self.endpoint.port,
            name = self.name(),
            more = self.insight.database_settings(),
        );
        let path = self.data().join("postgresql.auto.conf");
        fs::write(&path, settings).with_context(|| format!("cannot write {}", path.display()))?;
        self.account.take(&path)
    }

    fn command(&self, program: &str, on_our_end: &str) -> Result<Command> {
        let mut command = self.account.command(sql::program(program)?, on_our_end);
        // PG* and LC_* of whoever started us must not change the node.
        command.env_clear().env("PATH", "/usr/bin:/bin").env("LC_ALL", "C.UTF-8");
        command.current_dir(&self.home);
        Ok(command)
    }

    fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    fn tables(&self) -> PathBuf {
        self.data().join("base")
    }

    /// The run's name, which PostgreSQL shows in the titles of its processes.
    fn name(&self) -> String {
        self.run.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }

    /// The processes of the server but for itself.
    fn sessions(&self) -> Result<Vec<u32>> {
        let title = format!("postgres: {}: ", self.name());
        let processes = fs::read_dir("/proc")?.flatten();
        let ours = processes.filter(|process| {
            fs::read(process.path().join("cmdline"))
                .is_ok_and(|line| line.starts_with(title.as_bytes()))
        });
        Ok(ours.filter_map(|process| process.file_name().to_str()?.parse().ok()).collect())
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // A frozen server heeds no signal; one that is not frozen does not mind.
        let thawed = self.thaw();
        if let Err(error) = self.end_by(IMMEDIATE).and(thawed) {
            eprintln!("devstack: {error:#}");
        }
    }
}

//! A private RabbitMQ node: made, started, stopped, killed, started again on the same data.

use std::fs::{self, Permissions};
use std::net::{Ipv4Addr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::account::Account;
use crate::certificate::Certificate;
use crate::endpoints::BrokerEndpoint;
use crate::folder;
use crate::insight::Insight;
use crate::ports::{free_port, until_ports_are_free};
use crate::process::Process;
use crate::random::random_word;
use crate::wait::wait_for;

const LIMIT: Duration = Duration::from_secs(120);
/// What RabbitMQ prints last when it stops, with everything closed.
const LAST_WORDS: &str = "Management plugin: to stop collect_statistics";
/// Debian's start script; the wrapper of that name in `/usr/sbin` insists on the system's own node.
pub(crate) const SERVER: &str = "/usr/lib/rabbitmq/bin/rabbitmq-server";
/// Debian's control program, without the wrapper that insists on the system's own account.
const CONTROL: &str = "/usr/lib/rabbitmq/bin/rabbitmqctl";
/// Erlang's registry of nodes.
pub(crate) const REGISTRY: &str = "/usr/bin/epmd";
/// What the other form of configuration has no words for. A log file of the quorum queues has its whole length from the
/// beginning, as on Compose: then a flush has no new length to note.
const ADVANCED: &str = "[{ra, [{wal_pre_allocate, true}]}].\n";

/// A RabbitMQ node with its data, and the registry of Erlang nodes that it needs, to itself.
pub(crate) struct Broker {
    run: PathBuf,
    home: PathBuf,
    account: Account,
    endpoint: BrokerEndpoint,
    distribution_port: u16,
    registry_port: u16,
    insight: Insight,
    server: Option<Process>,
    registry: Option<Process>,
}

impl Broker {
    /// Makes a node under `run`, the folder of the run, and waits until it takes connections.
    pub(crate) fn create(run: &Path, certificate: &Certificate, insight: Insight) -> Result<Self> {
        let home = run.join("broker");
        let account = Account::for_server("rabbitmq")?;
        fs::create_dir(&home)?;
        fs::set_permissions(&home, Permissions::from_mode(0o700))?;
        account.take(&home)?;
        certificate.write(&home, account)?;
        fs::write(home.join("enabled_plugins"), "[rabbitmq_management,rabbitmq_prometheus].\n")?;
        let password = random_word(24)?;
        until_ports_are_free(|| {
            let mut node = Self {
                run: run.to_owned(),
                home: home.clone(),
                account,
                endpoint: endpoint(&password)?,
                distribution_port: free_port()?,
                registry_port: free_port()?,
                insight,
                server: None,
                registry: None,
            };
            node.configure()?;
            node.start_registry()?;
            node.start()?;
            Ok(node)
        })
    }

    pub(crate) fn endpoint(&self) -> &BrokerEndpoint {
        &self.endpoint
    }

    /// Starts the node, unless it runs, and waits until all its listeners answer.
    pub(crate) fn start(&mut self) -> Result<()> {
        if self.server.is_some() {
            return Ok(());
        }
        let mut server =
            Process::start("RabbitMQ", self.server_command(), &self.run.join("broker.log"))?;
        folder::record(&self.run, "broker", server.pid())?;
        server.wait_until("take connections", LIMIT, || self.is_ready())?;
        self.server = Some(server);
        Ok(())
    }

    /// Stops the node in good order.
    ///
    /// RabbitMQ 3.10 has closed its stores within a moment of SIGTERM. With the management plugin it then
    /// waits five seconds for a process of its own that has gone already; we don't.
    pub(crate) fn stop(&mut self) -> Result<()> {
        let Some(mut server) = self.server.take() else {
            return Ok(());
        };
        let printed = server.output().len();
        server.signal("TERM")?;
        wait_for("the end of RabbitMQ", LIMIT, || {
            let closed = server.output()[printed..].contains(LAST_WORDS);
            Ok((closed || server.status()?.is_some()).then_some(()))
        })?;
        server.kill()
    }

    /// SIGKILL.
    pub(crate) fn kill(&mut self) -> Result<()> {
        self.server.take().map_or(Ok(()), |mut server| server.kill())
    }

    /// SIGSTOP: the node keeps its connections and says nothing on them any more.
    pub(crate) fn freeze(&mut self) -> Result<()> {
        self.server.as_mut().map_or(Ok(()), |server| server.signal("STOP"))
    }

    /// SIGCONT.
    pub(crate) fn thaw(&mut self) -> Result<()> {
        self.server.as_mut().map_or(Ok(()), |server| server.signal("CONT"))
    }

    /// Runs `rabbitmqctl` on the node; what it prints.
    pub(crate) fn control(&self, arguments: &[&str]) -> Result<String> {
        let mut command = self.account.command(CONTROL, "KILL");
        self.surround(&mut command);
        let output = command.args(arguments).output().context("cannot start rabbitmqctl")?;
        let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).trim_end().to_owned();
        if !output.status.success() {
            let (out, error) = (said(&output.stdout), said(&output.stderr));
            bail!("rabbitmqctl {} failed: {out}{error}", arguments.join(" "));
        }
        Ok(said(&output.stdout))
    }

    /// Starts `epmd` as our own child: left to itself, Erlang starts a daemon that outlives every node.
    fn start_registry(&mut self) -> Result<()> {
        let mut command = self.account.command(REGISTRY, "KILL");
        command
            .args(["-address", &self.endpoint.host])
            .args(["-port", &self.registry_port.to_string()])
            .env_clear()
            .current_dir(&self.home);
        let mut registry = Process::start("epmd", command, &self.run.join("epmd.log"))?;
        folder::record(&self.run, "epmd", registry.pid())?;
        registry.wait_until("listen", LIMIT, || self.accepts(self.registry_port))?;
        self.registry = Some(registry);
        Ok(())
    }

    fn configure(&self) -> Result<()> {
        let BrokerEndpoint { host, user, password, .. } = &self.endpoint;
        let settings = format!(
            "listeners.tcp.orderly = {host}:{amqp}
listeners.ssl.orderly = {host}:{amqps}
ssl_options.cacertfile = {home}/ca.pem
ssl_options.certfile = {home}/server.pem
ssl_options.keyfile = {home}/server.key
ssl_options.verify = verify_none
ssl_options.fail_if_no_peer_cert = false
management.tcp.ip = {host}
management.tcp.port = {management}
prometheus.tcp.ip = {host}
prometheus.tcp.port = {prometheus}
default_user = {user}
default_pass = {password}
default_user_tags.administrator = true
heartbeat = 10
disk_free_limit.absolute = 50MB
max_message_size = 4194304
collect_statistics_interval = 5000
raft.wal_max_size_bytes = 67108864
",
            amqp = self.endpoint.amqp_port,
            amqps = self.endpoint.amqps_port,
            management = self.endpoint.management_port,
            prometheus = self.endpoint.prometheus_port,
            home = self.home.display(),
        );
        for (name, text) in [("rabbitmq.conf", settings.as_str()), ("advanced.config", ADVANCED)] {
            let path = self.home.join(name);
            fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        }
        Ok(())
    }

    fn server_command(&self) -> Command {
        let home = &self.home;
        let node = self.node();
        let port = self.distribution_port;
        // With its name given to Erlang itself, distribution runs before RabbitMQ looks at it, and
        // RabbitMQ leaves out two helper nodes of its own: a third of the whole start.
        let erlang = format!(
            "-sname {node} -start_epmd false -kernel inet_dist_use_interface {{127,0,0,1}} \
             -kernel inet_dist_listen_min {port} -kernel inet_dist_listen_max {port}{more}",
            more = self.insight.erlang_arguments(),
        );
        let mut command = self.account.command(SERVER, "KILL");
        self.surround(&mut command);
        command
            // Makes the script become the server instead of its parent.
            .env("detached", "true")
            .env("RABBITMQ_DIST_PORT", port.to_string())
            .env("RABBITMQ_ADVANCED_CONFIG_FILE", home.join("advanced.config"))
            .env("RABBITMQ_CONFIG_FILE", home.join("rabbitmq.conf"))
            .env("RABBITMQ_ENABLED_PLUGINS_FILE", home.join("enabled_plugins"))
            .env("RABBITMQ_MNESIA_BASE", home.join("data"))
            .env("RABBITMQ_LOG_BASE", home)
            .env("RABBITMQ_LOGS", "-")
            .env("RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS", erlang);
        command
    }

    /// What server and control program have in common: our node, our registry, our cookie.
    fn surround(&self, command: &mut Command) {
        command
            .env_clear()
            .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
            .env("LC_ALL", "C.UTF-8")
            .env("HOME", &self.home)
            .env("ERL_EPMD_ADDRESS", &self.endpoint.host)
            .env("ERL_EPMD_PORT", self.registry_port.to_string())
            .env("RABBITMQ_NODENAME", self.node())
            .env("RABBITMQ_CONF_ENV_FILE", self.home.join("none"))
            .current_dir(&self.home);
    }

    /// Whether the AMQP ports accept and management, asked for its health, agrees.
    fn is_ready(&self) -> bool {
        let BrokerEndpoint { amqp_port, amqps_port, .. } = self.endpoint;
        let healthy = |port| {
            let path = format!("/api/health/checks/port-listener/{port}");
            self.endpoint.call("GET", &path, None).is_ok()
        };
        self.accepts(amqp_port) && self.accepts(amqps_port) && healthy(amqps_port)
    }

    fn accepts(&self, port: u16) -> bool {
        TcpStream::connect((self.endpoint.host.as_str(), port)).is_ok()
    }

    fn node(&self) -> String {
        format!("{}@localhost", self.name())
    }

    /// The run's name, which no other node has.
    fn name(&self) -> String {
        self.run.file_name().unwrap_or_default().to_string_lossy().into_owned()
    }
}

impl Drop for Broker {
    fn drop(&mut self) {
        self.server.iter().for_each(|server| self.insight.forget(server.pid()));
    }
}

fn endpoint(password: &str) -> Result<BrokerEndpoint> {
    Ok(BrokerEndpoint {
        host: Ipv4Addr::LOCALHOST.to_string(),
        amqp_port: free_port()?,
        amqps_port: free_port()?,
        management_port: free_port()?,
        prometheus_port: free_port()?,
        user: "orderly".to_owned(),
        password: password.to_owned(),
    })
}

//! Debian's packages of RabbitMQ, PostgreSQL, Prometheus and tmux, installed only where missing, servers not started.

use std::fs::{self, File, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::account::is_root;
use crate::broker;
use crate::prometheus;
use crate::sql;

const PACKAGES: [&str; 4] = ["rabbitmq-server", "postgresql", "prometheus", "tmux"];
const POLICY: &str = "/usr/sbin/policy-rc.d";
const CLUSTERS: &str = "/etc/postgresql-common/createcluster.conf";

/// Installs what is missing; asks for root only if something is.
pub fn install() -> Result<()> {
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    let missing = missing.join(", ");
    let packages = PACKAGES.join(" ");
    if !is_root()? {
        bail!(
            "{missing} is not installed, and only root can install it: run this once as root, or \
             `apt-get install --no-install-recommends {packages}` yourself"
        );
    }
    eprintln!("Installing {packages} from the distribution ({missing} is missing) ...");
    let _no_start = ServersStayDown::declare()?;
    leave_out_the_main_cluster()?;
    let log = std::env::temp_dir().join(format!("devstack-install-{}.log", std::process::id()));
    apt_get(&["update"], &log)?;
    let options = ["install", "--yes", "--no-install-recommends"];
    let keep_our_setting = ["-o", "Dpkg::Options::=--force-confold"];
    apt_get(&[&options[..], &keep_our_setting, &PACKAGES].concat(), &log)?;
    fs::remove_file(&log)?;
    match self::missing().as_slice() {
        [] => Ok(()),
        still => bail!("{packages} are installed, but {} is still missing", still.join(", ")),
    }
}

fn missing() -> Vec<&'static str> {
    let postgres = sql::program("postgres").is_ok() && sql::program("psql").is_ok();
    let exists = |path: &str| Path::new(path).exists();
    let checks = [
        ("PostgreSQL", postgres),
        ("RabbitMQ", exists(broker::SERVER)),
        ("Erlang", exists("/usr/bin/erl") && exists(broker::REGISTRY)),
        ("Prometheus", exists(prometheus::SERVER)),
        // The terminal in which tests watch `orderly top`.
        ("tmux", exists("/usr/bin/tmux")),
    ];
    checks.into_iter().filter_map(|(name, here)| (!here).then_some(name)).collect()
}

/// Runs `apt-get`; its output is shown only if it fails, twice.
fn apt_get(arguments: &[&str], log: &Path) -> Result<()> {
    for _ in 0..2 {
        let file = File::options().create(true).append(true).open(log)?;
        let status = Command::new("apt-get")
            .args(["-o", "DPkg::Lock::Timeout=120"])
            .args(arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(std::process::Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .status()
            .context("cannot start `apt-get`: is this Debian?")?;
        if status.success() {
            return Ok(());
        }
    }
    let output = fs::read_to_string(log).unwrap_or_default();
    bail!("`apt-get {}` failed:\n{output}", arguments.join(" "))
}

/// While this lives, packages do not start the servers they bring.
struct ServersStayDown(Option<PathBuf>);

impl ServersStayDown {
    fn declare() -> Result<Self> {
        let policy = PathBuf::from(POLICY);
        if policy.exists() {
            return Ok(Self(None));
        }
        fs::write(&policy, "#!/bin/sh\nexit 101\n")
            .and_then(|()| fs::set_permissions(&policy, Permissions::from_mode(0o755)))
            .with_context(|| format!("cannot write {POLICY}"))?;
        Ok(Self(Some(policy)))
    }
}

impl Drop for ServersStayDown {
    fn drop(&mut self) {
        if let Some(policy) = &self.0
            && let Err(error) = fs::remove_file(policy)
        {
            eprintln!("devstack: please remove {POLICY}: {error}");
        }
    }
}

/// PostgreSQL's package makes a cluster of its own, which nobody here needs, unless it is told not to.
fn leave_out_the_main_cluster() -> Result<()> {
    let clusters = Path::new(CLUSTERS);
    if clusters.exists() {
        return Ok(());
    }
    fs::create_dir_all("/etc/postgresql-common")
        .and_then(|()| fs::write(clusters, "create_main_cluster = false\n"))
        .with_context(|| format!("cannot write {CLUSTERS}"))
}

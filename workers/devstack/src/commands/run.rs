//! `devstack run`: a command with nodes of its own.

use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitCode};
use std::time::Instant;

use anyhow::{Context, Result};
use orderly_devstack::{Nodes, SHARED_NODES, install};

/// Runs `command` with nodes of its own and returns its exit status.
///
/// A signal that ends this process ends the command (by SIGTERM), the nodes and their folder too: the
/// kernel and the folder's janitor see to it, so there is no signal handler here.
pub(crate) fn run(command: &[String]) -> Result<ExitCode> {
    install()?;
    let start = Instant::now();
    let nodes = Nodes::start()?;
    eprintln!("devstack: RabbitMQ and PostgreSQL are ready after {:.1?}", start.elapsed());
    let endpoints = nodes.folder().join("endpoints.json");
    nodes.endpoints().write(&endpoints)?;

    // Run from this, the main thread, and in our process group: Ctrl-C is for the command as well.
    let status = Command::new("setpriv")
        .args(["--pdeathsig", "TERM", "--"])
        .args(command)
        .env(SHARED_NODES, &endpoints)
        .status()
        .context("cannot start `setpriv`, which is a part of Debian's util-linux")?;
    drop(nodes);
    // As shells do: a death by signal n is the exit status 128 + n.
    let code = status.code().or(status.signal().map(|signal| 128 + signal)).unwrap_or(1);
    Ok(u8::try_from(code).map_or(ExitCode::FAILURE, ExitCode::from))
}

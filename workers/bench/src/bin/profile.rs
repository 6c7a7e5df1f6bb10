//! The command `profile`: draws where the time of the whole system goes, and writes it down.

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::Parser;
use orderly_bench::page;
use orderly_bench::profile::{Look, profile};
use orderly_bench::results::{About, versions};
use orderly_bench::seasoned::season;
use orderly_devstack::{Disk, Insight, Nodes};

/// Looks at the whole system on servers of its own while it works off as many orders as it can.
#[derive(Debug, Parser)]
struct Arguments {
    /// For how many seconds
    #[arg(long, default_value_t = 15)]
    seconds: u64,
    /// How many workers of each service
    #[arg(long, default_value_t = 1)]
    replicas: usize,
    /// The folder for the page and its pictures; one named after the commit if nothing is said
    #[arg(long)]
    out: Option<PathBuf>,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let nodes = Nodes::start_with(Disk::Usual, Insight::Profiled)?;
    let run = About::this_run("./scripts/profile", versions(nodes.endpoints())?);
    season(nodes.endpoints())?;
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let by_commit = || PathBuf::from("docs/performance/profiles").join(&run.commit);
    let folder = arguments.out.unwrap_or_else(by_commit);
    let look = Look { span: Duration::from_secs(arguments.seconds), replicas: arguments.replicas };
    let found = profile(&runtime, &nodes, look, &folder)?;
    let path = folder.join("README.md");
    fs::write(&path, page::profile::profile(&found, &run))
        .with_context(|| format!("cannot write {}", path.display()))?;
    eprintln!("written to {}", path.display());
    Ok(())
}

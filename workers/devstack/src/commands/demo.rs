//! `devstack demo`: the whole system on real orders, from nothing to the verdict of the audit.

use std::ffi::OsStr;
use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use orderly_devstack::{Nodes, Stack, install};

/// What a step does to the system.
enum Action {
    /// Runs `orderly` with these arguments.
    Orderly(Vec<String>),
    /// Starts the three workers.
    StartWorkers,
}

struct Step {
    title: &'static str,
    action: Action,
}

/// The demo, step by step; `orders` are the CSV files, `receipts` is the file publishers write.
fn steps(orders: &[String], receipts: &str) -> Vec<Step> {
    let orderly = |title, arguments: &[&str], files: &[String]| {
        let arguments = arguments.iter().map(|it| (*it).to_owned()).chain(files.iter().cloned());
        Step { title, action: Action::Orderly(arguments.collect()) }
    };
    let seed = ["stock", "seed", "--format", "online-retail", "--wait", "30s"];
    let publish = ["publish", "--format", "online-retail", "--receipts", receipts];
    vec![
        orderly("Make the tables", &["migrate"], &[]),
        orderly("Make exchanges and queues", &["setup"], &[]),
        Step { title: "Start the workers", action: Action::StartWorkers },
        orderly("Fill the shelves, but for a few articles", &seed, orders),
        orderly("Publish the orders", &publish, orders),
        orderly(
            "Report the outcomes",
            &["order", "report", "--receipts", receipts, "--wait", "60s"],
            &[],
        ),
        orderly("Audit", &["audit", "--receipts", receipts, "--settle", "30s"], &[]),
    ]
}

/// Runs the demo with the orders in the folder `data`; fails if one of its steps does.
pub(crate) fn demo(bin: &Path, data: &Path) -> Result<()> {
    let orders = csv_files(data)?;
    let start = Instant::now();
    timed("Install what is missing", install)?;
    let mut stack = timed("Start private RabbitMQ and PostgreSQL nodes", || Stack::start(bin))?;
    let receipts = receipts(stack.nodes());
    for step in steps(&orders, &receipts) {
        timed(step.title, || perform(&mut stack, &step.action))
            .inspect_err(|_| show_logs(&stack))
            .with_context(|| format!("the step \"{}\" failed", step.title))?;
    }
    timed("Clear up", || {
        drop(stack);
        Ok(())
    })?;
    println!("\nAll done in {:.1?}.", start.elapsed());
    Ok(())
}

fn perform(stack: &mut Stack, action: &Action) -> Result<()> {
    match action {
        Action::StartWorkers => stack.start_workers(),
        Action::Orderly(arguments) => {
            stack.orderly(&arguments.iter().map(String::as_str).collect::<Vec<_>>())
        }
    }
}

/// Prints a heading, runs `step`, prints how long it took.
fn timed<T>(title: &str, step: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("\n== {title}");
    let start = Instant::now();
    let outcome = step()?;
    println!("   ({:.1?})", start.elapsed());
    Ok(outcome)
}

/// The logs go with the demo's folder, so what explains a failure has to be shown at once.
fn show_logs(stack: &Stack) {
    for (service, worker) in stack.workers().into_iter().flat_map(|workers| workers.each()) {
        eprintln!("\n-- The end of the {service} worker's log:\n{}", worker.process.tail(20));
    }
}

fn receipts(nodes: &Nodes) -> String {
    nodes.folder().join("receipts.jsonl").to_string_lossy().into_owned()
}

fn csv_files(data: &Path) -> Result<Vec<String>> {
    let mut files: Vec<_> = fs::read_dir(data)
        .with_context(|| format!("cannot list the orders in {}", data.display()))?
        .flatten()
        .map(|entry| entry.path())
        .filter(|path| path.extension() == Some(OsStr::new("csv")))
        .map(|path| path.to_string_lossy().into_owned())
        .collect();
    if files.is_empty() {
        bail!("there is no CSV file in {}", data.display());
    }
    files.sort();
    Ok(files)
}

//! The command `bench`: measures, section by section, keeps what it found and writes the page.

use std::path::PathBuf;
use std::time::Instant;

use anyhow::Result;
use clap::{Parser, ValueEnum};
use orderly_bench::page::Page;
use orderly_bench::results::{About, Results, versions};
use orderly_bench::seasoned::season;
use orderly_bench::sections::{Amounts, What, measure};
use orderly_devstack::Nodes;

/// Measures the whole system on servers of its own, against the ceiling of the broker.
#[derive(Debug, Parser)]
struct Arguments {
    /// Only these sections
    #[arg(value_enum)]
    sections: Vec<What>,
    /// Every section that this commit has no results of yet, and those that are named
    #[arg(long)]
    full: bool,
    #[command(flatten)]
    amounts: Amounts,
    /// Where the page is written; its results and charts go into the folder `performance` beside it
    #[arg(long, default_value = "docs")]
    out: PathBuf,
    /// Print the results as JSON
    #[arg(long)]
    json: bool,
}

fn main() -> Result<()> {
    let arguments = Arguments::parse();
    let kept = arguments.out.join("performance/results.json");
    let mut results = Results::read(&kept)?;
    let nodes = Nodes::start()?;
    // Once, before anything is written: a run is one commit's.
    let run = About::this_run("./scripts/bench", versions(nodes.endpoints())?);
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let begun = Instant::now();
    for section in arguments.sections(&results, &run) {
        eprintln!("{section:?}, after {:.0} s", begun.elapsed().as_secs_f64());
        season(nodes.endpoints())?;
        let mut say = |text: String| eprintln!("  {text}");
        runtime.block_on(measure(
            section,
            &arguments.amounts,
            nodes.endpoints(),
            run.clone(),
            &mut results,
            &mut say,
        ))?;
        results.write(&kept)?;
        Page::of(&results).write(&arguments.out)?;
    }
    eprintln!("all done in {:.0} s", begun.elapsed().as_secs_f64());
    if arguments.json {
        println!("{}", serde_json::to_string_pretty(&results)?);
    }
    Ok(())
}

impl Arguments {
    fn sections(&self, results: &Results, run: &About) -> Vec<What> {
        let is_due = |section: &What| {
            self.sections.contains(section)
                || !section.run(results).is_some_and(|last| last.is_same_commit(run))
        };
        match self.sections.as_slice() {
            _ if self.full => What::value_variants().iter().copied().filter(is_due).collect(),
            [] => What::USUAL.to_vec(),
            named => named.to_vec(),
        }
    }
}

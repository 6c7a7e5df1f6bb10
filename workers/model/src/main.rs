//! Explores the model's configurations and prints what was found.

use std::process::ExitCode;

use clap::Parser;
use orderly_model::catalogue::{Size, all};
use orderly_model::explore::{Exploration, explore};
use orderly_model::rules::Rule;
use orderly_model::system::System;

/// Goes every way that messages, duplicates, crashes and timeouts can take through the system.
#[derive(Debug, Parser)]
#[command(name = "model", version)]
struct Arguments {
    /// Only the configuration with this name.
    configuration: Option<String>,
    /// The big configurations: ten million moments and more.
    #[arg(long)]
    big: bool,
    /// How many threads explore.
    #[arg(long, default_value_t = threads())]
    threads: usize,
    /// Only name the configurations.
    #[arg(long)]
    list: bool,
}

fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

fn main() -> ExitCode {
    let Arguments { configuration, big, threads, list } = Arguments::parse();
    let mut chosen = all(if big { Size::Big } else { Size::Small });
    if let Some(name) = configuration {
        chosen.retain(|known| known.name == name);
        if chosen.is_empty() {
            eprintln!("no configuration is called {name:?}; `model --list` names them");
            return ExitCode::FAILURE;
        }
    }
    if list {
        for known in chosen {
            println!("{:<12} {}", known.name, known.about);
        }
        return ExitCode::SUCCESS;
    }
    println!("configuration    distinct   generated  depth  decisions  seconds");
    let mut explorations = vec![];
    for configuration in chosen {
        let workers = configuration.shipped();
        let exploration = explore(System::new(configuration, workers), threads);
        print(&exploration);
        explorations.push(exploration);
    }
    let distinct: usize = explorations.iter().map(|found| found.distinct).sum();
    let generated: usize = explorations.iter().map(|found| found.generated).sum();
    println!("{:<13} {distinct:>11} {generated:>11}", "together");
    let is_good = |found: &Exploration| found.is_complete && found.missing.is_empty();
    if explorations.iter().all(is_good) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn print(exploration: &Exploration) {
    let Exploration { name, distinct, generated, depth, decisions, .. } = exploration;
    let seconds = exploration.took.as_secs_f64();
    println!("{name:<13} {distinct:>11} {generated:>11} {depth:>6} {decisions:>10} {seconds:>8.1}");
    for scene in &exploration.missing {
        println!("  NEVER HAPPENED: {scene}");
    }
    for broken in &exploration.broken {
        println!("  BROKEN: {}", broken.rule.name());
        broken.steps.iter().for_each(|step| println!("  {step}"));
    }
    if exploration.is_complete {
        println!("  all {} rules hold", Rule::ALL.len());
    }
}

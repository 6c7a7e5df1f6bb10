//! The command `devstack`: private nodes for a command, for a demo, or in the background to play with.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

mod commands {
    pub(crate) mod background;
    pub(crate) mod demo;
    pub(crate) mod run;
}
use commands::{background, demo, run};

/// Private RabbitMQ and PostgreSQL nodes on this machine, gone when they are no longer needed.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    command: Subcommands,
}

#[derive(Subcommand)]
enum Subcommands {
    /// Run a command with nodes of its own; `ORDERLY_TEST_NODES` tells it where they are.
    Run {
        /// The command and its arguments.
        #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// Start the whole system in the background and print where everything is.
    Up(Programs),
    /// End what `up` started.
    Down,
    /// What `up` leaves running.
    #[command(hide = true)]
    Serve(Programs),
    /// Start the whole system, let it process real orders, report, and clear up.
    Demo {
        #[command(flatten)]
        programs: Programs,
        /// The folder with the orders, as CSV files.
        #[arg(long, default_value = "scripts/data/online-retail")]
        data: PathBuf,
    },
}

#[derive(clap::Args)]
struct Programs {
    /// The folder with the workers and the command `orderly`.
    #[arg(long, default_value = "target/release", value_name = "DIR")]
    bin_dir: PathBuf,
}

fn main() -> ExitCode {
    match dispatch(Arguments::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("devstack: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: Subcommands) -> Result<ExitCode> {
    orderly_devstack::sweep()?;
    match command {
        Subcommands::Run { command } => return run::run(&command),
        Subcommands::Up(programs) => background::up(&programs.bin_dir)?,
        Subcommands::Down => background::down()?,
        Subcommands::Serve(programs) => background::serve(&programs.bin_dir)?,
        Subcommands::Demo { programs, data } => demo::demo(&programs.bin_dir, &data)?,
    }
    Ok(ExitCode::SUCCESS)
}

//! The commands of `orderly`, as arguments.

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

use crate::publish;
use crate::settings::Settings;

/// The operator's command of Orderly: sets it up, feeds it and looks into it.
#[derive(Debug, Parser)]
#[command(name = "orderly", version)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Publish messages: from arguments, JSON lines or real data
    Publish(publish::Arguments),
}

impl Cli {
    /// Runs the command.
    pub async fn run(&self, settings: &Settings) -> Result<ExitCode> {
        match &self.command {
            Command::Publish(arguments) => publish::run(arguments, settings).await,
        }
    }
}

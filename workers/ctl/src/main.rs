//! The program `orderly`: reads the arguments, runs the command and says how it ended.

use std::process::ExitCode;

use clap::Parser;
use orderly_ctl::cli::Cli;
use orderly_ctl::exit;
use orderly_ctl::settings::Settings;

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.run(&Settings::from_env()).await {
        Ok(code) => code,
        Err(error) => exit::report(&error),
    }
}

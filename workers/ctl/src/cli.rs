//! The commands of `orderly`, as arguments.

use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, Parser, Subcommand, ValueEnum};
use orderly_contracts::routes::Party;
use serde::{Deserialize, Serialize};

use crate::output;
use crate::settings::Settings;
use crate::{
    audit, dead, deadlines, doctor, migrate, order, pause, payment, publish, setup, stock, top,
};

const ABOUT: &str = "\
The operator's command of Orderly: sets it up, feeds it and looks into it.

Where everything is comes from the environment, in the variables that the workers read, too:
  ORDERLY_BROKER_URL            amqp:// or amqps://
  ORDERLY_MANAGEMENT_URL        http:// or https://, optional
  ORDERLY_ORDER_DATABASE_URL    postgres://, and the same for STOCK and PAYMENT
each with a ..._PASSWORD_FILE and a ..._CA_FILE beside it, if need be. A command needs only the
variables that it uses. ORDERLY_OPERATOR is the name that the audit trail of dead letters gets; it
is user@host where unset.

With --json, stdout holds JSON and nothing else. The exit status is 0 if all is well, 1 if what was
asked for failed, and 2 if arguments or settings are wrong.";

/// The operator's command of Orderly: sets it up, feeds it and looks into it.
#[derive(Debug, Parser)]
#[command(name = "orderly", version, long_about = ABOUT)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Declare exchanges, queues and bindings, and verify the values in effect
    Setup(setup::Arguments),
    /// Bring the databases to the schema of this program
    Migrate(migrate::Arguments),
    /// Publish messages: from arguments, JSON lines or real data
    Publish(publish::Arguments),
    /// Look at orders and at what became of them
    #[command(subcommand)]
    Order(order::Command),
    /// Look at the stock, fill it and correct it
    #[command(subcommand)]
    Stock(stock::Command),
    /// Look at payments
    #[command(subcommand)]
    Payment(payment::Command),
    /// Look at what is waited for, and until when
    #[command(subcommand)]
    Deadlines(deadlines::Command),
    /// Look at messages that were given up, send them again, edit or archive them
    #[command(subcommand)]
    Dead(dead::Command),
    /// Let a worker take nothing, until it is resumed
    Pause(pause::Pause),
    /// Let a paused worker go on
    Resume(pause::Resume),
    /// Watch the running system: queues, workers, orders, latency, dead letters
    Top(top::Arguments),
    /// Look for everything that is wrong, and say how to mend it; changes nothing
    Doctor(doctor::Arguments),
    /// Prove, per order and in sums, that nothing is lost and nothing is double
    Audit(audit::Arguments),
    /// Print a script that makes the shell complete these commands
    Completions {
        /// The shell
        #[arg(value_enum)]
        shell: Shell,
    },
}

/// A service, for arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Service {
    /// Orders
    Order,
    /// Stock
    Stock,
    /// Payments
    Payment,
}

impl Service {
    /// The same as a party of the contract.
    pub const fn party(self) -> Party {
        match self {
            Self::Order => Party::Order,
            Self::Stock => Party::Stock,
            Self::Payment => Party::Payment,
        }
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Shell {
    Bash,
    Zsh,
    Fish,
}

impl Cli {
    /// Runs the command.
    pub async fn run(&self, settings: &Settings) -> Result<ExitCode> {
        match &self.command {
            Command::Setup(arguments) => setup::run(arguments, settings).await,
            Command::Migrate(arguments) => migrate::run(arguments, settings).await,
            Command::Publish(arguments) => publish::run(arguments, settings).await,
            Command::Order(command) => order::run(command, settings).await,
            Command::Stock(command) => stock::run(command, settings).await,
            Command::Payment(command) => payment::run(command, settings).await,
            Command::Deadlines(command) => deadlines::run(command, settings).await,
            Command::Dead(command) => dead::run(command, settings).await,
            Command::Pause(arguments) => pause::pause(arguments, settings).await,
            Command::Resume(arguments) => pause::resume(arguments, settings).await,
            Command::Top(arguments) => top::run(arguments, settings).await,
            Command::Doctor(arguments) => doctor::run(arguments, settings).await,
            Command::Audit(arguments) => audit::run(arguments, settings).await,
            Command::Completions { shell } => complete(*shell),
        }
    }
}

fn complete(shell: Shell) -> Result<ExitCode> {
    use clap_complete::{Shell as Known, generate};
    let shell = match shell {
        Shell::Bash => Known::Bash,
        Shell::Zsh => Known::Zsh,
        Shell::Fish => Known::Fish,
    };
    // By way of memory: the generator panics where stdout is closed.
    let mut script = Vec::new();
    generate(shell, &mut Cli::command(), "orderly", &mut script);
    output::bytes(&script)?;
    Ok(ExitCode::SUCCESS)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_contradict_each_other_nowhere() {
        Cli::command().debug_assert();
    }
}

//! `orderly dead`: messages that were given up, why, and what becomes of them.
//!
//! [`selection`] is how every command is told its letters, [`drawer`] the way to them. `replay` is
//! the one to read for how nothing is lost or doubled; `edit` goes the same way with one letter.

mod archive;
mod confirm;
pub(crate) mod drawer;
mod edit;
mod export;
mod groups;
mod list;
mod log;
pub(crate) mod plain;
mod replay;
mod selection;
pub(crate) mod show;

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;

use crate::settings::Settings;

/// The commands about dead letters.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Count dead letters by cause: how many, since when, until when
    Groups(groups::Arguments),
    /// List dead letters, the latest first
    List(list::Arguments),
    /// Show one dead letter: why, where from, its properties, its body and what was done about it
    Show(show::Arguments),
    /// Send letters' messages back to the queues they died in, under their own ids
    Replay(Box<replay::Arguments>),
    /// List replays, and how far each is
    Replays(replay::list::Arguments),
    /// Send a corrected message in place of a dead one
    Edit(edit::Arguments),
    /// Put letters aside
    Archive(archive::Arguments),
    /// Open letters again that were put aside
    Restore(archive::Arguments),
    /// Write letters out in full, a JSON line each
    Export(export::Arguments),
    /// Show who did what, the latest first
    Log(log::Arguments),
}

/// Runs a command about dead letters.
pub async fn run(command: &Command, settings: &Settings) -> Result<ExitCode> {
    match command {
        Command::Groups(arguments) => groups::run(arguments, settings).await,
        Command::List(arguments) => list::run(arguments, settings).await,
        Command::Show(arguments) => show::run(arguments, settings).await,
        Command::Replay(arguments) => replay::run(arguments, settings).await,
        Command::Replays(arguments) => replay::list::run(arguments, settings).await,
        Command::Edit(arguments) => edit::run(arguments, settings).await,
        Command::Archive(arguments) => archive::archive(arguments, settings).await,
        Command::Restore(arguments) => archive::restore(arguments, settings).await,
        Command::Export(arguments) => export::run(arguments, settings).await,
        Command::Log(arguments) => log::run(arguments, settings).await,
    }
}

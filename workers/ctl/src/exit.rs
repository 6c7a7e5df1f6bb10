//! How a command ends: the exit status, and errors that say whose turn it is.

use std::process::ExitCode;

use orderly_runtime::config::ConfigErrors;

/// The thing asked for failed or was violated.
pub const FAILED: u8 = 1;
/// The arguments or the settings are wrong; nothing was done.
pub const MISUSED: u8 = 2;

/// Arguments that no command can do anything with.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Misuse(pub String);

/// Nobody reads stdout any more. A type of its own: a server's connection may break as a pipe
/// does, and must not pass for this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("stdout is closed")]
pub struct OutputClosed;

/// An error about the arguments.
pub fn misuse(text: impl Into<String>) -> anyhow::Error {
    anyhow::Error::new(Misuse(text.into()))
}

/// Says on stderr what went wrong, and tells the exit status.
pub fn report(error: &anyhow::Error) -> ExitCode {
    // Whoever reads our output has seen enough, as `head` does.
    if find::<OutputClosed>(error).is_some() {
        return ExitCode::SUCCESS;
    }
    if let Some(ConfigErrors(problems)) = find(error) {
        eprintln!("orderly: the settings in the environment are wrong:");
        for problem in problems {
            eprintln!("  {problem}");
        }
        return ExitCode::from(MISUSED);
    }
    eprintln!("orderly: {error:#}");
    let is_misuse = find::<Misuse>(error).is_some();
    ExitCode::from(if is_misuse { MISUSED } else { FAILED })
}

fn find<E: std::error::Error + 'static>(error: &anyhow::Error) -> Option<&E> {
    error.chain().find_map(|cause| cause.downcast_ref())
}

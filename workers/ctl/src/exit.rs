//! How a command ends: the exit status, and errors that say whose turn it is.

use std::fmt;
use std::io;
use std::process::ExitCode;

use orderly_runtime::config::ConfigErrors;

/// The thing asked for failed or was violated.
pub const FAILED: u8 = 1;
/// The arguments or the settings are wrong; nothing was done.
pub const MISUSED: u8 = 2;

/// Arguments that no command can do anything with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Misuse(pub String);

impl fmt::Display for Misuse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Misuse {}

/// An error about the arguments.
pub fn misuse(text: impl Into<String>) -> anyhow::Error {
    anyhow::Error::new(Misuse(text.into()))
}

/// Says on stderr what went wrong, and tells the exit status.
pub fn report(error: &anyhow::Error) -> ExitCode {
    // Whoever reads our output has seen enough, as `head` does.
    let is_pipe = |error: &io::Error| error.kind() == io::ErrorKind::BrokenPipe;
    if error
        .chain()
        .filter_map(|cause| cause.downcast_ref())
        .any(is_pipe)
    {
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

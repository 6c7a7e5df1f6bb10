//! Asking before much is done.

use std::io::{self, BufRead, IsTerminal, Write};

use anyhow::Result;

use crate::exit::misuse;

/// Whether `question` is answered with yes. On anything but a terminal that takes `--yes`.
pub(crate) fn confirm(question: &str, is_agreed: bool) -> Result<bool> {
    if is_agreed {
        return Ok(true);
    }
    if !io::stdin().is_terminal() {
        return Err(misuse(format!("{question} Say --yes: there is no terminal to ask on")));
    }
    eprint!("{question} [y/N] ");
    io::stderr().flush()?;
    let mut answer = String::new();
    io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim(), "y" | "Y" | "yes"))
}

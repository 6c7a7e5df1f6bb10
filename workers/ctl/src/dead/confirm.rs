//! Asking before much is done, and whose name it is done in.

use std::io::{self, BufRead, IsTerminal, Write};

use anyhow::Result;

use super::plain::escaped;
use crate::exit::misuse;

/// The longest name that the audit trail takes.
const NAME_MAX: usize = 100;

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

/// The name of whoever runs the command: `$ORDERLY_OPERATOR`, or user and host.
pub(crate) fn operator() -> String {
    let variable = |name: &str| std::env::var(name).ok().filter(|text| !text.is_empty());
    let name = variable("ORDERLY_OPERATOR").unwrap_or_else(|| {
        let user = variable("USER").or_else(|| variable("LOGNAME"));
        let host = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
        let host = host.or_else(|| variable("HOSTNAME"));
        let user = user.unwrap_or_else(|| "unknown".to_owned());
        format!("{user}@{}", host.as_deref().unwrap_or("unknown").trim())
    });
    escaped(&name).chars().take(NAME_MAX).collect()
}

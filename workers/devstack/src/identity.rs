//! What tells one process from every other: its pid together with the moment it started.

use std::fmt;
use std::fs;
use std::str::FromStr;

use anyhow::{Context, Result};

/// A pid and the start time the kernel keeps with it; a pid alone is used again sooner or later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The process id.
    pub pid: u32,
    started: u64,
}

impl Identity {
    /// The identity of the calling process.
    pub fn current() -> Result<Self> {
        Self::of(std::process::id()).context("/proc does not list this very process")
    }

    /// The identity of the process that has `pid` now; none if there is no such process or only its zombie.
    pub fn of(pid: u32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        // The command's name, in parentheses, may itself hold blanks and parentheses.
        let (_, fields) = stat.rsplit_once(") ")?;
        let mut fields = fields.split(' ');
        let state = fields.next()?;
        // `starttime` is field 22 of the line, `state` field 3.
        let started = fields.nth(18)?.parse().ok()?;
        (!matches!(state, "Z" | "X")).then_some(Self { pid, started })
    }

    /// Whether this very process still runs.
    pub fn is_alive(&self) -> bool {
        Self::of(self.pid) == Some(*self)
    }
}

impl fmt::Display for Identity {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} {}", self.pid, self.started)
    }
}

impl FromStr for Identity {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (pid, started) = text.trim().split_once(' ').context("expected `pid start-time`")?;
        Ok(Self { pid: pid.parse()?, started: started.parse()? })
    }
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn an_identity_survives_its_text_form() {
        let own = Identity::current().unwrap();
        assert_eq!(own.to_string().parse::<Identity>().unwrap(), own);
        assert!(own.is_alive());
    }

    #[test]
    fn the_same_pid_at_another_time_is_another_process() {
        let own = Identity::current().unwrap();
        assert!(!Identity { started: own.started + 1, ..own }.is_alive());
    }

    #[test]
    fn a_zombie_is_not_alive() {
        let mut child = Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
        let identity = Identity::of(child.id()).unwrap();
        drop(child.stdin.take());
        let gone = crate::wait_for("the end of cat", std::time::Duration::from_secs(5), || {
            Ok((!identity.is_alive()).then_some(()))
        });
        child.wait().unwrap();
        gone.unwrap();
    }
}

//! The account a server runs as: its package's own when we are root, ours otherwise.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

/// An account to start a server under.
#[derive(Clone, Copy)]
pub(crate) enum Account {
    /// Whoever runs this process.
    Own,
    /// A system account, which only root can take on.
    System { uid: u32, gid: u32 },
}

impl Account {
    /// The system account `name` when we are root (PostgreSQL refuses to run as root), ours otherwise.
    pub(crate) fn for_server(name: &str) -> Result<Self> {
        if !is_root()? {
            return Ok(Self::Own);
        }
        let accounts = fs::read_to_string("/etc/passwd").context("cannot read /etc/passwd")?;
        let (uid, gid) = ids(&accounts, name)
            .with_context(|| format!("the account `{name}` is missing: is its package whole?"))?;
        Ok(Self::System { uid, gid })
    }

    /// A command that runs `program` under this account, and that the kernel sends `signal` when the
    /// thread that spawned it ends.
    ///
    /// `setpriv` keeps the pid: after two `exec`s the child *is* the program.
    pub(crate) fn command(self, program: impl AsRef<Path>, signal: &str) -> Command {
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", signal]);
        if let Self::System { uid, gid } = self {
            command.args([format!("--reuid={uid}"), format!("--regid={gid}")]);
            command.arg("--init-groups");
        }
        command.arg("--").arg(program.as_ref());
        command
    }

    /// Gives `path` to this account.
    pub(crate) fn take(self, path: &Path) -> Result<()> {
        match self {
            Self::Own => Ok(()),
            Self::System { uid, gid } => chown(path, Some(uid), Some(gid))
                .with_context(|| format!("cannot change the owner of {}", path.display())),
        }
    }
}

/// Whether this process may do what only root may.
pub(crate) fn is_root() -> Result<bool> {
    Ok(own_uid()? == 0)
}

/// The user id of this process.
pub(crate) fn own_uid() -> Result<u32> {
    Ok(fs::metadata("/proc/self").context("/proc is not mounted")?.uid())
}

fn ids(accounts: &str, name: &str) -> Option<(u32, u32)> {
    let mut fields = accounts
        .lines()
        .map(|line| line.split(':'))
        .find_map(|mut fields| (fields.next() == Some(name)).then_some(fields))?;
    let uid = fields.nth(1)?.parse().ok()?;
    let gid = fields.next()?.parse().ok()?;
    Some((uid, gid))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accounts_are_found_by_their_whole_name() {
        let accounts = "root:x:0:0::/root:/bin/sh\npostgres:x:101:104:,,,:/var/lib:/bin/bash\n";
        assert_eq!(ids(accounts, "postgres"), Some((101, 104)));
        assert_eq!(ids(accounts, "post"), None);
    }
}

//! The disk under PostgreSQL's tables: the usual one, or one so small that a test can fill it.

use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::account::is_root;

/// Mounts and copies before it becomes the server: the mount is seen by the server alone, and goes
/// with it.
const MOUNT: &str = r#"
set -e
cp -a "$0" "$0.disk"
mount -t tmpfs -o "size=$1" tmpfs "$0"
cp -a "$0.disk/." "$0"
chown --reference="$0.disk" "$0"
chmod --reference="$0.disk" "$0"
rm -rf "$0.disk"
shift
exec "$@"
"#;
/// What fills a disk, among the tables.
const BALLAST: &str = "ballast";

/// What PostgreSQL's tables lie on. Its log of changes is always on the usual disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Disk {
    /// The disk of the temporary directory.
    Usual,
    /// A disk of its own in memory, of so many bytes. Only root can have one, and it does not
    /// outlive the server: such a node can't be started again.
    Small(u64),
}

impl Disk {
    /// `server`, with `tables` on this disk.
    pub(crate) fn command(self, server: Command, tables: &Path) -> Result<Command> {
        let Self::Small(size) = self else { return Ok(server) };
        if !is_root()? {
            bail!("a small disk has to be mounted, which only root may");
        }
        let mut command = Command::new("unshare");
        command.args(["--mount", "--", "sh", "-c", MOUNT]).arg(tables).arg(size.to_string());
        command.arg(server.get_program()).args(server.get_args());
        command
            .env_clear()
            .envs(server.get_envs().filter_map(|(name, value)| Some((name, value?))));
        if let Some(folder) = server.get_current_dir() {
            command.current_dir(folder);
        }
        Ok(command)
    }
}

/// Fills the disk under `tables` as the process `server` sees it.
pub(crate) fn fill(server: u32, tables: &Path) -> Result<()> {
    let path = seen_by(server, tables);
    let mut ballast =
        File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    let mut size = 1 << 20;
    // Ever smaller pieces, so that not even a little room is left.
    while size > 0 {
        match ballast.write_all(&vec![0; size]) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::StorageFull => size /= 2,
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// Takes away what [`fill`] has put there.
pub(crate) fn free(server: u32, tables: &Path) -> Result<()> {
    fs::remove_file(seen_by(server, tables)).context("the disk was not full")
}

fn seen_by(server: u32, tables: &Path) -> std::path::PathBuf {
    let within = tables.strip_prefix("/").unwrap_or(tables);
    Path::new("/proc").join(server.to_string()).join("root").join(within).join(BALLAST)
}

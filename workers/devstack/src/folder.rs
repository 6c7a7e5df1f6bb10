//! The folder that holds everything of one run, and that outlives its owner by no more than a moment.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

use crate::account::own_uid;
use crate::identity::Identity;

const PREFIX: &str = "orderly-";
const OWNER: &str = "owner";
const PROCESSES: &str = "processes";

/// A folder under the temporary directory, removed when this value is dropped or its process ends.
///
/// The removal is the work of a janitor: a small shell process that reads from a pipe only the owner can
/// close. It needs no signal handler, and even SIGKILL of the owner cannot prevent it.
pub(crate) struct Folder {
    path: PathBuf,
    janitor: Child,
}

impl Folder {
    /// Makes a folder that other accounts may enter but not list, marked with its owner's identity.
    pub(crate) fn create() -> Result<Self> {
        let folder = tempfile::Builder::new()
            .prefix(PREFIX)
            .tempdir()
            .context("no folder can be made under the temporary directory")?;
        let path = folder.path().to_path_buf();
        fs::write(path.join(OWNER), format!("{}\n", Identity::current()?))?;
        fs::create_dir(path.join(PROCESSES))?;
        fs::set_permissions(&path, Permissions::from_mode(0o711))?;
        let janitor = janitor(&path, Stdio::piped())?;
        Ok(Self { path: folder.keep(), janitor })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // `wait` closes the pipe first, which is what the janitor waits for.
        if let Err(error) = self.janitor.wait() {
            eprintln!("devstack: {} may remain: {error}", self.path.display());
        }
    }
}

/// Writes down that process `pid` belongs to `folder`, so that it cannot outlive it.
pub(crate) fn record(folder: &Path, name: &str, pid: u32) -> Result<()> {
    if let Some(identity) = Identity::of(pid) {
        let path = folder.join(PROCESSES).join(name);
        fs::write(&path, format!("{identity}\n"))
            .with_context(|| format!("cannot write {}", path.display()))?;
    }
    Ok(())
}

/// Removes the folders of owners that no longer run, with what still runs of theirs.
///
/// A janitor does this at once; left for the sweep is what a killed janitor or a power cut left behind.
/// Folders without an owner's mark, or of another account, are never touched.
pub fn sweep() -> Result<()> {
    for (folder, owner) in marked_folders()? {
        if !owner.is_alive() {
            janitor(&folder, Stdio::null())?.wait()?;
        }
    }
    Ok(())
}

/// The folders that the process `owner` has now.
pub fn folders_of(owner: Identity) -> Result<Vec<PathBuf>> {
    let folders = marked_folders()?.into_iter();
    Ok(folders.filter(|(_, marked)| *marked == owner).map(|(folder, _)| folder).collect())
}

/// Our account's folders with their owners.
fn marked_folders() -> Result<Vec<(PathBuf, Identity)>> {
    let own_uid = own_uid()?;
    let temporary = std::env::temp_dir();
    let entries =
        fs::read_dir(&temporary).with_context(|| format!("cannot list {}", temporary.display()))?;
    let marked = entries.flatten().filter_map(|entry| {
        let named_as_ours = entry.file_name().to_string_lossy().starts_with(PREFIX);
        let belongs_to_us = entry.metadata().is_ok_and(|it| it.is_dir() && it.uid() == own_uid);
        let mark = || fs::read_to_string(entry.path().join(OWNER)).ok()?.parse().ok();
        (named_as_ours && belongs_to_us).then(mark)?.map(|owner| (entry.path(), owner))
    });
    Ok(marked.collect())
}

fn janitor(folder: &Path, owner_ends: Stdio) -> Result<Child> {
    // A process group of its own keeps Ctrl-C, and a test runner's timeout, away from it.
    Command::new("sh")
        .args(["-c", include_str!("janitor.sh")])
        .env("FOLDER", folder)
        .current_dir("/")
        .process_group(0)
        .stdin(owner_ends)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .context("cannot start `sh`")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_goes_with_its_owner() {
        let folder = Folder::create().unwrap();
        let path = folder.path().to_path_buf();
        fs::create_dir(path.join("data")).unwrap();
        assert!(path.is_dir());
        drop(folder);
        assert!(!path.exists());
    }

    #[test]
    fn the_sweep_takes_orphans_alone() {
        let marked = |owner: &str| {
            let folder = tempfile::Builder::new().prefix(PREFIX).tempdir().unwrap();
            fs::write(folder.path().join(OWNER), owner).unwrap();
            folder
        };
        let mut slow = Command::new("sleep").arg("1000").process_group(0).spawn().unwrap();
        let orphan = marked("1 99999999999");
        fs::create_dir(orphan.path().join(PROCESSES)).unwrap();
        record(orphan.path(), "slow", slow.id()).unwrap();
        let owned = marked(&Identity::current().unwrap().to_string());
        let unmarked = tempfile::Builder::new().prefix(PREFIX).tempdir().unwrap();

        sweep().unwrap();

        assert!(!orphan.path().exists());
        assert!(slow.try_wait().unwrap().is_some(), "the orphan's process still runs");
        assert!(owned.path().exists() && unmarked.path().exists());
    }
}

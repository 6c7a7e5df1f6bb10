//! Where a new body comes from: a file, stdin, or the operator's editor.

use std::fs::{self, OpenOptions};
use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use uuid::Uuid;

use crate::exit::misuse;

/// The body in a file, or on stdin for `-`.
pub(super) fn read(path: &Path) -> Result<Vec<u8>> {
    if path == Path::new("-") {
        let mut body = Vec::new();
        io::stdin().lock().read_to_end(&mut body).context("stdin can't be read")?;
        return Ok(body);
    }
    fs::read(path).with_context(|| format!("{} can't be read", path.display()))
}

/// The body as the operator's editor leaves it.
pub(super) fn edit(old: &[u8]) -> Result<Vec<u8>> {
    let editor = std::env::var("EDITOR").ok().filter(|editor| !editor.is_empty());
    let Some(editor) = editor.filter(|_| io::stdin().is_terminal()) else {
        return Err(misuse("say what to change: --body, --type or --message-id"));
    };
    let scratch = Scratch::with(old)?;
    // `$EDITOR` may hold arguments, as the shell would read them.
    let script = format!("exec {editor} \"$0\"");
    let status = Command::new("sh").args(["-c", &script]).arg(&scratch.0).status();
    if !status.with_context(|| format!("{editor} can't be started"))?.success() {
        bail!("the editor failed, and nothing was sent");
    }
    read(&scratch.0)
}

/// A file that nobody else may read, for as long as it is needed: a body may hold anything.
struct Scratch(PathBuf);

impl Scratch {
    fn with(content: &[u8]) -> Result<Self> {
        let path = std::env::temp_dir().join(format!("orderly-edit-{}.json", Uuid::new_v4()));
        let mut options = OpenOptions::new();
        let mut file = options.write(true).create_new(true).mode(0o600).open(&path)?;
        let scratch = Self(path);
        file.write_all(content)?;
        Ok(scratch)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

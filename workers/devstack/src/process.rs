//! A child process in the background: its log, its signals, its end.

use std::fmt;
use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::keeper;
use crate::wait::wait_for;

/// A running child whose output goes to a file; dropping it ends it and all of its process group.
pub struct Process {
    name: String,
    log: PathBuf,
    child: Child,
}

impl Process {
    /// Starts `command` in a process group of its own and appends what it prints to the file `log`.
    pub fn start(name: &str, mut command: Command, log: &Path) -> Result<Self> {
        let file = File::options()
            .create(true)
            .append(true)
            .open(log)
            .with_context(|| format!("cannot write the log {}", log.display()))?;
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file).process_group(0);
        let child = keeper::spawn(command).with_context(|| format!("cannot start {name}"))?;
        Ok(Self { name: name.to_owned(), log: log.to_owned(), child })
    }

    /// What this process is called in messages.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The file its standard output and standard error go to.
    pub fn log(&self) -> &Path {
        &self.log
    }

    /// Everything it has printed so far.
    pub fn output(&self) -> String {
        fs::read(&self.log).map(|it| String::from_utf8_lossy(&it).into_owned()).unwrap_or_default()
    }

    /// The last `lines` lines of what it has printed.
    pub fn tail(&self, lines: usize) -> String {
        let output = self.output();
        let skipped = output.lines().count().saturating_sub(lines);
        output.lines().skip(skipped).collect::<Vec<_>>().join("\n")
    }

    /// How it ended, if it has.
    pub fn status(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().with_context(|| format!("cannot ask about {}", self.name))
    }

    /// Fails, with the end of its log, if it has ended.
    pub fn expect_running(&mut self) -> Result<()> {
        match self.status()? {
            None => Ok(()),
            Some(status) => {
                bail!("{} ended ({status}); the end of its log:\n{}", self.name, self.tail(30))
            }
        }
    }

    /// Waits until `ready` holds; fails, with the end of its log, if it ends or `limit` passes first.
    pub fn wait_until(
        &mut self,
        ready_to: &str,
        limit: Duration,
        mut ready: impl FnMut() -> bool,
    ) -> Result<()> {
        let what = format!("{} to {ready_to}", self.name);
        wait_for(&what, limit, || Ok((self.status()?.is_some() || ready()).then_some(())))
            .with_context(|| format!("the end of the log of {}:\n{}", self.name, self.tail(30)))?;
        self.expect_running()
    }

    /// Sends it the signal `name`, such as `TERM`, `STOP` or `CONT`.
    pub fn signal(&mut self, name: &str) -> Result<()> {
        // As long as we have not waited for a child, no other process can have its pid.
        if self.status()?.is_none() {
            send_signal(name, &self.pid().to_string())?;
        }
        Ok(())
    }

    /// Waits until it ends by itself.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        wait_for(&format!("the end of {}", self.name), limit, || self.status())
    }

    /// Sends SIGTERM and waits for the end; fails, with the end of its log, if `limit` passes first.
    pub fn terminate(&mut self, limit: Duration) -> Result<ExitStatus> {
        self.signal("TERM")?;
        self.wait(limit).with_context(|| {
            format!("{} did not heed SIGTERM; the end of its log:\n{}", self.name, self.tail(30))
        })
    }

    /// Sends SIGKILL to its process group and waits for its end.
    pub fn kill(&mut self) -> Result<()> {
        if self.status()?.is_none() {
            send_signal("KILL", &format!("-{}", self.pid()))?;
            self.child.wait()?;
        }
        Ok(())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Err(error) = self.kill() {
            eprintln!("devstack: {self} may still run: {error:#}");
        }
    }
}

impl fmt::Display for Process {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{} (pid {})", self.name, self.pid())
    }
}

/// Sends the signal `name` to a pid or, with a leading `-`, to a process group.
///
/// The standard library knows SIGKILL alone; the shell's built-in `kill` is on every system, unlike the
/// command of that name.
pub(crate) fn send_signal(name: &str, target: &str) -> Result<()> {
    let status = Command::new("sh")
        .args(["-c", "kill -s \"$0\" -- \"$1\"", name, target])
        .stderr(Stdio::null())
        .status()
        .context("cannot start `sh`")?;
    if !status.success() {
        bail!("SIG{name} could not be sent to process {target}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str, folder: &Path) -> Process {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        Process::start("script", command, &folder.join("log")).unwrap()
    }

    #[test]
    fn terminate_waits_for_an_orderly_end() {
        let folder = tempfile::tempdir().unwrap();
        let script = "trap 'echo bye; exit 7' TERM; echo up; while :; do sleep 0.05; done";
        let mut process = shell(script, folder.path());
        let limit = Duration::from_secs(10);
        wait_for("the script", limit, || Ok(process.output().contains("up").then_some(())))
            .unwrap();

        assert_eq!(process.terminate(limit).unwrap().code(), Some(7));
        assert_eq!(process.output(), "up\nbye\n");
        assert_eq!(process.tail(1), "bye");
    }

    #[test]
    fn an_early_end_is_told_with_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let mut process = shell("echo no such luck; exit 3", folder.path());
        process.wait(Duration::from_secs(10)).unwrap();

        let message = process.expect_running().unwrap_err().to_string();
        assert!(
            message.contains("exit status: 3") && message.contains("no such luck"),
            "{message}"
        );
    }
}

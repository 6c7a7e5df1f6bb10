//! A real terminal: a tmux server of the test's own, gone with it.

use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use orderly_devstack::{Environment, Process, start_program, wait_for};

use super::world::PATIENCE;

const TMUX: &str = "/usr/bin/tmux";

/// A terminal with a shell in it.
pub(crate) struct Terminal {
    // First, because the server goes before its socket.
    _server: Process,
    socket: PathBuf,
    _folder: tempfile::TempDir,
}

impl Terminal {
    /// A terminal of this size, whose shell has these variables as its only `ORDERLY_*` ones.
    pub(crate) fn new(size: (u16, u16), environment: &Environment) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let socket = folder.path().join("socket");
        let path = socket.to_str().unwrap();
        // In the foreground, so that it ends with this process, however that ends.
        let server = start_program(
            TMUX.as_ref(),
            &["-u", "-D", "-f", "/dev/null", "-S", path],
            environment,
            folder.path(),
        );
        let server = server.expect("tmux can't be started: apt-get install tmux");
        wait_for("tmux", PATIENCE, || Ok(socket.exists().then_some(()))).unwrap();
        let terminal = Self { _server: server, socket, _folder: folder };
        let (columns, rows) = (size.0.to_string(), size.1.to_string());
        let shell = "PS1='prompt> ' exec sh";
        terminal.tmux(&["new-session", "-d", "-x", &columns, "-y", &rows, shell]);
        terminal.shows("prompt>");
        terminal
    }

    fn tmux(&self, arguments: &[&str]) -> String {
        let mut command = Command::new(TMUX);
        let output =
            command.arg("-u").arg("-S").arg(&self.socket).args(arguments).output().unwrap();
        assert!(output.status.success(), "{arguments:?}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// Types a line.
    pub(crate) fn run(&self, line: &str) {
        self.tmux(&["send-keys", "-l", line]);
        self.press("Enter");
    }

    /// Presses a key, by the name that tmux has for it.
    pub(crate) fn press(&self, key: &str) {
        self.tmux(&["send-keys", key]);
    }

    /// The process id of what the shell runs at the moment.
    pub(crate) fn program(&self) -> String {
        let shell = self.tmux(&["display-message", "-p", "#{pane_pid}"]);
        let shell = shell.trim();
        let children = std::fs::read_to_string(format!("/proc/{shell}/task/{shell}/children"));
        children.unwrap().split_whitespace().next().unwrap().to_owned()
    }

    /// What is on the screen.
    pub(crate) fn screen(&self) -> String {
        self.tmux(&["capture-pane", "-p"])
    }

    /// The same with the sequences that make colours.
    pub(crate) fn coloured(&self) -> String {
        self.tmux(&["capture-pane", "-p", "-e"])
    }

    /// Waits until the screen shows `text`; the screen.
    #[track_caller]
    pub(crate) fn shows(&self, text: &str) -> String {
        self.shows_where(text, |screen| screen.contains(text))
    }

    /// Waits until something holds of the screen; the screen.
    #[track_caller]
    pub(crate) fn shows_where(&self, what: &str, holds: impl Fn(&str) -> bool) -> String {
        self.shows_within(PATIENCE, what, holds)
    }

    /// The same for what takes its time.
    #[track_caller]
    pub(crate) fn shows_within(
        &self,
        limit: Duration,
        what: &str,
        holds: impl Fn(&str) -> bool,
    ) -> String {
        let mut last = String::new();
        let shown = wait_for(what, limit, || {
            last = self.screen();
            Ok(holds(&last).then(|| last.clone()))
        });
        shown.unwrap_or_else(|error| panic!("{error}; the screen:\n{last}"))
    }
}

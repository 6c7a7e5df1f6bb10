//! The log: to standard output, as text for people or as JSON for machines.
//!
//! Whoever reads it may be slow or stopped, and then a pipe is full. So a thread of its own writes
//! it: the others hand their lines over without waiting, and what does not fit is counted.

use std::io::{self, IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use tracing_subscriber::EnvFilter;

use crate::metrics;

/// The most lines that wait to be written; at some hundred bytes each, a megabyte or two.
const LINES_WAITING: usize = 4_096;
/// How long the last lines may take to be written when the process ends.
const FLUSH_LIMIT: Duration = Duration::from_secs(1);

/// How the log looks.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// Lines for people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl std::str::FromStr for LogFormat {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("allowed are text and json"),
        }
    }
}

/// What the log is to let through, such as `info` or `debug,lapin=off`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter(String);

impl Default for LogFilter {
    fn default() -> Self {
        Self("info,lapin=off".to_owned())
    }
}

impl std::str::FromStr for LogFilter {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match EnvFilter::try_new(text) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(_) => {
                Err("levels are error, warn, info, debug, trace and off, as in info,lapin=off")
            }
        }
    }
}

/// Begins to log what `filter` lets through.
pub fn begin(format: LogFormat, filter: &LogFilter) {
    let log = Log::to(io::stdout(), LINES_WAITING);
    let writer = LOG.get_or_init(|| log).clone();
    let filter = EnvFilter::new(&filter.0);
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_target(false);
    let log = log.with_writer(move || writer.clone());
    match format {
        LogFormat::Json => log.json().flatten_event(true).init(),
        LogFormat::Text => log.with_ansi(io::stdout().is_terminal()).init(),
    }
    // The text of a panic may quote what it choked on, so only its place is told.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panicked");
    }));
}

/// The log of this process.
static LOG: OnceLock<Log> = OnceLock::new();

/// Waits, though not for long, until everything logged so far is written: before the process ends.
pub fn flush() {
    if let Some(log) = LOG.get() {
        log.flush_within(FLUSH_LIMIT);
    }
}

/// Hands lines over to the thread that writes them.
#[derive(Clone)]
struct Log {
    lines: SyncSender<Part>,
    /// How many lines were dropped and not told of yet.
    dropped: Arc<AtomicU64>,
}

enum Part {
    Line(Vec<u8>),
    /// Everything before is written once this is dropped.
    Flush(SyncSender<()>),
}

impl Log {
    fn to(writer: impl Write + Send + 'static, waiting: usize) -> Self {
        let (lines, parts) = sync_channel(waiting);
        let dropped = Arc::default();
        let log = Self { lines, dropped: Arc::clone(&dropped) };
        let write = move || write_all(writer, &parts, &dropped);
        // Without the thread every line is dropped and counted, which is better than no worker.
        let _ = thread::Builder::new().name("log".to_owned()).spawn(write);
        log
    }

    fn flush_within(&self, limit: Duration) {
        let deadline = Instant::now() + limit;
        let (written, all_written) = sync_channel(1);
        let mut part = Part::Flush(written);
        while let Err(TrySendError::Full(back)) = self.lines.try_send(part) {
            if Instant::now() > deadline {
                return;
            }
            part = back;
            thread::sleep(Duration::from_millis(5));
        }
        let _ = all_written.recv_timeout(deadline.saturating_duration_since(Instant::now()));
    }
}

impl Write for Log {
    /// Takes a line. It never waits: a log that nobody reads must not stop a worker.
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        if self.lines.try_send(Part::Line(line.to_vec())).is_err() {
            self.dropped.fetch_add(1, Ordering::Relaxed);
            metrics::log_line_dropped();
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn write_all(mut writer: impl Write, parts: &Receiver<Part>, dropped: &AtomicU64) {
    while let Ok(part) = parts.recv() {
        match part {
            // Nobody can be told that the log can't be written.
            Part::Line(line) => drop(writer.write_all(&line)),
            Part::Flush(written) => {
                let _ = writer.flush();
                drop(written);
            }
        }
        let missing = dropped.swap(0, Ordering::Relaxed);
        if missing > 0 {
            tracing::warn!(missing, "lines of the log were dropped: it was not read fast enough");
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Sender, channel};

    use super::*;

    /// A pipe that is full until somebody says that it is read.
    struct Pipe {
        is_read: Receiver<()>,
        written: Sender<Vec<u8>>,
    }

    impl Write for Pipe {
        fn write(&mut self, line: &[u8]) -> io::Result<usize> {
            let _ = self.is_read.recv();
            let _ = self.written.send(line.to_vec());
            Ok(line.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn a_full_pipe_holds_nobody_up_and_what_is_dropped_is_counted() {
        let (read, is_read) = channel();
        let (written, lines) = channel();
        let mut log = Log::to(Pipe { is_read, written }, 3);
        for n in 0..10u8 {
            log.write_all(&[n]).unwrap();
        }
        log.flush_within(Duration::from_millis(10));
        // One is being written and three wait, or all four wait still.
        let dropped = log.dropped.load(Ordering::Relaxed);
        assert!((6..=7).contains(&dropped), "{dropped}");
        drop(read);
        log.flush_within(Duration::from_secs(60));
        let lines: Vec<Vec<u8>> = lines.try_iter().collect();
        assert_eq!(lines.len() as u64, 10 - dropped);
        assert_eq!(lines[..3], [vec![0], vec![1], vec![2]]);
        assert_eq!(log.dropped.load(Ordering::Relaxed), 0, "it was told");
    }

    #[test]
    fn a_filter_that_means_nothing_is_refused() {
        for wrong in ["order=verbose", "info,a=b=c", "info,[{"] {
            assert!(wrong.parse::<LogFilter>().is_err(), "{wrong}");
        }
        for right in ["info", "debug,lapin=off", "orderly_runtime=trace", "off", "WARN"] {
            assert!(right.parse::<LogFilter>().is_ok(), "{right}");
        }
    }
}

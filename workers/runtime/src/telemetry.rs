//! The log: to standard output, as text for people or as JSON for machines.
//!
//! Whoever reads it may be slow or stopped, and then a pipe is full. So a thread of its own writes
//! it: the others hand their lines over without waiting, and what does not fit is counted.

use std::io::{self, BufWriter, IsTerminal, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

use tracing_appender::non_blocking::{ErrorCounter, NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::{FilterExt, filter_fn};
use tracing_subscriber::layer::{Layer, SubscriberExt};
use tracing_subscriber::util::SubscriberInitExt;

use crate::metrics;

/// The most lines that wait to be written; at some hundred bytes each, a megabyte or two.
const LINES_WAITING: usize = 4_096;
/// How long lines gather after others were written. To wake a thread for each would cost a worker as much as
/// all else that it does about the line.
const REST: Duration = Duration::from_millis(50);

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

/// What the log is to let through, such as `info` or `info,orderly_runtime=debug`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogFilter(String);

impl Default for LogFilter {
    fn default() -> Self {
        Self("info".to_owned())
    }
}

impl std::str::FromStr for LogFilter {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match EnvFilter::try_new(text) {
            Ok(_) => Ok(Self(text.to_owned())),
            Err(_) => Err(
                "levels are error, warn, info, debug, trace and off, as in info,orderly_stock=debug",
            ),
        }
    }
}

/// Begins to log what `filter` lets through.
pub fn begin(format: LogFormat, filter: &LogFilter) {
    let (writer, guard) = NonBlockingBuilder::default()
        .buffered_lines_limit(LINES_WAITING)
        .lossy(true)
        .thread_name("log")
        .finish(Gathering(BufWriter::new(io::stdout())));
    DROPPED.get_or_init(|| writer.error_counter());
    *GUARD.lock().unwrap_or_else(PoisonError::into_inner) = Some(guard);
    // Libraries log what they handle: a returned message with its body, a login with its password.
    let is_ours = filter_fn(|about| about.target().starts_with("orderly"));
    let filter = EnvFilter::new(&filter.0).and(is_ours);
    let lines = tracing_subscriber::fmt::layer().with_target(false).with_writer(writer);
    let lines = match format {
        LogFormat::Json => lines.json().flatten_event(true).boxed(),
        LogFormat::Text => lines.with_ansi(io::stdout().is_terminal()).boxed(),
    };
    tracing_subscriber::registry().with(lines.with_filter(filter)).init();
    // The text of a panic may quote what it choked on, so only its place is told.
    std::panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        tracing::error!(place, "panicked");
    }));
}

/// Writes lines together, and rests after that: whoever hands one over meanwhile wakes nobody.
struct Gathering<W: Write>(BufWriter<W>);

impl<W: Write> Write for Gathering<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write(line)
    }

    /// Called when no more lines wait.
    fn flush(&mut self) -> io::Result<()> {
        if self.0.buffer().is_empty() {
            return Ok(());
        }
        self.0.flush()?;
        std::thread::sleep(REST);
        Ok(())
    }
}

/// Once it is dropped, what was logged is written, and the log is over.
static GUARD: Mutex<Option<WorkerGuard>> = Mutex::new(None);
/// How many lines were dropped.
static DROPPED: OnceLock<ErrorCounter> = OnceLock::new();
/// How many of them the log has told of.
static TOLD: AtomicU64 = AtomicU64::new(0);

/// Ends the log: waits, though not for much longer than a second, until all of it is written.
pub fn end() {
    drop(GUARD.lock().unwrap_or_else(PoisonError::into_inner).take());
}

/// Tells, by metric and in the log itself, of lines that were dropped.
pub(crate) fn tell_dropped() {
    let Some(dropped) = DROPPED.get().map(ErrorCounter::dropped_lines) else { return };
    let dropped = dropped as u64;
    metrics::log_lines_dropped(dropped);
    let missing = dropped - TOLD.swap(dropped, Ordering::Relaxed);
    if missing > 0 {
        tracing::warn!(missing, "lines of the log were dropped: it was not read fast enough");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_means_nothing_is_refused() {
        for wrong in ["order=verbose", "info,a=b=c", "info,[{"] {
            assert!(wrong.parse::<LogFilter>().is_err(), "{wrong}");
        }
        for right in ["info", "debug,orderly_stock=off", "orderly_runtime=trace", "off", "WARN"] {
            assert!(right.parse::<LogFilter>().is_ok(), "{right}");
        }
    }
}

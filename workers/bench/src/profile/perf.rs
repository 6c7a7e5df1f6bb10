//! Flame graphs: what the processors were found at, by `perf`, drawn by `inferno`.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{BufReader, Cursor};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use inferno::collapse::Collapse;
use inferno::collapse::perf::Folder;
use inferno::flamegraph;

use crate::usage::Part;

/// How often a processor is looked at in a second; no divisor of what happens by the clock.
const FREQUENCY: &str = "499";
/// What is narrower than this part of the whole, in percent, is not drawn.
const NARROWEST: f64 = 0.5;

/// What `perf` has recorded of each part.
#[derive(Debug)]
pub struct Recording(BTreeMap<Part, PathBuf>);

impl Recording {
    /// Records `processes` side by side for `span`, into files in `folder`.
    pub fn make(
        processes: &BTreeMap<Part, Vec<u32>>,
        span: Duration,
        folder: &Path,
    ) -> Result<Self> {
        let mut files = BTreeMap::new();
        let mut recorders = Vec::new();
        for (part, pids) in processes {
            let file = folder.join(file_name(*part)).with_extension("perf");
            recorders.push((*part, record(*part, pids, span, &file)?));
            files.insert(*part, file);
        }
        for (part, recorder) in recorders {
            let output = recorder.wait_with_output()?;
            let said = String::from_utf8_lossy(&output.stderr);
            ensure!(output.status.success(), "perf recorded nothing of {}: {said}", part.name());
        }
        Ok(Self(files))
    }

    /// Draws a flame graph of each part into `folder`, and tells of which.
    pub fn draw(&self, folder: &Path) -> Result<Vec<Part>> {
        fs::create_dir_all(folder)?;
        for (part, file) in &self.0 {
            let folded = fold(file).with_context(|| format!("{} was recorded", part.name()))?;
            let path = picture(folder, *part);
            let drawn = File::create(&path)?;
            flamegraph::from_reader(&mut look(*part), folded.as_slice(), drawn)
                .with_context(|| format!("cannot draw {}", path.display()))?;
        }
        Ok(self.0.keys().copied().collect())
    }
}

/// Where the flame graph of `part` lies in `folder`.
pub fn picture(folder: &Path, part: Part) -> PathBuf {
    folder.join(file_name(part)).with_extension("svg")
}

fn file_name(part: Part) -> String {
    part.name().to_lowercase().replace(' ', "-")
}

fn record(part: Part, pids: &[u32], span: Duration, file: &Path) -> Result<Child> {
    let pids: Vec<String> = pids.iter().map(ToString::to_string).collect();
    // What Erlang compiles on the fly keeps frame pointers and tells nothing else of its frames; with all others
    // it is the other way round.
    let frames = if part == Part::Broker { "fp" } else { "dwarf,16384" };
    let mut command = Command::new("perf");
    command.args(["record", "--quiet", "--freq", FREQUENCY, "--call-graph", frames]);
    command.arg("--output").arg(file).args(["--pid", &pids.join(",")]);
    command.args(["--", "sleep", &span.as_secs_f64().to_string()]);
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
    command.spawn().context("cannot start perf: is linux-perf installed?")
}

/// The stacks in `file`, one a line, with how often each was found.
fn fold(file: &Path) -> Result<Vec<u8>> {
    // Forced, for the names of Erlang's functions belong to another user than root. What is inlined would have to be
    // looked up in the sources, one at a time.
    let output = Command::new("perf")
        .args(["script", "--force", "--no-inline", "--input"])
        .arg(file)
        .stderr(Stdio::piped())
        .output()
        .context("cannot start perf")?;
    if !output.status.success() {
        bail!("perf can't read it: {}", String::from_utf8_lossy(&output.stderr));
    }
    let mut folded = Vec::new();
    Folder::default().collapse(BufReader::new(Cursor::new(output.stdout)), &mut folded)?;
    ensure!(!folded.is_empty(), "no processor was found at it");
    let tidy = String::from_utf8_lossy(&folded).lines().map(tidy).collect::<Vec<_>>().join("\n");
    Ok(tidy.into_bytes())
}

/// The same stack without what nobody has a name for, which parts what belongs together; threads that do the same
/// have the same name.
fn tidy(stack: &str) -> String {
    let (frames, count) = stack.rsplit_once(' ').unwrap_or((stack, "0"));
    let is_named = |frame: &&str| !(frame.starts_with('[') && frame.ends_with(']'));
    let mut frames = frames.split(';').filter(is_named);
    // Erlang numbers its threads.
    let thread = frames.next().unwrap_or_default();
    let thread = thread.trim_start_matches(|c: char| c.is_ascii_digit()).trim_start_matches('_');
    let frames: Vec<&str> = [thread].into_iter().chain(frames).collect();
    format!("{} {count}", frames.join(";"))
}

fn look(part: Part) -> flamegraph::Options<'static> {
    let mut look = flamegraph::Options::default();
    look.title = part.name().to_owned();
    look.count_name = "samples".to_owned();
    look.min_width = NARROWEST;
    // The same picture from the same stacks, whoever draws it.
    look.deterministic = true;
    look
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_nobody_has_a_name_for_is_left_out() {
        assert_eq!(
            tidy("1_scheduler;[unknown];[beam.smp];$lists:map/2;writev 7"),
            "scheduler;$lists:map/2;writev 7"
        );
        assert_eq!(tidy("postgres;[postgres] 3"), "postgres 3");
        assert_eq!(tidy("order-worker;<T as A<[u8]>>::b 1"), "order-worker;<T as A<[u8]>>::b 1");
    }
}

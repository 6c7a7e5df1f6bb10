//! A trace in a file: one event a line, appended by any number of processes, whole line by line.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::sync::Mutex;

use crate::trace::Event;
use crate::trace::recorder::Sink;

/// Appends events to a file, or to nothing.
pub struct TraceFile(Option<Mutex<File>>);

impl TraceFile {
    /// The file that the environment's variable `name` tells; none, if it tells none.
    pub fn from_environment(name: &str) -> Self {
        let Some(path) = std::env::var_os(name) else { return Self(None) };
        Self::append(Path::new(&path)).expect("the trace's file can be written")
    }

    /// The file at `path`, behind what is in it already.
    pub fn append(path: &Path) -> std::io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).open(path)?;
        Ok(Self(Some(Mutex::new(file))))
    }

    /// All events of a trace, in order. The line that a killed process was writing may lack its
    /// end; such a line is no event, and is left out.
    pub fn read(path: &Path) -> std::io::Result<Vec<Event>> {
        let mut events = Vec::new();
        for line in BufReader::new(File::open(path)?).lines() {
            events.extend(serde_json::from_str::<Event>(&line?).ok());
        }
        Ok(events)
    }
}

impl Sink for TraceFile {
    /// One write a line: the system appends it as a whole, whatever other processes do. It begins
    /// with a line feed, or it would hang on to what a killed process has left without one.
    fn note(&self, event: Event) {
        let Some(file) = &self.0 else { return };
        let mut line = vec![b'\n'];
        serde_json::to_writer(&mut line, &event).expect("events always serialise");
        line.push(b'\n');
        let mut file = file.lock().expect("nobody panics while writing a trace");
        file.write_all(&line).expect("the trace's file can be written");
    }
}

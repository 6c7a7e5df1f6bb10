//! Where records come from: files or stdin, read in a thread of their own, ahead by a few windows.

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use anyhow::{Context, Result};
use tokio::sync::mpsc;

use super::record::Record;
use super::sender::WINDOW;

/// How many bytes have been read, of how many.
#[derive(Clone, Default)]
pub struct Extent {
    read: Arc<AtomicU64>,
    /// The length of all files together, unless one of them has none.
    pub length: Option<u64>,
}

impl Extent {
    /// How many bytes have been read.
    pub fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }
}

/// An input that counts what is read from it.
pub struct Input {
    inner: Box<dyn Read + Send>,
    read: Arc<AtomicU64>,
}

impl Read for Input {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// An input with its name for messages.
pub type Named = (String, BufReader<Input>);

/// Opens `paths`, where `-` is stdin, each with its name for messages.
pub fn open(paths: &[PathBuf]) -> Result<(Vec<Named>, Extent)> {
    let mut extent = Extent { length: Some(0), ..Extent::default() };
    let mut inputs = Vec::with_capacity(paths.len());
    for path in paths {
        let (name, inner, length) = open_one(path)?;
        extent.length = extent.length.zip(length).map(|(sum, length)| sum + length);
        let read = Arc::clone(&extent.read);
        inputs.push((name, BufReader::new(Input { inner, read })));
    }
    Ok((inputs, extent))
}

type Opened = (String, Box<dyn Read + Send>, Option<u64>);

fn open_one(path: &Path) -> Result<Opened> {
    if path == Path::new("-") {
        return Ok(("stdin".to_owned(), Box::new(io::stdin()), None));
    }
    let name = path.display().to_string();
    let open = || -> io::Result<(File, Option<u64>)> {
        let file = File::open(path)?;
        let about = file.metadata()?;
        if about.is_dir() {
            return Err(io::ErrorKind::IsADirectory.into());
        }
        Ok((file, about.is_file().then_some(about.len())))
    };
    let (file, length) = open().with_context(|| format!("can't read {name}"))?;
    Ok((name, Box::new(file), length))
}

/// Reads `records` in a thread of its own, so that a slow input holds up nothing else, and memory
/// holds a few windows at most.
pub fn read_ahead(
    records: impl Iterator<Item = Result<Record>> + Send + 'static,
) -> mpsc::Receiver<Result<Record>> {
    let (sender, receiver) = mpsc::channel(2 * WINDOW);
    // Not a task of the runtime: a read from a terminal would keep the process from ending.
    std::thread::spawn(move || {
        for record in records {
            let is_end = record.is_err();
            if sender.blocking_send(record).is_err() || is_end {
                break;
            }
        }
    });
    receiver
}

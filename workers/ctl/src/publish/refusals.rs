//! What becomes of refused records: a line each in a file, or counts and the first few on stderr.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};

use super::record::Refused;

/// How many refusals are shown in full where they go to no file.
const SHOWN: u64 = 5;

/// Counts refusals by reason, and writes each down if there is a file for it.
#[derive(Default)]
pub struct Refusals {
    file: Option<BufWriter<File>>,
    counts: BTreeMap<String, u64>,
    total: u64,
}

impl Refusals {
    /// Refusals that go to the file at `path`, if there is one.
    pub fn to(path: Option<&Path>) -> Result<Self> {
        let create = |path: &Path| {
            File::create(path).with_context(|| format!("can't write {}", path.display()))
        };
        let file = path.map(create).transpose()?.map(BufWriter::new);
        Ok(Self { file, ..Self::default() })
    }

    /// Takes note of a refused record; the line to show, if it is to be shown.
    pub fn add(&mut self, refused: &Refused) -> Result<Option<String>> {
        self.total += 1;
        *self.counts.entry(refused.reason.clone()).or_default() += 1;
        if let Some(file) = &mut self.file {
            serde_json::to_writer(&mut *file, refused)?;
            file.write_all(b"\n")?;
            return Ok(None);
        }
        Ok((self.total <= SHOWN).then(|| sentence(refused)))
    }

    /// How many there are.
    pub fn total(&self) -> u64 {
        self.total
    }

    /// How many there are of each reason.
    pub fn counts(&self) -> &BTreeMap<String, u64> {
        &self.counts
    }

    /// Completes the file, and sums up on stderr.
    pub fn finish(&mut self) -> Result<()> {
        if let Some(file) = &mut self.file {
            file.flush().context("the refused records can't be written")?;
        } else if self.total > SHOWN {
            let hidden = self.total - SHOWN;
            eprintln!("refused: {hidden} more; --refused FILE writes all of them down");
        }
        for (reason, count) in &self.counts {
            eprintln!("refused: {count:>6} {reason}");
        }
        Ok(())
    }
}

fn sentence(refused: &Refused) -> String {
    let Refused { file, line, id, reason, text } = refused;
    let id = id.as_deref().map(|id| format!(" ({id})"));
    let id = id.unwrap_or_default();
    format!("refused: {file}:{line}{id}: {reason}: {text}")
}

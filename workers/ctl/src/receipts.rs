//! Receipts: a JSON line for every message the broker has confirmed, and the orders they name.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::{BufRead, BufReader, BufWriter, Write};
use std::path::Path;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// A message for which the broker has taken responsibility.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Receipt {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: String,
    /// Its id.
    pub message_id: String,
    /// The order it is about, if it is about one.
    pub order_id: Option<String>,
}

/// Appends receipts to a new file.
pub struct Receipts {
    file: BufWriter<File>,
}

impl Receipts {
    /// Makes the file, or empties it.
    pub fn create(path: &Path) -> Result<Self> {
        let file = File::create(path).with_context(|| format!("can't write {}", path.display()))?;
        Ok(Self { file: BufWriter::new(file) })
    }

    /// Adds a receipt.
    pub fn add(&mut self, receipt: &Receipt) -> Result<()> {
        serde_json::to_writer(&mut self.file, receipt)?;
        self.file.write_all(b"\n")?;
        Ok(())
    }

    /// Hands everything over to the system, so that no end of this process loses it.
    pub fn flush(&mut self) -> Result<()> {
        self.file.flush().context("the receipts can't be written")
    }
}

/// Every receipt in a file, in order.
pub fn read(path: &Path) -> Result<impl Iterator<Item = Result<Receipt>>> {
    let file = File::open(path).with_context(|| format!("can't read {}", path.display()))?;
    let path = path.to_owned();
    let lines = BufReader::new(file).lines().enumerate();
    Ok(lines.filter(|(_, line)| !line.as_ref().is_ok_and(|line| line.trim().is_empty())).map(
        move |(index, line)| {
            let place = || format!("{}:{} is no receipt", path.display(), index + 1);
            let line = line.with_context(place)?;
            serde_json::from_str(&line).with_context(place)
        },
    ))
}

/// The orders that the receipts in a file name, each once.
pub fn orders(path: &Path) -> Result<BTreeSet<String>> {
    let mut orders = BTreeSet::new();
    for receipt in read(path)? {
        orders.extend(receipt?.order_id);
    }
    Ok(orders)
}

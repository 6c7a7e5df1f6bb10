//! `orderly dead export`: letters in full, a JSON line each, without loss.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::PathBuf;
use std::pin::pin;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use futures_util::TryStreamExt;

use super::selection::{MATCHES, Selection, UNFINISHED};
use super::{drawer, plain, show};
use crate::output::{self, count};
use crate::settings::Settings;

/// The arguments of `orderly dead export`.
#[derive(Debug, Args)]
pub struct Arguments {
    #[command(flatten)]
    selection: Selection,
    /// Write to this file rather than to stdout
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
}

pub(super) async fn run(arguments: &Arguments, settings: &Settings) -> Result<ExitCode> {
    let filter = arguments.selection.filter(UNFINISHED)?;
    let drawers = drawer::open(settings, arguments.selection.service, &[]).await?;
    let path = arguments.output.as_deref();
    let create = |path| File::create(path).with_context(|| "the file can't be written");
    let mut file = path.map(create).transpose()?.map(BufWriter::new);
    let statement = format!("{} WHERE {MATCHES} ORDER BY last_at, id", show::LETTER);
    let mut letters = 0;
    for drawer in drawers {
        // As a stream: letters may be many, and large.
        let rows = drawer.client.query_raw(&statement, filter.parameters()).await?;
        let mut rows = pin!(rows);
        while let Some(row) = rows.try_next().await? {
            let text = plain::json_text(&show::document(drawer.party, &row)?)?;
            match &mut file {
                Some(file) => writeln!(file, "{text}")?,
                None => output::line(text)?,
            }
            letters += 1;
        }
    }
    if let Some(mut file) = file {
        file.flush()?;
        file.get_ref().sync_all()?;
        output::line(format!("{} written", count(letters, "letter")))?;
    }
    Ok(ExitCode::SUCCESS)
}

//! Servers as if they had run for a while, which is what is measured.
//!
//! A new PostgreSQL makes each segment of its log by writing 16 MB of zeros, and whoever commits waits for that for
//! 50 to 90 ms; one that has run for a while uses old segments again. And what has been written to set the servers
//! up lies in memory for half a minute, until the kernel writes it to the disk all at once.

use anyhow::{Context, Result, ensure};
use orderly_devstack::Endpoints;

/// As many segments of the log as there are between two checkpoints, by `max_wal_size`. When these are used up, more
/// are made.
const SEGMENTS: u32 = 64;

/// Leaves so many segments ready to be used again, and nothing that is to be written to the disk.
pub fn season(endpoints: &Endpoints) -> Result<()> {
    let ask = |statement: &str| endpoints.query("postgres", statement);
    // A segment that holds nothing is not left.
    ask(&format!(
        "DO $$ BEGIN FOR segment IN 1..{SEGMENTS} LOOP \
         PERFORM pg_logical_emit_message(false, 'bench', ''); PERFORM pg_switch_wal(); END LOOP; END $$"
    ))?;
    ask("CHECKPOINT")?;
    let ready = ask("SELECT count(*) FROM pg_ls_waldir() WHERE name ~ '^[0-9A-F]{24}$' \
         AND name > pg_walfile_name(pg_current_wal_lsn())")?;
    let ready: u32 = ready.parse().with_context(|| format!("not a number: {ready}"))?;
    ensure!(ready >= SEGMENTS / 2, "only {ready} segments of the log are ready to be used again");
    rustix::fs::sync();
    Ok(())
}

//! The stock worker's process.

use std::process::ExitCode;

fn main() -> ExitCode {
    orderly_stock::worker().run()
}

//! The order worker's process.

use std::process::ExitCode;

fn main() -> ExitCode {
    orderly_order::worker().run()
}

//! The stock worker, to fail where its environment says.

use std::process::ExitCode;

fn main() -> ExitCode {
    orderly_faults::kill::run(orderly_stock::worker())
}

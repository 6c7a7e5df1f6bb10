//! The payment worker's process, with the sandbox as its provider.

use std::process::ExitCode;

fn main() -> ExitCode {
    orderly_payment::worker().run()
}

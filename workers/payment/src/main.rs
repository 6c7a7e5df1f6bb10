//! The payment worker's process, with the sandbox as its provider.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    orderly_payment::worker().run()
}

//! A deep stack for the threads that parse what strangers send.
//!
//! A header may hold lists within lists, some 26,000 levels in a frame of 128 KiB, and the broker
//! takes it. The AMQP client parses it by recursion on a thread of its own: with the usual 2 MiB the
//! process would die, and die again when the message comes back. Nothing but this variable sizes
//! that thread, and it has to be there when the process starts.

use std::os::unix::process::CommandExt;
use std::process::Command;

const VARIABLE: &str = "RUST_MIN_STACK";
/// Address space, not memory: a page is there once it is used. Measured with a frame full of levels:
/// a release build needs more than 16 MiB and less than 64, a debug build more than 256.
const BYTES: &str = if cfg!(debug_assertions) { "1073741824" } else { "268435456" };

/// Begins the process anew with a deep stack, unless it has one. The process id stays the same.
pub(crate) fn deepen() {
    if std::env::var_os(VARIABLE).is_some() {
        return;
    }
    let mut arguments = std::env::args_os();
    let name = arguments.next().unwrap_or_default();
    let Ok(program) = std::env::current_exe() else { return };
    // It returns only if it can't be done; then the worker runs with the stack it has.
    let error = Command::new(program).arg0(name).args(arguments).env(VARIABLE, BYTES).exec();
    eprintln!("can't begin anew with a deeper stack: {error}");
}

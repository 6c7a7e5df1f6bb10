//! The order worker's process.

use std::process::ExitCode;

use orderly_order::{Order, OrderTables, migrations};
use orderly_runtime::worker::Worker;

fn main() -> ExitCode {
    let version = env!("CARGO_PKG_VERSION");
    Worker::<_, OrderTables>::new(Order::default(), migrations, version).run()
}

//! The stock worker's process.

use std::process::ExitCode;

use orderly_runtime::worker::Worker;
use orderly_stock::{Stock, StockTables, migrations};

fn main() -> ExitCode {
    let version = env!("CARGO_PKG_VERSION");
    Worker::<_, StockTables>::new(Stock::default(), migrations, version).run()
}

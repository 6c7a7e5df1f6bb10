//! The payment worker's process, with the sandbox as its provider.

use std::process::ExitCode;

use orderly_contracts::routes::PAYMENT_EFFECTS;
use orderly_payment::effect::{ProviderCalls, decode_request};
use orderly_payment::{Payment, PaymentTables, Sandbox, migrations};
use orderly_runtime::worker::Worker;

fn main() -> ExitCode {
    let version = env!("CARGO_PKG_VERSION");
    Worker::<_, PaymentTables>::new(Payment::default(), migrations, version)
        .with_effect(ProviderCalls(Sandbox), PAYMENT_EFFECTS, decode_request)
        .run()
}

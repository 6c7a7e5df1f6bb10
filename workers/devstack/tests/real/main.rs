//! Tests on real nodes, which each of them starts for itself.
#![expect(clippy::unwrap_used, reason = "a test's helper fails as its test does")]

mod command;
mod nodes;
mod support;

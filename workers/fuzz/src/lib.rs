//! Decode fuzzing: whatever a stranger may publish, against the whole way in and out again.
//!
//! [`input`] makes a delivery from a seed and a number, so that each can be had again; [`check`]
//! says what must hold of it, whatever it is; [`campaign`] runs many and counts what came of them.

mod body;
pub mod campaign;
pub mod check;
mod envelope;
pub mod input;
mod ways;

pub use campaign::{Campaign, Failure, Tally};
pub use input::{Input, SECRET};

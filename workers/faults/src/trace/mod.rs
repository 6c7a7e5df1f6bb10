//! What workers did, as a trace of what crossed their seams, and whether it was right.

pub mod checker;
mod event;
pub mod file;
pub mod recorder;
#[cfg(test)]
mod tests;
mod violation;

pub use event::{Arrived, Effects, Event, Name, Published, Sent, Taken};
pub use violation::Violation;

//! The whole system under test: real nodes, real worker processes, and the questions tests ask.

mod broker;
pub mod collector;
mod database;
pub mod poison;
pub mod storm;
mod system;

pub use broker::{Client, Message, place};
pub use database::Databases;
pub use system::{System, eventually, program};

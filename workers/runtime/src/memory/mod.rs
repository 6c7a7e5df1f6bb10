//! Broker and store in memory: the same seams without servers, for tests and simulation.

pub mod broker;
mod locks;
mod queues;
pub mod store;

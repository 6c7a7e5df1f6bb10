//! The store on PostgreSQL, by way of tokio-postgres: the only folder that knows that library.

mod census;
pub mod connect;
mod connections;
pub mod failure;
mod inbox;
pub mod letters;
pub mod migrate;
mod outbox;
mod pauses;
pub mod session;
pub mod store;
pub mod tables;
mod timers;
mod unit;
pub mod write;

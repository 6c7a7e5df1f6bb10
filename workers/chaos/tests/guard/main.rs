//! What a batch costs, in numbers that no machine makes larger or smaller: statements, round trips,
//! commits, publishes and acks. [`table`] has them all.

mod broker;
mod database;
mod portions;
mod rig;
mod table;
mod walk;

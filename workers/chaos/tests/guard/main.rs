//! What a batch costs, in numbers that no machine makes larger or smaller: statements, round trips,
//! commits, publishes, acks and allocations. [`table`] has them all.

mod allocations;
mod broker;
mod database;
mod portions;
mod rig;
mod table;
mod walk;

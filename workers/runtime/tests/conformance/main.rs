//! One suite for every implementation of a seam: what holds in memory holds on real servers.

mod broker;
mod counters;
mod store;

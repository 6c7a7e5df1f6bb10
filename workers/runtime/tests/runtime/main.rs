//! The runtime's tests: one suite for every implementation of a seam, and the loop over them.

mod broker;
mod counters;
mod drain;
mod flight;
mod lane;
mod limits;
mod metrics;
mod migration;
mod plans;
mod presumption;
mod session;
mod store;
mod stores;

//! Private PostgreSQL and RabbitMQ nodes on one machine: one implementation for demo, tests and benchmarks.
//!
//! Tests that share nodes start with [`TestBed::new`]; tests that break nodes start their own with
//! [`Nodes::start`] and use [`TestBed::on`]. Nothing that is started here listens on anything but
//! loopback, touches a server that runs already, or outlives the process that started it.

mod account;
mod broker;
mod certificate;
mod database;
mod disk;
mod endpoints;
mod environment;
mod folder;
mod identity;
mod insight;
mod install;
mod keeper;
mod machine;
mod management;
mod nodes;
mod ports;
mod process;
mod prometheus;
mod random;
mod sql;
mod stack;
mod testbed;
mod wait;
mod worker;

pub use disk::Disk;
pub use endpoints::{
    BrokerEndpoint, DatabaseEndpoint, Endpoints, SHARED_NODES, shared, write_private,
};
pub use environment::{Environment, SERVICES, variable};
pub use folder::{folders_of, sweep};
pub use identity::Identity;
pub use insight::Insight;
pub use install::install;
pub use machine::machine;
pub use nodes::Nodes;
pub use ports::free_port;
pub use process::Process;
pub use prometheus::{Prometheus, Watched};
pub use stack::Stack;
pub use testbed::TestBed;
pub use wait::wait_for;
pub use worker::{Worker, Workers, get, start_program};

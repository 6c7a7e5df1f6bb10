//! The benchmark: the whole saga against the ceiling of the broker, in one run, on real servers.
//!
//! [`stage`] is where it is measured, on servers that are [`seasoned`]; [`shop`] is the client, which places orders by a
//! [`timetable`] where that matters; [`relay`] is the ceiling. [`throughput`], [`latency`], [`sweep`], [`backlog`] and
//! [`watched`] are what is measured, by the plan of [`sections`]; [`results`] keeps it, and [`page`] shows it.
//! [`profile`] looks at where the time goes.

pub mod backlog;
pub mod costs;
pub mod flow;
pub mod latency;
pub mod old;
pub mod orders;
pub mod page;
pub mod profile;
pub mod relay;
pub mod results;
pub mod seasoned;
pub mod sections;
pub mod shop;
pub mod specimens;
pub mod stage;
pub mod sweep;
pub mod throughput;
pub mod timetable;
pub mod usage;
pub mod varied;
pub mod watched;

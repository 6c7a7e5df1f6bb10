//! The fault matrix on real servers and real workers, and the verdict of the audit after each fault.

mod broker;
mod crashes;
mod database;
mod network;
mod support;
mod versions;

//! `orderly dead` on real servers: what is shown, what is sent, and who wins.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod edit;
mod look;
mod replay;
mod schema;
mod world;

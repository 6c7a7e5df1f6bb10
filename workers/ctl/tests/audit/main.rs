//! `orderly audit` on real servers: what is right is clean, what is wrong is named.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

mod open;
mod running;
mod violations;
mod volume;
mod world;

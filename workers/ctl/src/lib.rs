//! The operator's command `orderly`: one room a command, and what the commands share.
//!
//! [`settings`] and [`connections`] say where everything is and open the ways there.

pub mod connections;
pub mod settings;

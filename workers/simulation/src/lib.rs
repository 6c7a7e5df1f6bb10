//! Whole systems in memory, in virtual time, from a seed: the loops that ship, on servers as nasty
//! as real ones.
//!
//! [`plan`] derives everything from a seed; [`world`] runs it: processes ([`process`]) whose
//! servers stand under a [`sky`] ([`weather`]). What they did is judged as it comes ([`tape`]), and
//! what they kept in the end by the rules of the audit.

pub mod bug;
pub mod clock;
pub mod plan;
pub mod process;
pub mod provider;
pub mod report;
pub mod run;
pub mod sky;
pub mod tape;
pub mod weather;
pub mod world;

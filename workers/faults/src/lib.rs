//! The fault lab at a worker's seams: what listens between it and its servers, and what interferes.
//!
//! Nothing of it is in a worker that ships: a worker under test is the shipped one, run on servers
//! with something in between ([`interposed`]).

pub mod between;
pub mod failpoint;
pub mod interposed;
pub mod kill;
pub mod step;
pub mod trace;

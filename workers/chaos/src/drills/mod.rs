//! Drills: one kind of fault each, of any size, with what was measured.

pub mod crowds;
pub mod cuts;
pub mod failing;
pub mod freezes;
pub mod kills;
pub mod panics;
pub mod recovery;
pub mod rig;
pub mod schedules;
pub mod stops;
pub mod troubled;
pub mod watch;

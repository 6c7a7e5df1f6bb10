//! Drills: one kind of fault each, of any size, with what was measured.

pub mod kills;

//! The drills, small: each fault, and nothing lost and nothing double.

mod kills;
mod schedules;
mod shipped;
mod stops;

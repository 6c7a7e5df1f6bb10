//! The drills, small: each fault, and nothing lost and nothing double.

mod kills;
mod shipped;
mod stops;

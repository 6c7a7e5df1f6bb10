//! Bad input, floods and narrow surroundings: what is bounded, and what happens at its bounds.

mod poison;
mod storm;
mod surroundings;

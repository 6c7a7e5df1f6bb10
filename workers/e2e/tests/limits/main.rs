//! Bad input, floods and narrow surroundings: what is bounded, and what happens at its bounds.

mod bounds;
mod every_queue;
mod late;
mod letters_stuck;
mod poison;
mod settings;
mod sizes;
mod storm;
mod surroundings;

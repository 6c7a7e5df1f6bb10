//! `orderly audit` on real databases and a real broker: what is right is clean, what is wrong is named.

mod open;
mod running;
mod violations;
mod volume;
mod world;

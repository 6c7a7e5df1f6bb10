//! `orderly doctor` and `orderly top` on real systems, in a real terminal.
#![expect(clippy::unwrap_used, reason = "a test's helper fails as its test does")]

mod doctor;
mod picture;
mod relay;
mod svg;
mod terminal;
mod top;
mod world;

//! The model explored: every rule holds for what ships, and every rule finds a bug of its own.

mod broken;
mod bugs;
mod moments;
mod shipped;

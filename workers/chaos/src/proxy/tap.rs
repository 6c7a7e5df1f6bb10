//! A tap on a line: everything that has gone through it, piece by piece.

use std::sync::{Mutex, PoisonError};

use super::toxics::Way;
use super::units::Unit;

/// A piece that has gone through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Passed {
    /// On which connection, counted from 0.
    pub connection: u64,
    /// In which direction.
    pub way: Way,
    /// What it was.
    pub unit: Unit,
}

/// Listens in on both directions of all connections of a proxy.
///
/// A piece is heard before its receiver gets the last of it, so that an answer is never heard before
/// its question. One that a trap or a toxic keeps from arriving is not heard.
#[derive(Debug, Default)]
pub struct Tap(Mutex<Vec<Passed>>);

impl Tap {
    /// Everything heard so far, in order.
    pub fn heard(&self) -> Vec<Passed> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(crate) fn hear(&self, passed: Passed) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(passed);
    }
}

//! The request to stop: given once, heard by everybody who holds a copy.

use crate::flag::Flag;

/// Requests the stop of everything that listens. Dropping it is a request as well: nobody would be
/// left to make one.
#[derive(Debug)]
pub struct Stopper(Flag);

/// Hears of a requested stop.
#[derive(Debug, Clone)]
pub struct Stop(Flag);

/// A pair of one who requests and one who hears.
pub fn channel() -> (Stopper, Stop) {
    let flag = Flag::new(false);
    (Stopper(flag.clone()), Stop(flag))
}

impl Stopper {
    /// Requests the stop.
    pub fn request(&self) {
        self.0.set(true);
    }
}

impl Drop for Stopper {
    fn drop(&mut self) {
        self.request();
    }
}

impl Stop {
    /// Whether the stop has been requested.
    pub fn is_requested(&self) -> bool {
        self.0.is_up()
    }

    /// Returns when the stop is requested.
    pub async fn requested(&self) {
        self.0.raised().await;
    }
}

//! The request to stop: given once, heard by everybody who holds a copy.

use tokio::sync::watch;

/// Requests the stop of everything that listens.
#[derive(Debug)]
pub struct Stopper(watch::Sender<bool>);

/// Hears of a requested stop.
#[derive(Debug, Clone)]
pub struct Stop(watch::Receiver<bool>);

/// A pair of one who requests and one who hears.
pub fn channel() -> (Stopper, Stop) {
    let (sender, receiver) = watch::channel(false);
    (Stopper(sender), Stop(receiver))
}

impl Stopper {
    /// Requests the stop.
    pub fn request(&self) {
        self.0.send_replace(true);
    }
}

impl Stop {
    /// Whether the stop has been requested. Nobody left to request it counts as a request.
    pub fn is_requested(&self) -> bool {
        *self.0.borrow() || self.0.has_changed().is_err()
    }

    /// Returns when the stop is requested.
    pub async fn requested(&self) {
        let _ = self.0.clone().wait_for(|requested| *requested).await;
    }
}

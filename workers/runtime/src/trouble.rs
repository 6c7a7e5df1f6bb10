//! Trouble with infrastructure: what ends a session, and is never a message's fault.

use crate::broker::BrokerError;
use crate::store::StoreError;

/// Why a session can't go on. Everything unsettled goes back to its queue, once.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Trouble {
    /// The broker, or the way to it.
    #[error("broker: {0}")]
    Broker(#[from] BrokerError),
    /// The database, or the way to it.
    #[error("database: {0}")]
    Store(#[from] StoreError),
}

impl Trouble {
    /// Whether it will last until somebody acts, so that there is no hurry to try again.
    pub fn is_lasting(&self) -> bool {
        matches!(
            self,
            Self::Broker(BrokerError::Misconfigured(_)) | Self::Store(StoreError::Misconfigured(_))
        )
    }
}

//! What a worker adds to the runtime's PostgreSQL store: how its own states are loaded and saved.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

use crate::domain::Domain;
use crate::metrics::Reading;
use crate::postgres::session::Session;
use crate::store::{Changes, StoreError};

/// A worker's tables: one statement a table each way.
pub trait Tables<D: Domain>: Send + Sync + 'static {
    /// Loads and locks (`FOR UPDATE`) the states under `keys`, in the order of keys, and the
    /// states they lead to.
    fn load(
        session: Session<'_>,
        keys: &BTreeSet<D::Key>,
    ) -> impl Future<Output = Result<BTreeMap<D::Key, D::State>, StoreError>> + Send;

    /// Saves changed states and appends entries, in the order of keys. Creating a state that
    /// exists already is a [`StoreError::Conflict`], never an overwrite.
    ///
    /// COMMIT is sent behind what this begins: its statements are begun together, by
    /// `tokio::try_join!(biased; ..)`, and each fails by itself if it does not touch what it is meant to
    /// (`expect_all`). One that is begun later is refused.
    fn save(
        session: Session<'_>,
        changes: &Changes<D>,
        entries: &[D::Entry],
    ) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// What the gauges of these tables show. Those that take long to read are among them only if
    /// `is_full`.
    fn census(
        session: Session<'_>,
        is_full: bool,
    ) -> impl Future<Output = Result<Vec<Reading>, StoreError>> + Send {
        let _ = (session, is_full);
        async { Ok(vec![]) }
    }
}

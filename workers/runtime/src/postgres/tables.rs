//! What a worker adds to the runtime's PostgreSQL store: how its own states are loaded and saved.

use std::collections::{BTreeMap, BTreeSet};
use std::future::Future;

use crate::domain::Domain;
use crate::metrics::Reading;
use crate::postgres::session::Session;
use crate::postgres::write::Write;
use crate::store::{Changes, StoreError};

/// A worker's tables: one statement to load each, and one part of the save for each.
pub trait Tables<D: Domain>: Send + Sync + 'static {
    /// Whether saving fails, with a [`StoreError::Conflict`], where a state that it changes was changed since it was
    /// loaded, locked or not: as each change counts a version, say, and leaves a row behind whose key that is. Then a
    /// batch that is presumably new takes no locks until it is saved.
    const VERSIONED: bool = false;

    /// Loads and locks (`FOR UPDATE`) the states under `keys`, in the order of keys, and the
    /// states they lead to.
    fn load(
        session: Session<'_>,
        keys: &BTreeSet<D::Key>,
    ) -> impl Future<Output = Result<BTreeMap<D::Key, D::State>, StoreError>> + Send;

    /// Loads as [`Tables::load`] does, without a lock. Asked of tables that are [`VERSIONED`](Tables::VERSIONED).
    fn look(
        session: Session<'_>,
        keys: &BTreeSet<D::Key>,
    ) -> impl Future<Output = Result<BTreeMap<D::Key, D::State>, StoreError>> + Send {
        Self::load(session, keys)
    }

    /// What writes changed states and appends entries, in the order of keys. Creating a state that
    /// exists already is a [`StoreError::Conflict`], never an overwrite; one that is changed must be
    /// there ([`Write::touching_all`]).
    fn save<'a>(changes: &'a Changes<D>, entries: &'a [D::Entry]) -> Vec<Write<'a>>;

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

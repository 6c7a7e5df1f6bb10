//! Row locks in memory: taken one by one, waited for, and a circle of waiting is found at once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::domain::Cause;
use crate::store::StoreError;

/// Something that a transaction can lock.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Row<K> {
    /// The claim of a message, there or about to be.
    Claim(Cause),
    /// The state under a key, there or about to be.
    State(K),
}

/// The locks of a store.
pub(super) struct Locks<K> {
    table: Mutex<Table<K>>,
    released: Notify,
    last_unit: AtomicU64,
}

struct Table<K> {
    owners: BTreeMap<Row<K>, u64>,
    waiting: BTreeMap<u64, Row<K>>,
    deadlocks: u64,
}

enum Attempt {
    Taken,
    Busy,
    Deadlock,
}

impl<K> Default for Locks<K> {
    fn default() -> Self {
        let table = Table { owners: BTreeMap::new(), waiting: BTreeMap::new(), deadlocks: 0 };
        Self { table: Mutex::new(table), released: Notify::new(), last_unit: AtomicU64::new(0) }
    }
}

impl<K: Ord + Clone> Locks<K> {
    /// A transaction that holds nothing yet.
    pub(super) fn unit(&self) -> u64 {
        self.last_unit.fetch_add(1, Ordering::Relaxed) + 1
    }

    /// Waits until `row` belongs to `unit`; a conflict if that would be for ever.
    pub(super) async fn lock(&self, unit: u64, row: &Row<K>) -> Result<(), StoreError> {
        self.lock_unless(unit, row, || false).await.map(|_| ())
    }

    /// The same as long as it does not come about that it `is_moot`; whether the row was taken.
    pub(super) async fn lock_unless(
        &self,
        unit: u64,
        row: &Row<K>,
        is_moot: impl Fn() -> bool,
    ) -> Result<bool, StoreError> {
        loop {
            let mut released = std::pin::pin!(self.released.notified());
            // Registered before looking, or a release in between would go unheard.
            released.as_mut().enable();
            if is_moot() {
                self.table().waiting.remove(&unit);
                return Ok(false);
            }
            match self.table().attempt(unit, row) {
                Attempt::Taken => return Ok(true),
                Attempt::Busy => {}
                Attempt::Deadlock => {
                    return Err(StoreError::Conflict("deadlock detected".to_owned()));
                }
            }
            released.await;
        }
    }

    /// Gives a single row back.
    pub(super) fn unlock(&self, row: &Row<K>) {
        let mut table = self.table();
        table.owners.remove(row);
        table.waken();
        drop(table);
        self.released.notify_waiters();
    }

    /// Gives back everything that `unit` holds.
    pub(super) fn release(&self, unit: u64) {
        let mut table = self.table();
        table.owners.retain(|_, owner| *owner != unit);
        table.waiting.remove(&unit);
        table.waken();
        drop(table);
        self.released.notify_waiters();
    }

    /// How many circles of waiting were found.
    pub(super) fn deadlocks(&self) -> u64 {
        self.table().deadlocks
    }

    fn table(&self) -> MutexGuard<'_, Table<K>> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Ord + Clone> Table<K> {
    fn attempt(&mut self, unit: u64, row: &Row<K>) -> Attempt {
        match self.owners.get(row) {
            None => {
                self.waiting.remove(&unit);
                self.owners.insert(row.clone(), unit);
                Attempt::Taken
            }
            Some(owner) if *owner == unit => Attempt::Taken,
            Some(owner) if self.waits_for(*owner, unit) => {
                self.waiting.remove(&unit);
                self.deadlocks += 1;
                Attempt::Deadlock
            }
            Some(_) => {
                self.waiting.insert(unit, row.clone());
                Attempt::Busy
            }
        }
    }

    /// Who waited for what is free now waits for nobody until he has looked again: somebody else may
    /// have taken it by then, and be none of his business.
    fn waken(&mut self) {
        let owners = &self.owners;
        self.waiting.retain(|_, row| owners.contains_key(row));
    }

    /// Whether `one` waits for `other`, directly or by way of more.
    fn waits_for(&self, mut one: u64, other: u64) -> bool {
        while let Some(next) = self.waiting.get(&one).and_then(|row| self.owners.get(row)) {
            if *next == other {
                return true;
            }
            one = *next;
        }
        false
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::AtomicBool;
    use std::time::Duration;

    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn who_waits_in_vain_does_not_wait_for_the_next_owner() {
        let locks = Arc::new(Locks::<&str>::default());
        let exists = Arc::new(AtomicBool::new(false));
        let [creator, late, next] = [(); 3].map(|()| locks.unit());
        locks.lock(creator, &Row::State("a")).await.unwrap();
        locks.lock(late, &Row::State("b")).await.unwrap();
        let creating = tokio::spawn({
            let (locks, exists) = (locks.clone(), exists.clone());
            let exists = move || exists.load(Ordering::Relaxed);
            async move { locks.lock_unless(late, &Row::State("a"), exists).await }
        });
        tokio::task::yield_now().await;
        exists.store(true, Ordering::Relaxed);
        locks.release(creator);
        // Before the late one has looked again.
        locks.lock(next, &Row::State("a")).await.unwrap();
        let row = Row::State("b");
        let mut waiting = std::pin::pin!(locks.lock(next, &row));
        assert!(waiting.as_mut().now_or_never().is_none(), "that is no circle");
        let taken = tokio::time::timeout(Duration::from_secs(5), creating).await;
        assert!(!taken.unwrap().unwrap().unwrap());
        assert_eq!(locks.deadlocks(), 0);
        locks.release(late);
        waiting.await.unwrap();
    }

    #[tokio::test]
    async fn who_waits_gets_the_row_when_it_is_given_back() {
        let locks = Arc::new(Locks::<&str>::default());
        let (first, second) = (locks.unit(), locks.unit());
        locks.lock(first, &Row::State("a")).await.unwrap();
        let waiting = tokio::spawn({
            let locks = locks.clone();
            async move { locks.lock(second, &Row::State("a")).await }
        });
        tokio::task::yield_now().await;
        assert!(!waiting.is_finished());
        locks.release(first);
        waiting.await.unwrap().unwrap();
    }

    #[tokio::test]
    async fn a_circle_of_three_is_found_by_the_last() {
        let locks = Arc::new(Locks::<&str>::default());
        let units = [locks.unit(), locks.unit(), locks.unit()];
        for (unit, row) in units.into_iter().zip(["a", "b", "c"]) {
            locks.lock(unit, &Row::State(row)).await.unwrap();
        }
        for (unit, row) in [(units[0], "b"), (units[1], "c")] {
            let locks = locks.clone();
            tokio::spawn(async move { locks.lock(unit, &Row::State(row)).await });
            tokio::task::yield_now().await;
        }
        let last = locks.lock(units[2], &Row::State("a")).await;
        assert!(matches!(last, Err(StoreError::Conflict(_))));
        assert_eq!(locks.deadlocks(), 1);
    }
}

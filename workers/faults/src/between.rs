//! What stands between a worker and its servers: it sees every call, and may make another of it.

use std::future::Future;
use std::time::Duration;

use orderly_runtime::broker::{Acks, BrokerError, Confirmation, Publisher};
use orderly_runtime::domain::{Cause, Domain, Timer};
use orderly_runtime::letter::Letter;
use orderly_runtime::message::{Delivery, Outgoing, Tag};
use orderly_runtime::store::{Claim, DueTimer, Standing, Store, StoreError, Unit, Work};
use std::collections::{BTreeMap, BTreeSet};
use uuid::Uuid;

/// The states that a load has found.
pub type Rows<D> = BTreeMap<<D as Domain>::Key, <D as Domain>::State>;

/// Stands around the calls that cross a worker's seams. Each method makes the call that it stands
/// around, as long as it isn't overridden.
pub trait Between<D: Domain>: Send + Sync + 'static {
    /// What is remembered of a transaction.
    type Unit: Default + Send + 'static;
    /// What is remembered of a channel of deliveries.
    type Channel: Send + Sync + 'static;

    /// A channel over `queue` opens.
    fn channel(&self, queue: &str) -> Self::Channel;

    /// A delivery has come.
    fn saw(&self, _channel: &Self::Channel, _delivery: &Delivery) {}

    /// Right after a delivery that was waited for; it must not wait, or the delivery may be lost.
    fn arrived<A: Acks>(
        &self,
        _channel: &Self::Channel,
        _acks: &mut A,
        _delivery: &Delivery,
    ) -> impl Future<Output = ()> + Send {
        std::future::ready(())
    }

    /// Around [`Acks::ack_up_to`].
    fn ack<A: Acks>(
        &self,
        _channel: &Self::Channel,
        acks: &mut A,
        tag: Tag,
    ) -> impl Future<Output = Result<(), BrokerError>> + Send {
        acks.ack_up_to(tag)
    }

    /// Around [`Publisher::publish`].
    fn publish<P: Publisher>(
        &self,
        publisher: &mut P,
        messages: &[Outgoing],
    ) -> impl Future<Output = Result<Vec<Confirmation>, BrokerError>> + Send {
        publisher.publish(messages)
    }

    /// Around [`Store::begin`].
    fn begin<S: Store<D>>(
        &self,
        store: &S,
    ) -> impl Future<Output = Result<S::Unit, StoreError>> + Send {
        store.begin()
    }

    /// Around [`Unit::claim`].
    fn claim<U: Unit<D>>(
        &self,
        unit: &mut U,
        _own: &mut Self::Unit,
        batch: Uuid,
        claims: &[Claim],
    ) -> impl Future<Output = Result<Vec<Standing>, StoreError>> + Send {
        unit.claim(batch, claims)
    }

    /// Around [`Unit::load`].
    fn load<U: Unit<D>>(
        &self,
        unit: &mut U,
        _own: &mut Self::Unit,
        keys: &BTreeSet<D::Key>,
    ) -> impl Future<Output = Result<Rows<D>, StoreError>> + Send {
        unit.load(keys)
    }

    /// Around [`Unit::save`].
    fn save<U: Unit<D>>(
        &self,
        unit: &mut U,
        _own: &mut Self::Unit,
        work: &Work<D>,
    ) -> impl Future<Output = Result<(), StoreError>> + Send {
        unit.save(work)
    }

    /// Around [`Unit::commit`].
    fn commit<U: Unit<D>>(
        &self,
        unit: U,
        _own: Self::Unit,
    ) -> impl Future<Output = Result<(), StoreError>> + Send {
        unit.commit()
    }

    /// Around [`Store::due_timers`].
    fn due_timers<S: Store<D>>(
        &self,
        store: &S,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<DueTimer>, StoreError>> + Send {
        store.due_timers(limit)
    }

    /// Around [`Store::postpone`].
    fn postpone<S: Store<D>>(
        &self,
        store: &S,
        timers: &[Timer],
        by: Duration,
    ) -> impl Future<Output = Result<(), StoreError>> + Send {
        store.postpone(timers, by)
    }

    /// Around [`Store::mark_sent`].
    fn mark_sent<S: Store<D>>(
        &self,
        store: &S,
        batches: &[Uuid],
    ) -> impl Future<Output = Result<(), StoreError>> + Send {
        store.mark_sent(batches)
    }

    /// Around [`Store::unsent`].
    fn unsent<S: Store<D>>(
        &self,
        store: &S,
        age: Duration,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<(Uuid, Vec<Outgoing>)>, StoreError>> + Send {
        store.unsent(age, limit)
    }

    /// Around [`Store::note_suspect`].
    fn note_suspect<S: Store<D>>(
        &self,
        store: &S,
        cause: &Cause,
        process: Uuid,
    ) -> impl Future<Output = Result<u32, StoreError>> + Send {
        store.note_suspect(cause, process)
    }

    /// Around [`Store::file_letters`].
    fn file_letters<S: Store<D>>(
        &self,
        store: &S,
        letters: &[Letter],
    ) -> impl Future<Output = Result<(), StoreError>> + Send {
        store.file_letters(letters)
    }
}

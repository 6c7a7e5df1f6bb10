//! A worker's servers with something in between.

mod broker;
mod store;

use std::sync::Arc;

use orderly_runtime::domain::Domain;
use orderly_runtime::servers::Servers;
use orderly_runtime::trouble::Trouble;

use crate::between::Between;
pub use broker::{InterposedAcks, InterposedBroker, InterposedDeliveries, InterposedPublisher};
pub use store::{InterposedStore, InterposedUnit};

/// Servers, and what stands between them and the worker. Several may stand in a row.
pub struct Interposed<P, S, A> {
    servers: P,
    store: Arc<InterposedStore<S, A>>,
    between: Arc<A>,
}

impl<P, S, A> Interposed<P, S, A> {
    /// Puts `between` before `servers`.
    pub fn new<D: Domain>(servers: P, between: Arc<A>) -> Self
    where
        P: Servers<D, Store = S>,
    {
        let store = Arc::new(InterposedStore::new(servers.store().clone(), between.clone()));
        Self { servers, store, between }
    }
}

impl<D, P, A> Servers<D> for Interposed<P, P::Store, A>
where
    D: Domain,
    P: Servers<D>,
    A: Between<D>,
{
    type Broker = InterposedBroker<D, P::Broker, A>;
    type Store = InterposedStore<P::Store, A>;

    fn store(&self) -> &Arc<Self::Store> {
        &self.store
    }

    async fn connect(&self) -> Result<Self::Broker, Trouble> {
        let broker = self.servers.connect().await?;
        Ok(InterposedBroker::new(broker, self.between.clone()))
    }
}

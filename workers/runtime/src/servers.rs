//! The servers a worker stands on: its broker and its database, and the way to both.

use std::future::Future;
use std::sync::Arc;

use refinery::Runner;

use crate::amqp::broker::AmqpBroker;
use crate::amqp::declare;
use crate::broker::Broker;
use crate::config::Config;
use crate::domain::Domain;
use crate::postgres::connect::{located, pool};
use crate::postgres::migrate;
use crate::postgres::store::PgStore;
use crate::postgres::tables::Tables;
use crate::store::{Store, StoreError};
use crate::trouble::Trouble;

/// A broker and a database. A session is generic over them, so that the whole of it runs on other
/// servers than ours, such as those in memory, and on ours with something in between.
pub trait Servers<D: Domain>: Send + Sync + 'static {
    /// The broker, once connected.
    type Broker: Broker;
    /// The worker's database. It lasts as long as the worker does.
    type Store: Store<D>;

    /// The worker's database.
    fn store(&self) -> &Arc<Self::Store>;

    /// Connects to the broker, once the database is there and both are as the worker needs them.
    fn connect(&self) -> impl Future<Output = Result<Self::Broker, Trouble>> + Send;
}

/// RabbitMQ and PostgreSQL.
pub struct OwnServers<T> {
    config: Arc<Config>,
    name: String,
    migrations: fn() -> Runner,
    store: Arc<PgStore<T>>,
}

impl<T> OwnServers<T> {
    /// The servers that `config` names; nothing is connected yet. `name` is how the worker shows up
    /// on both, `migrations` are those of its own tables.
    pub fn new(
        config: Arc<Config>,
        name: String,
        migrations: fn() -> Runner,
    ) -> Result<Self, StoreError> {
        let timeout = config.statement_timeout;
        let pool = pool(&config.database, &name, config.database_connections, timeout)?;
        let store = Arc::new(PgStore::new(pool, timeout));
        Ok(Self { config, name, migrations, store })
    }
}

impl<D: Domain, T: Tables<D>> Servers<D> for OwnServers<T> {
    type Broker = AmqpBroker;
    type Store = PgStore<T>;

    fn store(&self) -> &Arc<PgStore<T>> {
        &self.store
    }

    /// The database first: without it a delivery could only be given back.
    async fn connect(&self) -> Result<AmqpBroker, Trouble> {
        let database = &self.config.database;
        let ping = Store::<D>::ping(&*self.store).await;
        ping.map_err(|error| located(database, error))?;
        migrate::verify(database, &self.name, &(self.migrations)()).await?;
        let broker = AmqpBroker::connect(&self.config.broker, &self.name).await?;
        declare::verify(&broker, D::PARTY, &self.config.ladder).await?;
        Ok(broker)
    }
}

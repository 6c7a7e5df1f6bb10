//! A worker under observation: the session that ships, with a tap on each of its lines.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use orderly_chaos::proxy::{Passed, Protocol, Proxy, Tap, Toxics, Way};
use orderly_devstack::variable;
use orderly_e2e::System;
use orderly_runtime::clock::{Clock, Entropy, SystemClock, SystemEntropy};
use orderly_runtime::config::Config;
use orderly_runtime::domain::Domain;
use orderly_runtime::health::Health;
use orderly_runtime::postgres::tables::Tables;
use orderly_runtime::servers::OwnServers;
use orderly_runtime::session::Session;
use orderly_runtime::stop::{self, Stopper};
use orderly_runtime::store::StoreError;
use orderly_runtime::worker::NoEffect;
use tokio::task::JoinHandle;

use crate::portions::{InPortions, WithoutAlarms};

/// How late answers are: long enough for everything to leave before that does not wait for them. What
/// does wait is counted the same however late they are. A broker has more time, since a whole batch
/// of publishes leaves at once.
const DATABASE_LATENCY: Duration = Duration::from_millis(10);
const BROKER_LATENCY: Duration = Duration::from_millis(100);

/// A line to a server, and what is heard on it.
struct Line {
    proxy: Proxy,
    tap: Arc<Tap>,
}

impl Line {
    fn to(host: &str, port: u16, protocol: Protocol) -> Result<Self> {
        let server: SocketAddr = format!("{host}:{port}").parse()?;
        let proxy = Proxy::start(server, protocol, 1)?;
        let tap = proxy.tap();
        Ok(Self { proxy, tap })
    }

    fn answers_are_late(&self, latency: Duration) {
        self.proxy.set(Way::ToClient, Toxics::late(latency, Duration::ZERO));
    }
}

/// A worker that runs.
pub(crate) struct Observed {
    database: Line,
    broker: Line,
    health: Health,
    stopper: Stopper,
    running: JoinHandle<()>,
}

impl Observed {
    /// Starts a worker of `domain` in this process, on the servers that `connect` makes.
    pub(crate) fn start<D: Domain, T: Tables<D>>(
        system: &System,
        domain: D,
        connect: impl FnOnce(Arc<Config>, String) -> Result<OwnServers<T>, StoreError>,
    ) -> Result<Self> {
        let (bed, service) = (system.bed(), D::PARTY.name());
        let at = bed.endpoints();
        let (database, broker) = (&at.database, &at.broker);
        let database = Line::to(&database.host, database.port, Protocol::Postgres)?;
        let broker = Line::to(&broker.host, broker.amqp_port, Protocol::Amqp)?;
        let mut environment = system.environment().clone();
        let database_url = database.proxy.before(&bed.database_url(service));
        environment.insert(variable(service, "DATABASE_URL"), database_url);
        environment.insert("ORDERLY_BROKER_URL".to_owned(), broker.proxy.before(&bed.amqp_url()));
        let mut config = Config::read(D::PARTY, environment)?;
        // Each connection prepares its statements; one of them is enough to see that it does so once.
        config.database_connections = 1;
        // Without alarms it would never end.
        config.batch.patience = Duration::ZERO;
        let config = Arc::new(config);
        let name = format!("orderly-{service} observed");
        let (health, (stopper, stop)) = (Health::default(), stop::channel());
        let session: Session<D, _, NoEffect> = Session {
            domain: Arc::new(domain),
            servers: InPortions(connect(config.clone(), name.clone())?),
            effect: None,
            clock: Arc::new(WithoutAlarms(SystemClock.now())),
            entropy: Arc::new(SystemEntropy),
            process: SystemEntropy.uuid(),
            name,
            config,
            health: health.clone(),
            stop,
        };
        let running = tokio::spawn(async move { session.supervise().await });
        Ok(Self { database, broker, health, stopper, running })
    }

    /// What it says about itself.
    pub(crate) fn readiness(&self) -> String {
        format!("it says {:?}", self.health.readiness())
    }

    /// Whether it consumes all its queues.
    pub(crate) fn is_ready(&self) -> bool {
        self.health.readiness().ready
    }

    /// From now on, answers take so long that nobody can have had them who did not wait for them.
    pub(crate) fn answers_are_late(&self) {
        self.database.answers_are_late(DATABASE_LATENCY);
        self.broker.answers_are_late(BROKER_LATENCY);
    }

    /// Stops it; what it and its broker, and it and its database, have said in its life.
    pub(crate) async fn stop(self) -> Result<(Vec<Passed>, Vec<Passed>)> {
        self.broker.answers_are_late(Duration::ZERO);
        self.stopper.request();
        self.running.await.context("a worker panicked")?;
        Ok((self.broker.tap.heard(), self.database.tap.heard()))
    }
}

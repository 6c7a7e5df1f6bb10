//! A worker's process in memory: the session that ships, until it is stopped or crashes.

use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};

use orderly_contracts::routes::Party;
use orderly_faults::interposed::Interposed;
use orderly_runtime::clock::{Clock, Entropy};
use orderly_runtime::config::Config;
use orderly_runtime::domain::Domain;
use orderly_runtime::effect::Effect;
use orderly_runtime::health::Health;
use orderly_runtime::memory::broker::MemoryBroker;
use orderly_runtime::memory::store::MemoryStore;
use orderly_runtime::session::Session;
use orderly_runtime::stop::{self, Stopper};
use orderly_runtime::topology::WORKERS;
use orderly_runtime::worker::EffectPart;
use tokio::task::JoinHandle;

use crate::bug::{Bug, Bugged};
use crate::clock::{Seeded, VirtualClock};
use crate::sky::Sky;
use crate::tape::Tape;
use crate::weather::{Lines, Weather};

/// A running process.
pub struct Process {
    running: JoinHandle<()>,
    stopper: Stopper,
}

impl Process {
    /// Ends it at once, wherever it is.
    pub async fn crash(self) {
        self.running.abort();
        let _ = self.running.await;
    }

    /// Asks it to stop, and waits until it has.
    pub async fn stop(self) {
        self.stopper.request();
        let _ = self.running.await;
    }
}

/// What all processes of a system share.
#[derive(Clone)]
pub struct Surroundings {
    /// The broker.
    pub broker: MemoryBroker,
    /// What they do is written down here.
    pub tape: Tape,
    /// What their servers do to them.
    pub sky: Arc<Sky>,
    /// Their connections to the broker.
    pub lines: Lines,
    /// The time.
    pub clock: VirtualClock,
    /// The most messages in a batch.
    pub batch_messages: usize,
    /// What is wrong with them, if anything is meant to be.
    pub bug: Option<Bug>,
}

/// A worker to be started any number of times.
pub struct Program<D: Domain, E: Effect> {
    /// Its decisions.
    pub domain: Arc<D>,
    /// Its database.
    pub store: Arc<MemoryStore<D>>,
    /// Its calls to the outside.
    pub effect: Option<Arc<EffectPart<E>>>,
}

impl<D: Domain, E: Effect> Program<D, E> {
    /// Starts a process, whose randomness follows from `seed`.
    pub fn start(&self, surroundings: &Surroundings, seed: u64) -> Process {
        let Surroundings { broker, tape, sky, lines, clock, batch_messages, bug } = surroundings;
        let weather = Weather::new(&self.store, broker, tape, sky, lines, seed);
        let entropy = Arc::new(Seeded::new(seed));
        let mut config = CONFIGS[&D::PARTY].clone();
        config.batch.messages = *batch_messages;
        let (stopper, stop) = stop::channel();
        let session = Session {
            domain: self.domain.clone(),
            servers: Interposed::new(weather, Arc::new(Bugged::new(*bug))),
            effect: self.effect.clone(),
            clock: Arc::new(*clock) as Arc<dyn Clock>,
            process: entropy.uuid(),
            entropy,
            name: format!("simulated {}", D::PARTY),
            config: Arc::new(config),
            health: Health::default(),
            stop,
        };
        let running = tokio::spawn(async move { session.supervise().await });
        Process { running, stopper }
    }
}

/// Settings under which everything happens within seconds.
const SETTINGS: [(&str, &str); 10] = [
    ("ORDERLY_BROKER_URL", "amqp://127.0.0.1"),
    ("ORDERLY_ORDER_DATABASE_URL", "postgres://127.0.0.1"),
    ("ORDERLY_STOCK_DATABASE_URL", "postgres://127.0.0.1"),
    ("ORDERLY_PAYMENT_DATABASE_URL", "postgres://127.0.0.1"),
    ("ORDERLY_RETRY_DELAYS_MS", "40,80,160"),
    ("ORDERLY_BREAKER_PAUSE_MS", "100"),
    ("ORDERLY_BREAKER_PAUSE_MAX_MS", "400"),
    ("ORDERLY_SWEEP_AFTER_MS", "900"),
    ("ORDERLY_DRAIN_DEADLINE_MS", "2000"),
    ("ORDERLY_EFFECT_TIMEOUT_MS", "100"),
];

static CONFIGS: LazyLock<BTreeMap<Party, Config>> = LazyLock::new(|| {
    let read = |party| {
        let variables = SETTINGS.map(|(name, value)| (name.to_owned(), value.to_owned()));
        (party, Config::read(party, variables).expect("these settings are right"))
    };
    WORKERS.into_iter().map(read).collect()
});

//! Servers in memory under a sky: as slow, as broken and as misleading as real ones.

mod broker;
mod store;

use std::sync::{Arc, Mutex, PoisonError};

use orderly_faults::interposed::{InterposedBroker, InterposedStore};
use orderly_faults::trace::recorder::Recorder;
use orderly_runtime::broker::BrokerError;
use orderly_runtime::domain::Domain;
use orderly_runtime::memory::broker::MemoryBroker;
use orderly_runtime::memory::store::MemoryStore;
use orderly_runtime::servers::Servers;
use orderly_runtime::trouble::Trouble;

use crate::sky::{Sky, Strike};
use crate::tape::Tape;
pub use broker::WeatherBroker;
pub use store::{SQL_POISON, WeatherStore};

/// A store in memory whose every call is on the tape.
pub type TapedStore<D> = InterposedStore<MemoryStore<D>, Recorder<Tape>>;
/// A broker in memory whose every call is on the tape.
pub type TapedBroker<D> = InterposedBroker<D, MemoryBroker, Recorder<Tape>>;

/// The servers of one process.
pub struct Weather<D: Domain> {
    store: Arc<WeatherStore<TapedStore<D>>>,
    broker: MemoryBroker,
    recorder: Arc<Recorder<Tape>>,
    sky: Arc<Sky>,
    lines: Lines,
}

/// The connections to the broker that processes have, to be cut from outside.
#[derive(Clone, Default)]
pub struct Lines(Arc<Mutex<Vec<MemoryBroker>>>);

impl Lines {
    fn add(&self, line: MemoryBroker) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(line);
    }

    /// Cuts all connections.
    pub fn cut(&self) {
        for line in self.0.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            line.cut();
        }
    }
}

impl<D: Domain> Weather<D> {
    /// The servers `store` and `broker` under `sky`, for a process of this number. What truly
    /// happens to them goes on `tape`.
    pub fn new(
        store: &Arc<MemoryStore<D>>,
        broker: &MemoryBroker,
        tape: &Tape,
        sky: &Arc<Sky>,
        lines: &Lines,
        process: u64,
    ) -> Self {
        let recorder = Arc::new(Recorder::new(tape.clone(), process));
        let taped = Arc::new(InterposedStore::new(store.clone(), recorder.clone()));
        Self {
            store: Arc::new(WeatherStore::new(taped, sky.clone())),
            broker: broker.clone(),
            recorder,
            sky: sky.clone(),
            lines: lines.clone(),
        }
    }
}

impl<D: Domain> Servers<D> for Weather<D> {
    type Broker = WeatherBroker<TapedBroker<D>>;
    type Store = WeatherStore<TapedStore<D>>;

    fn store(&self) -> &Arc<Self::Store> {
        &self.store
    }

    async fn connect(&self) -> Result<Self::Broker, Trouble> {
        self.sky.delay().await;
        if self.sky.strikes(Strike::Cut) {
            return Err(BrokerError::Unavailable("connection refused".to_owned()).into());
        }
        let line = self.broker.connect();
        self.lines.add(line.clone());
        let taped = InterposedBroker::new(line.clone(), self.recorder.clone());
        Ok(WeatherBroker::new(taped, line, self.sky.clone()))
    }
}

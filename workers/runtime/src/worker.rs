//! A worker as a process: configuration, log, health, signals, and sessions until told to stop.

use std::convert::Infallible;
use std::marker::PhantomData;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use orderly_contracts::routes::Party;
use refinery::Runner;
use tokio::signal::unix::{SignalKind, signal};

use crate::clock::{Entropy, SystemClock, SystemEntropy};
use crate::config::{Config, ConfigErrors};
use crate::domain::{Domain, Output};
use crate::effect::Effect;
use crate::health::Health;
use crate::http;
use crate::metrics;
use crate::postgres::tables::Tables;
use crate::reception::Decode;
use crate::servers::{OwnServers, Servers};
use crate::session::Session;
use crate::stack;
use crate::stop::{self, Stopper};
use crate::telemetry;
use crate::trace;

/// How long a stop may wait for a collector, if its deadline lasts that long.
const LAST_SPANS: Duration = Duration::from_secs(2);

/// A worker: a domain, its tables, their migrations, and perhaps calls to the outside.
pub struct Worker<D, T, E: Effect = NoEffect> {
    domain: Arc<D>,
    tables: PhantomData<T>,
    migrations: fn() -> Runner,
    effect: Option<Arc<EffectPart<E>>>,
    version: &'static str,
}

/// The part of a worker that calls the outside.
pub struct EffectPart<E: Effect> {
    /// Makes the calls.
    pub effect: Arc<E>,
    /// The queue the requests come from.
    pub queue: &'static str,
    /// Reads a request.
    pub decode: Decode<E::Request>,
}

/// For workers that call nobody outside.
#[derive(Debug)]
pub struct NoEffect(Infallible);

impl Effect for NoEffect {
    const PARTY: Party = Party::Client;
    type Request = Infallible;

    async fn call(&self, request: &Infallible, _: u32) -> Result<Output, String> {
        match *request {}
    }

    fn exhausted(&self, request: &Infallible) -> Output {
        match *request {}
    }
}

impl<D: Domain, T: Tables<D>> Worker<D, T> {
    /// A worker that calls nobody outside.
    pub fn new(domain: D, migrations: fn() -> Runner, version: &'static str) -> Self {
        let domain = Arc::new(domain);
        Self { domain, tables: PhantomData, migrations, effect: None, version }
    }
}

impl<D: Domain, T: Tables<D>, E: Effect> Worker<D, T, E> {
    /// The same worker, with calls to the outside that are requested in `queue`.
    pub fn with_effect<F: Effect>(
        self,
        effect: F,
        queue: &'static str,
        decode: Decode<F::Request>,
    ) -> Worker<D, T, F> {
        Worker {
            domain: self.domain,
            tables: PhantomData,
            migrations: self.migrations,
            effect: Some(Arc::new(EffectPart { effect: Arc::new(effect), queue, decode })),
            version: self.version,
        }
    }

    /// Runs the process: 0 after a stop that was asked for, 1 if it can't serve, 2 if the
    /// configuration is wrong.
    pub fn run(self) -> ExitCode {
        self.run_on(|servers| servers)
    }

    /// Runs the process on what `wrap` makes of its servers.
    pub fn run_on<P: Servers<D>>(self, wrap: impl FnOnce(OwnServers<T>) -> P) -> ExitCode {
        stack::deepen();
        let name = D::PARTY.name();
        let config = match Config::read(D::PARTY, std::env::vars()) {
            Ok(config) => config,
            Err(ConfigErrors(problems)) => {
                eprintln!("{name}-worker: the configuration is wrong:");
                problems.iter().for_each(|problem| eprintln!("  {problem}"));
                return ExitCode::from(2);
            }
        };
        match std::env::args().nth(1).as_deref() {
            None => {}
            Some("--version") => {
                println!("{name}-worker {}", self.version);
                return ExitCode::SUCCESS;
            }
            Some("--check-config") => {
                println!("{name}-worker: the configuration is right");
                return ExitCode::SUCCESS;
            }
            Some("healthcheck") => {
                let is_ready = http::ask_ready(config.http).unwrap_or(false);
                return if is_ready { ExitCode::SUCCESS } else { ExitCode::FAILURE };
            }
            Some(other) => {
                eprintln!(
                    "{name}-worker: unknown argument {other}; allowed are --version, \
                     --check-config and healthcheck"
                );
                return ExitCode::from(2);
            }
        }
        telemetry::begin(config.log_format, &config.log_filter);
        // One thread: to hand a task from one to another costs more than most tasks do here, and who
        // needs more than a processor starts another replica.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime can be started");
        let code = runtime.block_on(self.serve(Arc::new(config), wrap));
        telemetry::end();
        code
    }

    async fn serve<P: Servers<D>>(
        self,
        config: Arc<Config>,
        wrap: impl FnOnce(OwnServers<T>) -> P,
    ) -> ExitCode {
        if let Some(traces) = config.traces.clone()
            && let Err(problem) = trace::begin(D::PARTY.name(), traces)
        {
            tracing::error!(problem, "traces can't be exported");
            return ExitCode::from(2);
        }
        let health = Health::default();
        let (stopper, stop) = stop::channel();
        if let Err(error) = obey_signals(stopper, health.clone()) {
            tracing::error!(%error, "signals can't be heard");
            return ExitCode::FAILURE;
        }
        let worker = D::PARTY.name();
        let place = metrics::Place { party: D::PARTY, rungs: config.ladder.rungs().len() };
        let install = || metrics::install(&place).expect("a process is one worker");
        let exporter = config.has_metrics.then(install);
        match http::serve(config.http, health.clone(), exporter).await {
            Ok(address) => tracing::info!(worker, %address, "health and metrics are served"),
            Err(error) => {
                tracing::error!("can't serve health and metrics on {}: {error}", config.http);
                return ExitCode::FAILURE;
            }
        }
        let servers = match OwnServers::new(config.clone(), self.name(), self.migrations) {
            Ok(servers) => wrap(servers),
            Err(error) => {
                tracing::error!("{error}");
                return ExitCode::from(2);
            }
        };
        let session = Session {
            name: self.name(),
            process: SystemEntropy.uuid(),
            domain: self.domain,
            servers,
            effect: self.effect,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            config,
            health,
            stop,
        };
        let asked = async {
            session.stop.requested().await;
            Instant::now()
        };
        let ((), asked) = tokio::join!(session.supervise(), asked);
        let left = session.config.drain_deadline.saturating_sub(asked.elapsed());
        let spans = trace::end(left.min(LAST_SPANS));
        if spans > 0 {
            tracing::warn!(spans, "spans of traces were lost: the collector was away or too slow");
        }
        tracing::info!(worker, "stopped");
        ExitCode::SUCCESS
    }

    fn name(&self) -> String {
        format!("orderly-{} {}", D::PARTY, self.version)
    }
}

/// The first signal asks for a stop, the second ends the process at once.
fn obey_signals(stopper: Stopper, health: Health) -> std::io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::spawn(async move {
        for is_first in [true, false] {
            tokio::select! {
                biased;
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            if is_first {
                tracing::info!("asked to stop: finishing what is in hand");
                health.stopping();
                stopper.request();
            }
        }
        tracing::warn!("asked again: ending at once");
        telemetry::end();
        std::process::exit(1);
    });
    Ok(())
}

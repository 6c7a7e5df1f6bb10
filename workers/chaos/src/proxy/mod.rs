//! A TCP proxy with everything that can be wrong with a line, changed at will while it is in use.
//!
//! It runs on a thread of its own, so that a test that blocks does not stop it, and ends when dropped.
//! [`Proxy::set`] makes a direction late, narrow, sliced, stuck or silent; [`Proxy::lay`] sets a trap at
//! a byte, an AMQP method or a PostgreSQL message; [`Proxy::heal`] undoes all of it. [`Proxy::tap`]
//! changes nothing and hears everything.

pub mod amqp;
mod connection;
mod postgres;
mod pump;
mod shaper;
mod side;
mod tap;
mod toxics;
mod trap;
mod units;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc;

use anyhow::{Context, Result};
use orderly_devstack::free_port;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;

use connection::Shared;
pub use tap::{Passed, Tap};
pub use toxics::{Flow, Latency, Slices, Toxics, Way};
pub use trap::{Act, Ending, Pattern, Point, Trap};
pub use units::{Label, Protocol, Splitter, Unit};

/// A proxy before one server.
pub struct Proxy {
    port: u16,
    shared: Arc<Shared>,
    listening: tokio::sync::mpsc::UnboundedSender<Listening>,
    runtime: Option<Runtime>,
}

/// Whether to listen, and whom to tell that it is so.
struct Listening(bool, mpsc::Sender<std::io::Result<()>>);

impl Proxy {
    /// A proxy before `server` on a free port of this machine. `seed` decides all that is random.
    pub fn start(server: SocketAddr, protocol: Protocol, seed: u64) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .thread_name("proxy")
            .enable_all()
            .build()?;
        let shared = Arc::new(Shared::new(server, protocol, seed));
        // A port that no client is ever given: it must still be free after a while of refusing.
        let port = free_port()?;
        let (listening, requests) = tokio::sync::mpsc::unbounded_channel();
        runtime.spawn(listen(port, shared.clone(), requests));
        let proxy = Self { port, shared, listening, runtime: Some(runtime) };
        proxy.accept().with_context(|| format!("port {port}"))?;
        Ok(proxy)
    }

    /// The port it listens on, on loopback.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// `url` with this proxy in the place of its server.
    pub fn before(&self, url: &str) -> String {
        let server = self.shared.server();
        let (old, new) = (server.to_string(), self.address().to_string());
        url.replacen(&old, &new, 1)
    }

    /// Where it listens.
    pub fn address(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.port))
    }

    /// Makes these things wrong with a direction, and nothing else.
    pub fn set(&self, way: Way, toxics: Toxics) {
        self.shared.sides[way.index()].toxics.send_replace(toxics);
    }

    /// Makes these things wrong with both directions.
    pub fn set_both(&self, toxics: &Toxics) {
        Way::BOTH.into_iter().for_each(|way| self.set(way, toxics.clone()));
    }

    /// Lays a trap on a direction.
    pub fn lay(&self, way: Way, point: Point, act: Act) -> Arc<Trap> {
        let trap = Arc::new(Trap::new(point, act));
        self.shared.sides[way.index()].lay(trap.clone());
        trap
    }

    /// Listens in on everything that goes through from now on.
    pub fn tap(&self) -> Arc<Tap> {
        let tap = Arc::new(Tap::default());
        self.shared.sides.iter().for_each(|side| side.tap(tap.clone()));
        tap
    }

    /// Nothing is wrong any more, new connections are accepted, and no trap is left.
    pub fn heal(&self) -> Result<()> {
        self.shared.sides.iter().for_each(|side| side.clear());
        self.accept()
    }

    /// Ends all connections.
    pub fn cut(&self, ending: Ending) {
        self.shared.cuts.send_modify(|cuts| *cuts = (cuts.0 + 1, ending));
    }

    /// Refuses new connections, as a server that is not there. Those that exist go on.
    pub fn refuse(&self) -> Result<()> {
        self.listen(false)
    }

    /// Accepts new connections again.
    pub fn accept(&self) -> Result<()> {
        self.listen(true)
    }

    /// New connections go to another server.
    pub fn turn_to(&self, server: SocketAddr) {
        self.shared.turn_to(server);
    }

    /// How many connections it has accepted.
    pub fn accepted(&self) -> u64 {
        self.shared.accepted.load(Ordering::Relaxed)
    }

    /// How many bytes have gone through in a direction.
    pub fn forwarded(&self, way: Way) -> u64 {
        self.shared.sides[way.index()].forwarded.load(Ordering::Relaxed)
    }

    fn listen(&self, is_wanted: bool) -> Result<()> {
        let (done, answer) = mpsc::channel();
        self.listening.send(Listening(is_wanted, done)).ok().context("the proxy has ended")?;
        Ok(answer.recv().context("the proxy has ended")??)
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // A plain drop would block, which is not allowed within a test's own runtime.
            runtime.shutdown_background();
        }
    }
}

/// Accepts connections as long as that is wanted.
async fn listen(
    port: u16,
    shared: Arc<Shared>,
    mut requests: tokio::sync::mpsc::UnboundedReceiver<Listening>,
) {
    let mut listener: Option<TcpListener> = None;
    loop {
        let accept = async {
            match &listener {
                Some(listener) => listener.accept().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            accepted = accept => {
                if let Ok((client, _)) = accepted {
                    tokio::spawn(connection::run(client, shared.clone()));
                }
            }
            request = requests.recv() => {
                let Some(Listening(is_wanted, done)) = request else { return };
                let mut outcome = Ok(());
                if !is_wanted {
                    listener = None;
                } else if listener.is_none() {
                    match TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await {
                        Ok(bound) => listener = Some(bound),
                        Err(error) => outcome = Err(error),
                    }
                }
                let _ = done.send(outcome);
            }
        }
    }
}

#[cfg(test)]
mod tests;

//! One connection through the proxy: both its directions, and how it ends.

use std::net::{Shutdown, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::pump::Pump;
use super::shaper::Shaper;
use super::side::Side;
use super::toxics::Way;
use super::trap::Ending;
use super::units::{Protocol, Splitter};

/// What all connections of a proxy share.
pub(crate) struct Shared {
    pub(crate) sides: [Arc<Side>; 2],
    /// How often all connections were ended, and how the last time.
    pub(crate) cuts: watch::Sender<(u64, Ending)>,
    pub(crate) accepted: AtomicU64,
    server: Mutex<SocketAddr>,
    protocol: Protocol,
    seed: u64,
}

impl Shared {
    pub(crate) fn new(server: SocketAddr, protocol: Protocol, seed: u64) -> Self {
        Self {
            sides: [Arc::default(), Arc::default()],
            cuts: watch::channel((0, Ending::Close)).0,
            accepted: AtomicU64::new(0),
            server: Mutex::new(server),
            protocol,
            seed,
        }
    }

    pub(crate) fn server(&self) -> SocketAddr {
        *self.server.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn turn_to(&self, server: SocketAddr) {
        *self.server.lock().unwrap_or_else(PoisonError::into_inner) = server;
    }
}

/// Serves `client` until its connection ends.
pub(crate) async fn run(client: TcpStream, shared: Arc<Shared>) {
    let number = shared.accepted.fetch_add(1, Ordering::Relaxed);
    let mut cuts = shared.cuts.subscribe();
    let Ok(server) = TcpStream::connect(shared.server()).await else {
        end(&[&client], Ending::Reset);
        return;
    };
    let streams = [&client, &server];
    if streams.iter().any(|stream| stream.set_nodelay(true).is_err()) {
        return;
    }
    let pump = |from, to, way: Way| {
        let seed = shared.seed.wrapping_add(2 * number + way.index() as u64);
        Pump {
            from,
            to,
            connection: number,
            way,
            side: shared.sides[way.index()].clone(),
            splitter: Splitter::new(shared.protocol, way),
            shaper: Shaper::new(seed, Instant::now()),
        }
        .run()
    };
    let to_server = pump(&client, &server, Way::ToServer);
    let to_client = pump(&server, &client, Way::ToClient);
    let ending = tokio::select! {
        ended = async { tokio::try_join!(to_server, to_client) } => {
            ended.err().unwrap_or(Ending::Close)
        }
        _ = cuts.changed() => cuts.borrow().1,
    };
    end(&streams, ending);
}

/// Decides what the sockets, which are closed next, say last.
fn end(streams: &[&TcpStream], ending: Ending) {
    for socket in streams.iter().map(|stream| SockRef::from(*stream)) {
        // An error means that the other side has ended it already.
        let _ = match ending {
            // With a lingering time of zero, closing sends RST.
            Ending::Reset => socket.set_linger(Some(Duration::ZERO)),
            // FIN goes out first, whatever lies here unread.
            Ending::Close => socket.shutdown(Shutdown::Both),
        };
    }
}

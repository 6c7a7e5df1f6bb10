//! A way to a server that can be cut and mended, for one program alone.

use std::io;
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

/// Whether the way is open, and the ends of everything that goes through.
#[derive(Default)]
struct Way {
    is_cut: bool,
    ends: Vec<TcpStream>,
}

/// A listener that hands everything on.
pub(crate) struct Relay {
    address: SocketAddr,
    way: Arc<Mutex<Way>>,
}

impl Relay {
    /// An open way to `target`, such as `127.0.0.1:5432`.
    pub(crate) fn to(target: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let relay = Self { address: listener.local_addr().unwrap(), way: Arc::default() };
        let (way, target) = (relay.way.clone(), target.to_owned());
        thread::spawn(move || {
            for near in listener.incoming() {
                // A caller that has hung up already is none.
                let _ = near.and_then(|near| connect(&mut way.lock().unwrap(), near, &target));
            }
        });
        relay
    }

    /// `url`, by way of this relay.
    pub(crate) fn instead_of(&self, url: &str) -> String {
        let (user, place) = url.rsplit_once('@').unwrap();
        let (_, path) = place.split_once('/').unwrap();
        format!("{user}@{}/{path}", self.address)
    }

    fn way(&self) -> MutexGuard<'_, Way> {
        self.way.lock().unwrap()
    }

    /// Cuts what goes through, and lets nothing through any more.
    pub(crate) fn cut(&self) {
        let mut way = self.way();
        way.is_cut = true;
        for end in way.ends.drain(..) {
            let _ = end.shutdown(Shutdown::Both);
        }
    }

    /// Lets everything through again.
    pub(crate) fn mend(&self) {
        self.way().is_cut = false;
    }
}

fn connect(way: &mut Way, near: TcpStream, target: &str) -> io::Result<()> {
    if way.is_cut {
        return near.shutdown(Shutdown::Both);
    }
    let far = TcpStream::connect(target)?;
    way.ends.extend([near.try_clone()?, far.try_clone()?]);
    for (mut from, mut into) in [(near.try_clone()?, far.try_clone()?), (far, near)] {
        thread::spawn(move || {
            let _ = io::copy(&mut from, &mut into);
            let _ = into.shutdown(Shutdown::Both);
        });
    }
    Ok(())
}

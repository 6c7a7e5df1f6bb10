//! One direction of one connection: reads, lets traps and toxics have their way, writes.

use std::io;
use std::net::Shutdown;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Instant;

use socket2::SockRef;
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::shaper::{Item, Shaper};
use super::side::Side;
use super::tap::Passed;
use super::toxics::{Flow, Toxics, Way};
use super::trap::{Act, Ending};
use super::units::{Splitter, Unit};

const BUFFER: usize = 16 << 10;

/// Pumps from one socket to another until the stream ends (`Ok`) or the connection does.
pub(crate) struct Pump<'a> {
    pub(crate) from: &'a TcpStream,
    pub(crate) to: &'a TcpStream,
    /// Counted from 0.
    pub(crate) connection: u64,
    pub(crate) way: Way,
    pub(crate) side: Arc<Side>,
    pub(crate) splitter: Splitter,
    pub(crate) shaper: Shaper,
}

impl Pump<'_> {
    pub(crate) async fn run(mut self) -> Result<(), Ending> {
        let mut toxics = self.side.toxics.subscribe();
        let mut buffer = vec![0; BUFFER];
        let mut is_open = true;
        loop {
            let now = toxics.borrow_and_update().clone();
            if now == Toxics::default() {
                self.shaper.hasten(Instant::now());
            }
            let due = self.shaper.due().filter(|_| now.flow != Flow::Hold);
            tokio::select! {
                biased;
                () = changed(&mut toxics) => {}
                () = at(due) => {
                    let is_over = self.pass_on(&now).await?;
                    if is_over {
                        return Ok(());
                    }
                }
                ready = self.from.readable(), if is_open && self.shaper.has_room() => {
                    ready.map_err(|_| Ending::Reset)?;
                    match self.from.try_read(&mut buffer) {
                        Ok(0) => {
                            is_open = false;
                            if let Some(unit) = self.splitter.rest() {
                                self.take_in(unit, &now);
                            }
                            self.shaper.push(Item::End, Instant::now(), &now);
                        }
                        Ok(length) => {
                            for unit in self.splitter.push(&buffer[..length]) {
                                self.take_in(unit, &now);
                            }
                        }
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                        // The sender reset it, so the receiver sees a reset, too.
                        Err(_) => return Err(Ending::Reset),
                    }
                }
            }
        }
    }

    /// Queues a unit, with the traps that spring at it and for whoever listens in.
    fn take_in(&mut self, unit: Unit, toxics: &Toxics) {
        let arrival = Instant::now();
        let mut springing: Vec<_> = self.side.springing(&unit);
        springing.sort_by_key(|(passing, _)| *passing);
        let mut begin = 0;
        let push = |shaper: &mut Shaper, bytes: &[u8]| {
            if !bytes.is_empty() && toxics.flow != Flow::Swallow {
                shaper.push(Item::Bytes(bytes.to_vec()), arrival, toxics);
            }
        };
        for (passing, trap) in springing {
            push(&mut self.shaper, &unit.bytes[begin..passing]);
            self.shaper.push(Item::Trap(trap), arrival, toxics);
            begin = passing;
        }
        if toxics.flow != Flow::Swallow && self.side.is_tapped() {
            self.shaper.push(Item::Heard(unit.clone()), arrival, toxics);
        }
        push(&mut self.shaper, &unit.bytes[begin..]);
    }

    /// Lets the next item go on; whether it was the end.
    async fn pass_on(&mut self, toxics: &Toxics) -> Result<bool, Ending> {
        match self.shaper.pop() {
            Some(Item::Bytes(bytes)) => {
                write_all(self.to, &bytes).await.map_err(|_| Ending::Reset)?;
                self.side.forwarded.fetch_add(bytes.len() as u64, Ordering::Relaxed);
            }
            Some(Item::Trap(trap)) => {
                trap.spring();
                match trap.act() {
                    Act::Cut(ending) => return Err(ending),
                    Act::Hold => trap.released().await,
                }
            }
            Some(Item::Heard(unit)) => {
                let (connection, way) = (self.connection, self.way);
                self.side.hear(&Passed { connection, way, unit });
            }
            // What swallows everything swallows this as well, and the connection stays.
            Some(Item::End) if toxics.flow == Flow::Swallow => std::future::pending().await,
            Some(Item::End) => {
                let _ = SockRef::from(self.to).shutdown(Shutdown::Write);
                return Ok(true);
            }
            None => {}
        }
        Ok(false)
    }
}

/// Returns when the toxics change; never, if nobody is left who could change them.
async fn changed(toxics: &mut watch::Receiver<Toxics>) {
    if toxics.changed().await.is_err() {
        std::future::pending().await
    }
}

/// Returns at a moment; never, if there is none.
async fn at(due: Option<Instant>) {
    match due {
        Some(due) if due <= Instant::now() => {}
        Some(due) => tokio::time::sleep_until(due.into()).await,
        None => std::future::pending().await,
    }
}

async fn write_all(stream: &TcpStream, mut bytes: &[u8]) -> io::Result<()> {
    while !bytes.is_empty() {
        stream.writable().await?;
        match stream.try_write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

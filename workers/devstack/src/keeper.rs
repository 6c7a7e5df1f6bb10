//! The one thread that starts children, because children bound to a parent die with the *thread* that made them.

use std::io;
use std::process::{Child, Command};
use std::sync::OnceLock;
use std::sync::mpsc::{Sender, channel};
use std::thread;

type Job = (Command, Sender<io::Result<Child>>);

/// Spawns `command` on a thread that lives as long as this process.
///
/// A parent-death signal fires when the spawning thread ends. A test that restarts the broker from a
/// short-lived thread would otherwise see it die, for no visible reason, when that thread returns.
pub(crate) fn spawn(command: Command) -> io::Result<Child> {
    static KEEPER: OnceLock<Sender<Job>> = OnceLock::new();
    let keeper = KEEPER.get_or_init(|| {
        let (sender, jobs) = channel::<Job>();
        thread::spawn(move || {
            for (mut command, reply) in jobs {
                // The asker waits for the reply; it cannot have gone.
                let _ = reply.send(command.spawn());
            }
        });
        sender
    });
    let (reply, child) = channel();
    let gone = |_| io::Error::other("the thread that starts children has ended");
    keeper.send((command, reply)).map_err(|_| gone(()))?;
    child.recv().map_err(|_| gone(()))?
}

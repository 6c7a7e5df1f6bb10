//! The export: spans wait in a queue of limited length, and a thread of its own sends them.
//!
//! A collector that is slow or away holds nobody up: what finds no room is dropped and counted.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::otlp;
use super::post::{Failed, Post};
use super::settings::Settings;
use super::span::Span;
use crate::metrics;

/// The most spans in one request, and how many of them are sent without waiting for more.
const LOT: usize = 512;
/// The pause after a first failure; each further one is twice as long, up to the last.
const PAUSES: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

/// Takes spans; never waits.
pub(super) struct Exporter {
    waiting: Arc<Waiting>,
    over: Mutex<Receiver<()>>,
}

/// Spans that wait.
struct Waiting {
    state: Mutex<State>,
    /// There is a lot, or all is over.
    wake: Condvar,
    room: usize,
}

#[derive(Default)]
struct State {
    spans: VecDeque<Span>,
    /// Taken out and not yet sent.
    under_way: usize,
    /// What will never be sent.
    lost: usize,
    is_over: bool,
}

impl Exporter {
    /// Begins to send; an error says what of the settings can't be used.
    pub(super) fn start(settings: Settings) -> Result<Self, String> {
        let post = Post::new(&settings)?;
        let (state, wake) = (Mutex::default(), Condvar::new());
        let waiting = Arc::new(Waiting { state, wake, room: settings.queue });
        let (ended, over) = channel();
        let thread = Thread { waiting: waiting.clone(), post, settings, is_failing: false };
        let spawned = std::thread::Builder::new().name("traces".to_owned());
        spawned.spawn(move || thread.run(&ended)).map_err(|error| error.to_string())?;
        Ok(Self { waiting, over: Mutex::new(over) })
    }

    /// Takes `spans`, as many as there is room for.
    pub(super) fn push(&self, spans: impl IntoIterator<Item = Span>) {
        // Made before the lock is taken, so that whoever sends is not held up by it.
        let spans: Vec<Span> = spans.into_iter().collect();
        if spans.is_empty() {
            return;
        }
        let mut state = self.waiting.state();
        let room = self.waiting.room.saturating_sub(state.spans.len() + state.under_way);
        let dropped = spans.len().saturating_sub(room);
        state.lost += dropped;
        state.spans.extend(spans.into_iter().take(room));
        let is_lot = state.spans.len() >= LOT;
        drop(state);
        if is_lot {
            self.waiting.wake.notify_one();
        }
        metrics::spans("dropped", dropped);
    }

    /// Sends what waits, as long as `limit` lasts; how many spans were lost in all.
    pub(super) fn end(&self, limit: Duration) -> usize {
        self.waiting.state().is_over = true;
        self.waiting.wake.notify_one();
        let over = self.over.lock().unwrap_or_else(PoisonError::into_inner);
        // Whether it is done or out of time: what has not gone by now is lost.
        let _ = over.recv_timeout(limit);
        let state = self.waiting.state();
        state.lost + state.spans.len() + state.under_way
    }
}

impl Waiting {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for a lot, or for `delay` to pass, or for the end; whether it is over.
    fn wait(&self, delay: Duration, is_lot_enough: bool) -> bool {
        let until = Instant::now() + delay;
        let mut state = self.state();
        loop {
            let left = until.saturating_duration_since(Instant::now());
            let is_enough = is_lot_enough && state.spans.len() >= LOT;
            if state.is_over || is_enough || left.is_zero() {
                return state.is_over;
            }
            let waited = self.wake.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn take(&self) -> Vec<Span> {
        let mut state = self.state();
        let count = state.spans.len().min(LOT);
        state.under_way = count;
        state.spans.drain(..count).collect()
    }
}

/// The thread that sends.
struct Thread {
    waiting: Arc<Waiting>,
    post: Post,
    settings: Settings,
    is_failing: bool,
}

impl Thread {
    fn run(mut self, ended: &Sender<()>) {
        loop {
            let is_over = self.waiting.wait(self.settings.delay, true);
            let lot = self.waiting.take();
            if is_over && lot.is_empty() {
                // Nobody may be waiting any more.
                let _ = ended.send(());
                return;
            }
            if !lot.is_empty() {
                let count = lot.len();
                let is_sent = self.send(lot);
                metrics::spans(if is_sent { "exported" } else { "dropped" }, count);
                let mut state = self.waiting.state();
                state.under_way = 0;
                state.lost += if is_sent { 0 } else { count };
            }
        }
    }

    /// Sends a lot, again and again while the collector is away; once all is over, only once more.
    /// Whether it was taken.
    fn send(&mut self, lot: Vec<Span>) -> bool {
        let body = otlp::encode(&self.settings.resource, lot);
        let mut pause = PAUSES.0;
        let mut is_last = false;
        loop {
            match self.post.send(&body) {
                Ok(()) => {
                    if std::mem::take(&mut self.is_failing) {
                        tracing::info!("traces are exported again");
                    }
                    return true;
                }
                Err(Failed::Away(why)) if !is_last => {
                    self.tell(&why);
                    is_last = self.waiting.wait(pause, false);
                    pause = (2 * pause).min(PAUSES.1);
                }
                Err(Failed::Away(why) | Failed::Refused(why)) => {
                    self.tell(&why);
                    return false;
                }
            }
        }
    }

    /// The same trouble is told once, not at every attempt.
    fn tell(&mut self, why: &str) {
        if !std::mem::replace(&mut self.is_failing, true) {
            let to = self.settings.endpoint.host();
            tracing::warn!(to, why, "traces can't be exported");
        }
    }
}

//! The tape: every event of all processes, judged as it comes.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use orderly_faults::trace::Event;
use orderly_faults::trace::checker::{Certainty, Checker};
use orderly_faults::trace::recorder::Sink;

/// What all processes did, in one order. Copies are the same tape.
#[derive(Clone)]
pub struct Tape(Arc<Mutex<Recording>>);

struct Recording {
    checker: Checker,
    /// The events themselves, where somebody wants to read them.
    events: Option<Vec<Event>>,
}

impl Tape {
    /// An empty tape, which keeps its events if `keeps` is set.
    pub fn new(keeps: bool) -> Self {
        let checker = Checker::new(Certainty::Exact);
        Self(Arc::new(Mutex::new(Recording { checker, events: keeps.then(Vec::new) })))
    }

    /// The judge of it.
    pub fn take_checker(&self) -> Checker {
        std::mem::replace(&mut self.lock().checker, Checker::new(Certainty::Exact))
    }

    /// All events, if they were kept.
    pub fn take_events(&self) -> Vec<Event> {
        self.lock().events.take().unwrap_or_default()
    }

    fn lock(&self) -> MutexGuard<'_, Recording> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Sink for Tape {
    fn note(&self, event: Event) {
        let mut recording = self.lock();
        if let Some(events) = &mut recording.events {
            events.push(event.clone());
        }
        recording.checker.note(event);
    }
}

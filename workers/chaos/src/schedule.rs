//! A schedule of faults, derived from a seed: when, what, whom, for how long. Pure, and printed so
//! that it can be read; the seed is all that is needed to have it again.

use std::fmt;
use std::time::Duration;

use fastrand::Rng;
use orderly_contracts::routes::Party;
use orderly_faults::step::Step;
use orderly_runtime::topology::WORKERS;

use crate::need::{Need, need};

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// A worker gets SIGKILL.
    Kill(Party),
    /// A worker gets SIGTERM.
    Terminate(Party),
    /// A worker gets SIGSTOP, and SIGCONT later.
    Stop(Party),
    /// A worker kills itself when it comes to a step.
    Fail(Party, Step, u32),
    /// The broker closes every connection.
    CloseConnections,
    /// The broker is restarted in good order.
    RestartBroker,
    /// The broker is killed, and started again.
    KillBroker,
    /// The broker has no memory, and blocks whoever publishes.
    Alarm,
    /// The database is restarted in good order.
    RestartDatabase,
    /// The database is killed, and recovers.
    CrashDatabase,
    /// The sessions of a worker in its database are ended.
    EndSessions(Party),
    /// Somebody else holds locks on a worker's rows.
    Lock(Party),
    /// Every connection to the broker breaks.
    CutBroker,
    /// Every connection to the database breaks.
    CutDatabase,
    /// Nothing comes through to the broker, or back.
    HoldBroker,
    /// Nothing comes through to the database, or back.
    HoldDatabase,
}

/// A fault in its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Event {
    /// When it begins, from the start.
    pub at: Duration,
    /// What it is.
    pub fault: Fault,
    /// How long it lasts, if it does.
    pub lasts: Duration,
}

/// Faults over a while.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    /// What it was derived from.
    pub seed: u64,
    /// How many workers a service has.
    pub replicas: usize,
    /// The faults, in order.
    pub events: Vec<Event>,
}

impl Schedule {
    /// The schedule of this seed, within `span`.
    pub fn derive(seed: u64, span: Duration) -> Self {
        let mut rng = Rng::with_seed(seed);
        let replicas = rng.usize(1..=2);
        let mut events: Vec<Event> = Vec::new();
        for _ in 0..rng.usize(6..=10) {
            let fault = draw(&mut rng);
            // A restart of the broker takes as long as all else together: one is enough.
            if fault.is_heavy() && events.iter().any(|event| event.fault.is_heavy()) {
                continue;
            }
            let at = Duration::from_millis(rng.u64(0..span.as_millis() as u64));
            let lasts = if fault.lasts() {
                Duration::from_millis(rng.u64(500..5_000))
            } else {
                Duration::ZERO
            };
            events.push(Event { at, fault, lasts });
        }
        events.sort_by_key(|event| event.at);
        Self { seed, replicas, events }
    }
}

fn draw(rng: &mut Rng) -> Fault {
    let party = WORKERS[rng.usize(..WORKERS.len())];
    match rng.u32(..100) {
        0..16 => Fault::Kill(party),
        16..24 => Fault::Terminate(party),
        24..33 => Fault::Stop(party),
        33..51 => {
            let steps: Vec<Step> = Step::ALL.iter().copied().collect();
            let step = steps[rng.usize(..steps.len())];
            // What the load does not bring about by itself would never come.
            match need(party, step) {
                Ok(Need::Load) => Fault::Fail(party, step, rng.u32(1..=20)),
                _ => Fault::Fail(party, Step::InCommit, rng.u32(1..=20)),
            }
        }
        51..58 => Fault::CloseConnections,
        58..60 => Fault::RestartBroker,
        60..62 => Fault::KillBroker,
        62..64 => Fault::Alarm,
        64..68 => Fault::RestartDatabase,
        68..72 => Fault::CrashDatabase,
        72..79 => Fault::EndSessions(party),
        79..86 => Fault::Lock(party),
        86..90 => Fault::CutBroker,
        90..94 => Fault::CutDatabase,
        94..97 => Fault::HoldBroker,
        _ => Fault::HoldDatabase,
    }
}

impl Fault {
    /// Whether it goes on for a while.
    const fn lasts(self) -> bool {
        matches!(
            self,
            Self::Stop(_) | Self::Alarm | Self::Lock(_) | Self::HoldBroker | Self::HoldDatabase
        )
    }

    /// Whether the broker needs seconds for it.
    const fn is_heavy(self) -> bool {
        matches!(self, Self::RestartBroker | Self::KillBroker | Self::Alarm)
    }

    /// What it is, without whom it hits.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Kill(_) => "SIGKILL",
            Self::Terminate(_) => "SIGTERM",
            Self::Stop(_) => "SIGSTOP",
            Self::Fail(..) => "SIGKILL at a step",
            Self::CloseConnections => "broker closes all connections",
            Self::RestartBroker => "broker restart",
            Self::KillBroker => "broker kill",
            Self::Alarm => "broker memory alarm",
            Self::RestartDatabase => "database restart",
            Self::CrashDatabase => "database crash",
            Self::EndSessions(_) => "database sessions ended",
            Self::Lock(_) => "rows locked",
            Self::CutBroker => "line to the broker cut",
            Self::CutDatabase => "line to the database cut",
            Self::HoldBroker => "line to the broker stuck",
            Self::HoldDatabase => "line to the database stuck",
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self {
            Self::Kill(party)
            | Self::Terminate(party)
            | Self::Stop(party)
            | Self::EndSessions(party)
            | Self::Lock(party) => write!(f, ": {party}"),
            Self::Fail(party, step, time) => write!(f, ": {party} {step}:{time}"),
            _ => Ok(()),
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {}, {} workers a service", self.seed, self.replicas)?;
        for Event { at, fault, lasts } in &self.events {
            write!(f, "  {:>6.2} s  {fault}", at.as_secs_f64())?;
            if !lasts.is_zero() {
                write!(f, ", for {:.1} s", lasts.as_secs_f64())?;
            }
            writeln!(f)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    const SPAN: Duration = Duration::from_secs(8);

    #[test]
    fn a_seed_is_all_that_a_schedule_needs() {
        assert_eq!(Schedule::derive(7, SPAN), Schedule::derive(7, SPAN));
        assert_ne!(Schedule::derive(7, SPAN).events, Schedule::derive(8, SPAN).events);
    }

    #[test]
    fn a_hundred_schedules_have_every_fault_and_little_of_what_takes_long() {
        let schedules: Vec<_> = (1..=100).map(|seed| Schedule::derive(seed, SPAN)).collect();
        let names: BTreeSet<_> =
            schedules.iter().flat_map(|s| &s.events).map(|event| event.fault.name()).collect();
        assert_eq!(names.len(), 16, "{names:?}");
        for Schedule { events, .. } in schedules {
            assert!(events.iter().filter(|event| event.fault.is_heavy()).count() <= 1);
            assert!(events.len() >= 4 && events.is_sorted_by_key(|event| event.at));
        }
    }
}

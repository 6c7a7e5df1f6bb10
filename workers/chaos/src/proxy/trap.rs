//! A trap: when a certain byte or message has come by, something happens to its connection, once.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use tokio::sync::watch;

use super::amqp::Frame;
use super::units::{Label, Unit};

/// How a connection ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// By RST, both ways: unsent data is lost, and the other side learns of it at once.
    Reset,
    /// By FIN, both ways.
    Close,
}

/// What a trap does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    /// Ends the connection.
    Cut(Ending),
    /// Lets nothing further pass in this direction of this connection, until released.
    Hold,
}

/// What comes by.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Pattern {
    /// An AMQP method: its class and its number.
    Method((u16, u16)),
    /// A PostgreSQL message of this type, with exactly this text if one is given.
    Message(u8, Option<&'static str>),
    /// Any message or frame.
    Any,
}

impl Pattern {
    /// A client's `COMMIT`.
    pub const COMMIT: Self = Self::Message(b'Q', Some("COMMIT"));
    /// A server's word that it has committed.
    pub const COMMITTED: Self = Self::Message(b'C', Some("COMMIT"));

    /// Whether a piece of a stream is meant.
    pub fn fits(&self, label: &Label) -> bool {
        match (self, label) {
            (Self::Any, label) => *label != Label::Bytes,
            (Self::Method((class, method)), Label::Amqp(frame)) => {
                *frame == Frame::Method(*class, *method)
            }
            (Self::Message(kind, wanted), Label::Postgres { tag, text }) => {
                kind == tag && wanted.is_none_or(|wanted| wanted == text)
            }
            _ => false,
        }
    }
}

/// When a trap springs. It counts over all connections, from the moment it is laid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Point {
    /// When so many bytes have gone through, and not one more.
    Bytes(u64),
    /// Before the n-th piece that fits goes through, the first being 1.
    Before(Pattern, u64),
    /// When the n-th piece that fits has gone through.
    After(Pattern, u64),
}

/// A trap. It springs once.
#[derive(Debug)]
pub struct Trap {
    point: Point,
    act: Act,
    seen: AtomicU64,
    has_sprung: AtomicBool,
    released: watch::Sender<bool>,
}

impl Trap {
    pub(crate) fn new(point: Point, act: Act) -> Self {
        let (seen, has_sprung) = (AtomicU64::new(0), AtomicBool::new(false));
        Self { point, act, seen, has_sprung, released: watch::channel(false).0 }
    }

    /// Whether it has sprung.
    pub fn has_sprung(&self) -> bool {
        self.has_sprung.load(Ordering::SeqCst)
    }

    /// Lets go what it holds, or will.
    pub fn release(&self) {
        self.released.send_replace(true);
    }

    /// What it does.
    pub(crate) fn act(&self) -> Act {
        self.act
    }

    pub(crate) fn spring(&self) {
        self.has_sprung.store(true, Ordering::SeqCst);
    }

    pub(crate) async fn released(&self) {
        // The trap holds the sender itself, so this ends by a release alone.
        let _ = self.released.subscribe().wait_for(|is_released| *is_released).await;
    }

    /// How many bytes of `unit` may still pass before it springs, if it springs here.
    pub(crate) fn passing(&self, unit: &Unit) -> Option<usize> {
        let length = unit.bytes.len();
        match &self.point {
            Point::Bytes(most) => {
                let before = self.seen.fetch_add(length as u64, Ordering::SeqCst);
                let is_here = before < *most && *most <= before + length as u64;
                is_here.then(|| (*most - before) as usize)
            }
            Point::Before(pattern, nth) => self.is_nth(pattern, *nth, unit).then_some(0),
            Point::After(pattern, nth) => self.is_nth(pattern, *nth, unit).then_some(length),
        }
    }

    fn is_nth(&self, pattern: &Pattern, nth: u64, unit: &Unit) -> bool {
        pattern.fits(&unit.label) && self.seen.fetch_add(1, Ordering::SeqCst) + 1 == nth
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unit(length: usize, label: Label) -> Unit {
        Unit { bytes: vec![7; length], label }
    }

    fn query(text: &str) -> Label {
        Label::Postgres { tag: b'Q', text: text.to_owned() }
    }

    #[test]
    fn bytes_are_counted_over_all_units_and_it_springs_once() {
        let trap = Trap::new(Point::Bytes(10), Act::Hold);
        let passing: Vec<_> =
            [4, 5, 3, 20].iter().map(|n| trap.passing(&unit(*n, Label::Bytes))).collect();
        assert_eq!(passing, [None, None, Some(1), None]);
    }

    #[test]
    fn the_nth_that_fits_springs_it() {
        let before = Trap::new(Point::Before(Pattern::COMMIT, 2), Act::Hold);
        let after = Trap::new(Point::After(Pattern::COMMIT, 2), Act::Hold);
        for (text, springs) in [("COMMIT", false), ("BEGIN", false), ("COMMIT", true)] {
            let unit = unit(12, query(text));
            assert_eq!(before.passing(&unit), springs.then_some(0));
            assert_eq!(after.passing(&unit), springs.then_some(12));
        }
        assert_eq!(before.passing(&unit(12, query("COMMIT"))), None);
    }

    #[test]
    fn patterns_tell_kinds_apart() {
        let publish = Label::Amqp(Frame::Method(60, 40));
        assert!(Pattern::Method((60, 40)).fits(&publish));
        assert!(!Pattern::Method((60, 80)).fits(&publish));
        assert!(!Pattern::COMMITTED.fits(&query("COMMIT")));
        assert!(Pattern::Message(b'Q', None).fits(&query("anything")));
        assert!(Pattern::Any.fits(&publish) && !Pattern::Any.fits(&Label::Bytes));
    }
}

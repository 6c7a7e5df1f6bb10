//! A stream of bytes cut into what its protocol sends as one: a frame, a message, or whatever came.

use super::amqp::{self, Frame};
use super::postgres::{Postgres, Side};
use super::toxics::Way;

/// The protocol that goes over a line, as far as the proxy reads it. TLS is [`Protocol::Plain`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Protocol {
    /// Bytes and nothing else.
    Plain,
    /// AMQP 0-9-1, in the clear.
    Amqp,
    /// PostgreSQL's protocol 3, in the clear.
    Postgres,
}

/// What a piece of a stream is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Label {
    /// Nothing is known of it.
    Bytes,
    /// A frame of AMQP.
    Amqp(Frame),
    /// A message of PostgreSQL: its type byte (0 for a startup message), and its text, if it has one.
    Postgres {
        /// The type byte.
        tag: u8,
        /// The SQL, the command's name, or an error's SQLSTATE.
        text: String,
    },
}

/// A piece of a stream, complete.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unit {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// What it is.
    pub label: Label,
}

/// What a protocol finds at the beginning of a buffer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step {
    /// It takes more bytes to tell.
    More,
    /// This many bytes are one piece.
    Piece(usize, Label),
    /// This is not the protocol.
    Lost,
}

enum Reader {
    Plain,
    Amqp,
    Postgres(Postgres),
}

/// Cuts one direction of a stream into units. Whatever is fed comes out again, byte for byte.
pub struct Splitter {
    reader: Reader,
    pending: Vec<u8>,
}

impl Splitter {
    /// For a stream that begins now.
    pub fn new(protocol: Protocol, way: Way) -> Self {
        let reader = match (protocol, way) {
            (Protocol::Plain, _) => Reader::Plain,
            (Protocol::Amqp, _) => Reader::Amqp,
            (Protocol::Postgres, Way::ToServer) => Reader::Postgres(Postgres::new(Side::Frontend)),
            (Protocol::Postgres, Way::ToClient) => Reader::Postgres(Postgres::new(Side::Backend)),
        };
        Self { reader, pending: Vec::new() }
    }

    /// All units that `bytes` complete.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<Unit> {
        self.pending.extend_from_slice(bytes);
        let mut units = Vec::new();
        let mut begin = 0;
        while begin < self.pending.len() {
            let rest = &self.pending[begin..];
            let step = match &mut self.reader {
                Reader::Plain => Step::Lost,
                Reader::Amqp => amqp::first_frame(rest),
                Reader::Postgres(postgres) => postgres.first_message(rest),
            };
            let (length, label) = match step {
                Step::More => break,
                Step::Piece(length, label) => (length, label),
                Step::Lost => {
                    self.reader = Reader::Plain;
                    (rest.len(), Label::Bytes)
                }
            };
            units.push(Unit { bytes: rest[..length].to_vec(), label });
            begin += length;
        }
        self.pending.drain(..begin);
        units
    }

    /// What was begun and will not be completed: the stream has ended.
    pub fn rest(&mut self) -> Option<Unit> {
        let bytes = std::mem::take(&mut self.pending);
        (!bytes.is_empty()).then_some(Unit { bytes, label: Label::Bytes })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// Feeds `stream` whole, byte by byte, and in every split in two: the units are the same.
    pub(crate) fn labels_at_any_split(protocol: Protocol, way: Way, stream: &[u8]) -> Vec<Label> {
        let feed = |parts: &[&[u8]]| {
            let mut splitter = Splitter::new(protocol, way);
            let mut units: Vec<Unit> = parts.iter().flat_map(|part| splitter.push(part)).collect();
            units.extend(splitter.rest());
            units
        };
        let whole = feed(&[stream]);
        let together: Vec<u8> = whole.iter().flat_map(|unit| unit.bytes.clone()).collect();
        assert_eq!(together, stream, "not a byte is lost or moved");
        for at in 0..=stream.len() {
            assert_eq!(feed(&[&stream[..at], &stream[at..]]), whole, "split at {at}");
        }
        let single: Vec<&[u8]> = stream.chunks(1).collect();
        assert_eq!(feed(&single), whole);
        whole.into_iter().map(|unit| unit.label).collect()
    }

    #[test]
    fn a_plain_stream_passes_as_it_comes() {
        let mut splitter = Splitter::new(Protocol::Plain, Way::ToServer);
        let units = splitter.push(b"anything");
        assert_eq!(units, [Unit { bytes: b"anything".to_vec(), label: Label::Bytes }]);
        assert_eq!(splitter.rest(), None);
    }

    #[test]
    fn a_stream_of_another_protocol_passes_as_it_comes() {
        for protocol in [Protocol::Amqp, Protocol::Postgres] {
            let mut splitter = Splitter::new(protocol, Way::ToClient);
            let units = splitter.push(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff");
            assert_eq!(units.len(), 1);
            assert_eq!(splitter.push(b"more")[0].bytes, b"more");
        }
    }
}

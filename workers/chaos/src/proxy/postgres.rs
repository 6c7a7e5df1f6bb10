//! PostgreSQL's protocol as the proxy reads it: where a message ends, its type, and what it says.

use super::units::{Label, Step};

/// Which side speaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The client.
    Frontend,
    /// The server.
    Backend,
}

/// Asks for TLS or GSSAPI before the startup message proper.
const NEGOTIATIONS: [u32; 2] = [80_877_103, 80_877_104];
/// Beyond this it is some other protocol.
const LENGTH_MAX: usize = 1 << 28;

/// One side of a session.
#[derive(Debug)]
pub(crate) struct Postgres {
    side: Side,
    /// A client's first messages have no type byte.
    has_started: bool,
}

impl Postgres {
    pub(crate) fn new(side: Side) -> Self {
        Self { side, has_started: side == Side::Backend }
    }

    /// The message at the beginning of `bytes`, which are not empty.
    pub(crate) fn first_message(&mut self, bytes: &[u8]) -> Step {
        let head = usize::from(self.has_started);
        if head == 1 && !bytes[0].is_ascii_alphanumeric() {
            return Step::Lost;
        }
        let Some(length) = number(&bytes[head..]) else { return Step::More };
        if !(4..=LENGTH_MAX).contains(&length) {
            return Step::Lost;
        }
        let Some(message) = bytes.get(..head + length) else { return Step::More };
        let payload = &message[head + 4..];
        let (tag, text) = if self.has_started {
            (message[0], self.text(message[0], payload))
        } else {
            let code = number(payload).unwrap_or_default();
            self.has_started = !NEGOTIATIONS.contains(&(code as u32));
            (0, String::new())
        };
        Step::Piece(message.len(), Label::Postgres { tag, text })
    }

    fn text(&self, tag: u8, payload: &[u8]) -> String {
        let mut strings = payload.split(|byte| *byte == 0);
        let found = match (self.side, tag) {
            // The SQL of a simple query; the command that is complete.
            (Side::Frontend, b'Q') | (Side::Backend, b'C') => strings.next(),
            // The SQL to prepare, behind the statement's name.
            (Side::Frontend, b'P') => strings.nth(1),
            // The SQLSTATE of an error: the field that begins with C.
            (Side::Backend, b'E') => {
                strings.find(|field| field.first() == Some(&b'C')).map(|field| &field[1..])
            }
            _ => None,
        };
        found.map(|text| String::from_utf8_lossy(text).into_owned()).unwrap_or_default()
    }
}

fn number(bytes: &[u8]) -> Option<usize> {
    let four = bytes.get(..4)?;
    Some(u32::from_be_bytes([four[0], four[1], four[2], four[3]]) as usize)
}

#[cfg(test)]
mod tests {
    use super::super::toxics::Way;
    use super::super::units::Protocol;
    use super::super::units::tests::labels_at_any_split;
    use super::*;

    fn untagged(payload: &[u8]) -> Vec<u8> {
        let mut bytes = (payload.len() as u32 + 4).to_be_bytes().to_vec();
        bytes.extend(payload);
        bytes
    }

    fn message(tag: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![tag];
        bytes.extend(untagged(payload));
        bytes
    }

    fn label(tag: u8, text: &str) -> Label {
        Label::Postgres { tag, text: text.to_owned() }
    }

    #[test]
    fn what_a_client_says_is_found_at_any_split() {
        let stream = [
            untagged(&80_877_103u32.to_be_bytes()),
            untagged(b"\0\x03\0\0user\0orderly\0\0"),
            message(b'p', b"password\0"),
            message(b'Q', b"BEGIN\0"),
            message(b'P', b"s1\0INSERT INTO inbox\0\0\0"),
            message(b'E', b"\0\0\0\0\0"),
            message(b'S', b""),
            message(b'Q', b"COMMIT\0"),
        ]
        .concat();
        let labels = labels_at_any_split(Protocol::Postgres, Way::ToServer, &stream);
        let expected = [
            label(0, ""),
            label(0, ""),
            label(b'p', ""),
            label(b'Q', "BEGIN"),
            label(b'P', "INSERT INTO inbox"),
            label(b'E', ""),
            label(b'S', ""),
            label(b'Q', "COMMIT"),
        ];
        assert_eq!(labels, expected);
    }

    #[test]
    fn what_a_server_says_is_found_at_any_split() {
        let stream = [
            message(b'R', &[0, 0, 0, 0]),
            message(b'1', b""),
            message(b'C', b"COMMIT\0"),
            message(b'Z', b"I"),
            message(b'E', b"SERROR\0VERROR\0C40P01\0Mdeadlock detected\0\0"),
        ]
        .concat();
        let labels = labels_at_any_split(Protocol::Postgres, Way::ToClient, &stream);
        let expected = [
            label(b'R', ""),
            label(b'1', ""),
            label(b'C', "COMMIT"),
            label(b'Z', ""),
            label(b'E', "40P01"),
        ];
        assert_eq!(labels, expected);
    }
}

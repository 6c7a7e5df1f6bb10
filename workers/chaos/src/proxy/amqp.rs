//! AMQP 0-9-1 as the proxy reads it: where a frame ends, and which method it carries.

use super::units::{Label, Step};

/// `basic.publish`.
pub const BASIC_PUBLISH: (u16, u16) = (60, 40);
/// `basic.deliver`.
pub const BASIC_DELIVER: (u16, u16) = (60, 60);
/// `basic.ack`: of a delivery by a client, of a publish by the broker.
pub const BASIC_ACK: (u16, u16) = (60, 80);
/// `connection.start`, the broker's first word.
pub const CONNECTION_START: (u16, u16) = (10, 10);

/// What a frame carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Frame {
    /// `AMQP0091`, with which a client begins.
    Greeting,
    /// A method: its class and its number.
    Method(u16, u16),
    /// The header of a content: its size and properties.
    Header,
    /// A part of a content's body.
    Body,
    /// A sign of life.
    Heartbeat,
}

const GREETING: usize = 8;
/// Type, channel and size before the payload.
const HEAD: usize = 7;
const FRAME_END: u8 = 0xCE;
/// Far above what RabbitMQ agrees to; beyond it this is some other protocol.
const PAYLOAD_MAX: usize = 1 << 24;

/// The frame at the beginning of `bytes`, which are not empty.
pub(crate) fn first_frame(bytes: &[u8]) -> Step {
    if bytes[0] == b'A' {
        return match bytes.get(..GREETING) {
            None => Step::More,
            Some(greeting) if greeting.starts_with(b"AMQP") => {
                Step::Piece(GREETING, Label::Amqp(Frame::Greeting))
            }
            Some(_) => Step::Lost,
        };
    }
    if !matches!(bytes[0], 1 | 2 | 3 | 8) {
        return Step::Lost;
    }
    let Some(size) = bytes.get(3..HEAD) else { return Step::More };
    let size = u32::from_be_bytes([size[0], size[1], size[2], size[3]]) as usize;
    if size > PAYLOAD_MAX {
        return Step::Lost;
    }
    let length = HEAD + size + 1;
    let Some(frame) = bytes.get(..length) else { return Step::More };
    if frame[length - 1] != FRAME_END {
        return Step::Lost;
    }
    let kind = match (frame[0], &frame[HEAD..length - 1]) {
        (1, [a, b, c, d, ..]) => {
            Frame::Method(u16::from_be_bytes([*a, *b]), u16::from_be_bytes([*c, *d]))
        }
        (1, _) => return Step::Lost,
        (2, _) => Frame::Header,
        (3, _) => Frame::Body,
        _ => Frame::Heartbeat,
    };
    Step::Piece(length, Label::Amqp(kind))
}

#[cfg(test)]
mod tests {
    use super::super::toxics::Way;
    use super::super::units::Protocol;
    use super::super::units::tests::labels_at_any_split;
    use super::*;

    fn frame(kind: u8, payload: &[u8]) -> Vec<u8> {
        let mut bytes = vec![kind, 0, 1];
        bytes.extend((payload.len() as u32).to_be_bytes());
        bytes.extend(payload);
        bytes.push(FRAME_END);
        bytes
    }

    #[test]
    fn frames_are_found_at_any_split() {
        let stream = [
            b"AMQP\0\0\x09\x01".to_vec(),
            frame(1, b"\0\x3c\0\x28arguments"),
            frame(2, b"header"),
            // A body may hold what looks like the end of its frame.
            frame(3, &[FRAME_END; 5]),
            frame(8, b""),
            frame(1, b"\0\x3c\0\x50\0\0\0\0\0\0\0\x01\0"),
        ]
        .concat();
        let labels = labels_at_any_split(Protocol::Amqp, Way::ToServer, &stream);
        let expected = [
            Frame::Greeting,
            Frame::Method(60, 40),
            Frame::Header,
            Frame::Body,
            Frame::Heartbeat,
            Frame::Method(60, 80),
        ];
        assert_eq!(labels, expected.map(Label::Amqp));
    }

    #[test]
    fn a_frame_without_its_end_is_no_frame() {
        let mut bytes = frame(8, b"");
        bytes[HEAD] = 0;
        assert_eq!(first_frame(&bytes), Step::Lost);
    }
}

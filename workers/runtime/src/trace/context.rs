//! Where a message stands in a trace: the W3C trace context, read strictly, and ids that follow from
//! what they are about. Pure.

use std::fmt;

use orderly_contracts::envelope::TRACEPARENT;
use uuid::{Uuid, uuid};

use crate::message::Properties;

/// The namespace of all derived ids of traces and spans.
const NAMESPACE: Uuid = uuid!("0b1c52d8-3a64-5f0e-8f55-6d3f3b7a90c1");
/// `00-` and 32 digits, `-` and 16 digits, `-` and 2 digits.
const LENGTH: usize = 55;
/// Flags that are handed on: sampled, and whether the trace's id is random.
const FLAGS: u8 = 0b11;
const SAMPLED: u8 = 0b01;

/// The id of a trace; never all zeros.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceId([u8; 16]);

/// The id of a span within its trace; never all zeros.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SpanId([u8; 8]);

impl TraceId {
    /// The trace of an order, or of whatever else a message is about.
    pub fn of(about: &str) -> Self {
        let mut bytes = derived(&["trace", about]).into_bytes();
        // Samplers compare the second half, which in a UUID begins with bits that are always the same.
        bytes.rotate_left(8);
        Self(bytes)
    }

    /// The trace of one batch, which belongs to many orders.
    pub fn of_batch(batch: Uuid) -> Self {
        Self(batch.into_bytes())
    }

    /// Its bytes.
    pub fn bytes(self) -> [u8; 16] {
        self.0
    }
}

impl SpanId {
    /// The span of publishing a message.
    pub fn of_publishing(message_id: &str) -> Self {
        Self::derived(&["publish", message_id])
    }

    /// The span of processing a message, or a timer, to its end.
    pub fn of_processing(worker: &str, cause_id: &str) -> Self {
        Self::derived(&["process", worker, cause_id])
    }

    /// The span of an attempt that came to nothing, begun at this moment.
    pub fn of_attempt(worker: &str, cause_id: &str, began: i64) -> Self {
        Self::derived(&["attempt", worker, cause_id, &began.to_string()])
    }

    /// The span of a batch.
    pub fn of_batch(batch: Uuid) -> Self {
        Self::derived(&["batch", &batch.to_string()])
    }

    fn derived(parts: &[&str]) -> Self {
        let bytes = derived(parts).into_bytes();
        Self(bytes[8..].try_into().expect("a UUID has 16 bytes"))
    }

    /// Its bytes.
    pub fn bytes(self) -> [u8; 8] {
        self.0
    }
}

/// The version bits of a UUID see to it that neither half of it is all zeros.
fn derived(parts: &[&str]) -> Uuid {
    Uuid::new_v5(&NAMESPACE, parts.join("/").as_bytes())
}

/// A span and the trace it is in: what the header `traceparent` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TraceParent {
    /// The trace.
    pub trace: TraceId,
    /// The span.
    pub span: SpanId,
    flags: u8,
}

impl TraceParent {
    /// The place of `span` in `trace`.
    pub fn new(trace: TraceId, span: SpanId, is_sampled: bool) -> Self {
        Self { trace, span, flags: u8::from(is_sampled) }
    }

    /// Where a message says that it stands, if it says so by the standard.
    pub fn of(properties: &Properties) -> Option<Self> {
        properties.text_header(TRACEPARENT).and_then(Self::parse)
    }

    /// What a header says, or nothing if it breaks the standard in any way: a sender's mistake costs
    /// him his trace and nobody a message.
    pub fn parse(text: &str) -> Option<Self> {
        let bytes = text.as_bytes();
        let has_dashes = bytes.len() >= LENGTH && [2, 35, 52].iter().all(|at| bytes[*at] == b'-');
        if !has_dashes {
            return None;
        }
        let [version] = hex(&bytes[..2])?;
        // A later version may say more behind the flags; the first never does, and 255 is none.
        let is_known = match version {
            0 => bytes.len() == LENGTH,
            255 => false,
            _ => bytes.get(LENGTH).is_none_or(|byte| *byte == b'-'),
        };
        let trace = hex::<16>(&bytes[3..35])?;
        let span = hex::<8>(&bytes[36..52])?;
        let [flags] = hex(&bytes[53..LENGTH])?;
        let is_valid = is_known && trace != [0; 16] && span != [0; 8];
        is_valid.then_some(Self { trace: TraceId(trace), span: SpanId(span), flags: flags & FLAGS })
    }

    /// Whether its spans are wanted.
    pub fn is_sampled(self) -> bool {
        self.flags & SAMPLED != 0
    }

    /// The same place, its spans being wanted or not.
    #[must_use]
    pub fn sampled(self, is_sampled: bool) -> Self {
        Self { flags: self.flags & !SAMPLED | u8::from(is_sampled), ..self }
    }

    /// Another span of the same trace.
    #[must_use]
    pub fn at(self, span: SpanId) -> Self {
        Self { span, ..self }
    }

    /// The flags, as the standard counts them.
    pub fn flags(self) -> u8 {
        self.flags
    }
}

/// Small letters alone, as the standard wants them.
fn hex<const N: usize>(digits: &[u8]) -> Option<[u8; N]> {
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let mut bytes = [0; N];
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        *byte = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(bytes)
}

/// Every message of a trace is written thus, so it is no matter for a formatter.
fn write_hex(bytes: &[u8], digits: &mut [u8]) {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    for (byte, pair) in bytes.iter().zip(digits.chunks_exact_mut(2)) {
        pair[0] = DIGITS[usize::from(byte >> 4)];
        pair[1] = DIGITS[usize::from(byte & 15)];
    }
}

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = [b'-'; LENGTH];
        write_hex(&[0], &mut text[..2]);
        write_hex(&self.trace.0, &mut text[3..35]);
        write_hex(&self.span.0, &mut text[36..52]);
        write_hex(&[self.flags], &mut text[53..]);
        f.write_str(str::from_utf8(&text).expect("digits are ASCII"))
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

impl fmt::Debug for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Debug for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const GOOD: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    #[test]
    fn what_the_standard_allows_is_read_and_written_alike() {
        let context = TraceParent::parse(GOOD).unwrap();
        assert_eq!(context.to_string(), GOOD);
        assert!(context.is_sampled() && !context.sampled(false).is_sampled());
        // A later version is understood as far as it is the first one.
        let later = GOOD.replacen("00", "cc", 1);
        for later in [later.clone(), format!("{later}-what-it-adds")] {
            assert_eq!(TraceParent::parse(&later).unwrap().to_string(), GOOD);
        }
        let flags = |flags: &str| TraceParent::parse(&format!("{}{flags}", &GOOD[..53])).unwrap();
        assert!(!flags("00").is_sampled());
        assert_eq!(flags("ff").flags(), 3);
    }

    #[test]
    fn anything_else_is_no_context() {
        let zeros = "00-00000000000000000000000000000000-b7ad6b7169203331-01";
        let no_span = "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01";
        let wrong = [
            String::new(),
            GOOD[..54].to_owned(),
            format!("{GOOD}-"),
            format!("{GOOD}0"),
            GOOD.to_uppercase(),
            GOOD.replacen("00", "ff", 1),
            GOOD.replacen("00-", "cc-", 1) + "x",
            GOOD.replace('-', "_"),
            GOOD.replace("-01", "-0g"),
            GOOD.replace("b7ad", "b7\u{e4}d"),
            format!(" {GOOD}"),
            zeros.to_owned(),
            no_span.to_owned(),
        ];
        for wrong in wrong {
            assert_eq!(TraceParent::parse(&wrong), None, "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn no_header_hurts(text in ".*", bytes in "[0-9a-f-]{50,60}") {
            for text in [text, bytes] {
                if let Some(context) = TraceParent::parse(&text) {
                    prop_assert_eq!(TraceParent::parse(&context.to_string()), Some(context));
                }
            }
        }
    }
}

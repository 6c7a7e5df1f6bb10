//! The AMQP properties and headers around a body.
//!
//! The body is plain JSON of the message alone; everything else travels in properties, so that a
//! publisher in any language needs nothing of ours.

/// The only content type of a body.
pub const CONTENT_TYPE: &str = "application/json";

/// Header: where the message stands in a trace, by W3C Trace Context.
pub const TRACEPARENT: &str = "traceparent";
/// Header: the vendors' part of the W3C trace context.
pub const TRACESTATE: &str = "tracestate";
/// Header: the id of the message (or timer) that caused this one.
pub const CAUSATION_ID: &str = "causation-id";
/// Header: when the message was sent, in microseconds since 1970 (the AMQP timestamp has seconds).
pub const SENT_AT: &str = "sent-at-us";
/// Header: when the order was placed, in microseconds since 1970; carried through its whole saga.
pub const PLACED_AT: &str = "placed-at-us";
/// Header: how many attempts have failed so far; ours, because brokers count differently.
pub const ATTEMPTS: &str = "orderly-attempts";

/// Header: how many messages were published right behind this one on the same way.
pub const FOLLOWERS: &str = "orderly-followers";

/// One header of the envelope, for whoever publishes or reads messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Header {
    /// The header's name.
    pub name: &'static str,
    /// Whether it holds an integer; else it holds a text.
    pub is_integer: bool,
    /// Whether a publisher may set it.
    pub is_for_publishers: bool,
    /// What it says.
    pub meaning: &'static str,
}

const fn header(
    name: &'static str,
    is_integer: bool,
    is_for_publishers: bool,
    meaning: &'static str,
) -> Header {
    Header { name, is_integer, is_for_publishers, meaning }
}

/// All headers. None of them is required.
pub const HEADERS: [Header; 7] = [
    header(
        TRACEPARENT,
        false,
        true,
        "Where the message stands in a trace, by W3C Trace Context; the trace goes on through \
         everything that follows. One that breaks the standard is passed over.",
    ),
    header(
        TRACESTATE,
        false,
        true,
        "The vendors' part of the trace context; passed over without `traceparent`, \
         or beyond 512 bytes.",
    ),
    header(CAUSATION_ID, false, true, "The id of the message (or timer) that caused this one."),
    header(
        SENT_AT,
        true,
        true,
        "When the message was sent, in microseconds since 1970-01-01 UTC. Never used for deadlines.",
    ),
    header(
        PLACED_AT,
        true,
        true,
        "When the order was placed, in microseconds since 1970-01-01 UTC; \
         carried through its whole saga.",
    ),
    header(ATTEMPTS, true, false, "How many attempts have failed so far; counted by the workers."),
    header(
        FOLLOWERS,
        true,
        false,
        "How many messages a worker published right behind this one, to the same exchange under the \
         same key: who works in batches may wait for them a moment.",
    ),
];

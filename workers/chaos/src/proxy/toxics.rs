//! What may be wrong with one direction of a line, as settings that can change at any moment.

use std::ops::RangeInclusive;
use std::time::Duration;

/// A direction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// From the client to the server.
    ToServer,
    /// From the server to the client.
    ToClient,
}

impl Way {
    /// Both.
    pub const BOTH: [Self; 2] = [Self::ToServer, Self::ToClient];

    pub(crate) fn index(self) -> usize {
        usize::from(self == Self::ToClient)
    }
}

/// Whether bytes go on.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Flow {
    /// They do.
    #[default]
    Pass,
    /// They wait, and so in the end does the sender; once healed, all of them arrive. It is what a
    /// partition looks like to TCP, which sends again what was dropped.
    Hold,
    /// They are swallowed without a word, for good. The connection stays open.
    Swallow,
}

/// How late bytes are: by `mean`, give or take `jitter`. They stay in order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Latency {
    /// On average.
    pub mean: Duration,
    /// The most it differs from that, either way.
    pub jitter: Duration,
}

/// Writes of a few bytes each, so that the receiver sees messages in parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slices {
    /// How many bytes a write has.
    pub bytes: RangeInclusive<usize>,
    /// How long to wait before the next: without it the kernel may put them together again.
    pub gap: Duration,
}

/// Everything that is wrong with a direction; by default nothing.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Toxics {
    /// Whether bytes go on at all.
    pub flow: Flow,
    /// How late they are.
    pub latency: Option<Latency>,
    /// How many bytes a second get through.
    pub bandwidth: Option<u32>,
    /// How small the pieces are in which they arrive.
    pub slices: Option<Slices>,
    /// How long after it the end of the stream is passed on.
    pub slow_close: Duration,
}

impl Toxics {
    /// Everything waits.
    pub fn hold() -> Self {
        Self { flow: Flow::Hold, ..Self::default() }
    }

    /// Everything disappears.
    pub fn swallow() -> Self {
        Self { flow: Flow::Swallow, ..Self::default() }
    }

    /// Everything is late.
    pub fn late(mean: Duration, jitter: Duration) -> Self {
        Self { latency: Some(Latency { mean, jitter }), ..Self::default() }
    }

    /// So many bytes a second.
    pub fn narrow(bytes: u32) -> Self {
        Self { bandwidth: Some(bytes), ..Self::default() }
    }

    /// So many bytes a write, at random.
    pub fn sliced(bytes: RangeInclusive<usize>, gap: Duration) -> Self {
        Self { slices: Some(Slices { bytes, gap }), ..Self::default() }
    }
}

//! The sky above a simulated system: which faults strike, and how often, until it clears up.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use fastrand::Rng;

/// Defines the kinds of strikes with their words.
macro_rules! strikes {
    ($($(#[doc = $doc:literal])* $name:ident = $word:literal,)*) => {
        /// Something that servers, or the way to them, do to a worker.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Strike { $($(#[doc = $doc])* $name,)* }

        impl Strike {
            /// All of them.
            pub const ALL: &'static [Self] = &[$(Self::$name,)*];

            /// The word for it.
            pub const fn word(self) -> &'static str {
                match self { $(Self::$name => $word,)* }
            }
        }
    };
}

strikes! {
    /// The connection to the broker is cut.
    Cut = "connection cut",
    /// Nothing of a window is published, and nobody says so.
    PublishLost = "publish lost",
    /// The window is published in part before the connection is cut.
    PublishPartly = "publish in part",
    /// The window is published, but its confirms never arrive.
    ConfirmLost = "confirm lost",
    /// A message is refused: a queue is full.
    Refused = "publish refused",
    /// A message is returned: nothing is bound for it.
    Returned = "publish returned",
    /// An ack never reaches the broker, though it was written.
    AckLost = "ack lost",
    /// A delivery that is there shows up later.
    Late = "delivery late",
    /// Another transaction was in the way.
    Conflict = "conflict",
    /// The database is away.
    DatabaseAway = "database away",
    /// The commit has happened, and its answer never arrives.
    CommitUnheard = "commit unheard",
    /// The commit has not happened, and its answer never arrives.
    CommitLost = "commit lost",
    /// The payment provider is away.
    ProviderFails = "provider failed",
    /// The payment provider does what it is asked, and never answers.
    ProviderHangs = "provider hung",
}

/// How often each kind of strike strikes, in a thousand calls, and how slow servers are.
#[derive(Debug, Clone)]
pub struct Climate {
    /// In a thousand.
    pub often: BTreeMap<Strike, u32>,
    /// How many answers in a hundred take any time at all.
    pub slow_percent: u8,
    /// The longest delay of an answer, in milliseconds.
    pub delay_max_ms: u64,
    /// Whether the broker counts how often a message came back.
    pub counts_returns: bool,
}

/// Decides about every call whether something strikes.
#[derive(Debug)]
pub struct Sky {
    climate: Climate,
    /// By strike, in a thousand calls.
    often: [u32; Strike::ALL.len()],
    rng: Mutex<Rng>,
    is_fair: AtomicBool,
    struck: Mutex<BTreeMap<Strike, u64>>,
}

impl Sky {
    /// A sky of this climate; what it decides follows from `seed`.
    pub fn new(climate: Climate, seed: u64) -> Self {
        let mut often = [0; Strike::ALL.len()];
        climate.often.iter().for_each(|(strike, times)| often[*strike as usize] = *times);
        Self {
            climate,
            often,
            rng: Mutex::new(Rng::with_seed(seed)),
            is_fair: AtomicBool::new(false),
            struck: Mutex::default(),
        }
    }

    /// From now on nothing strikes any more.
    pub fn clear_up(&self) {
        self.is_fair.store(true, Ordering::Relaxed);
    }

    /// Whether `strike` happens now.
    pub fn strikes(&self, strike: Strike) -> bool {
        let often = self.often[strike as usize];
        if often == 0 || self.is_fair.load(Ordering::Relaxed) || self.rng().u32(..1_000) >= often {
            return false;
        }
        *lock(&self.struck).entry(strike).or_default() += 1;
        true
    }

    /// How often each strike has happened.
    pub fn struck(&self) -> BTreeMap<Strike, u64> {
        lock(&self.struck).clone()
    }

    /// Whether the broker counts how often a message came back.
    pub fn counts_returns(&self) -> bool {
        self.climate.counts_returns
    }

    /// A number below `bound`.
    pub fn below(&self, bound: usize) -> usize {
        self.rng().usize(..bound.max(1))
    }

    /// Waits as long as an answer takes.
    pub async fn delay(&self) {
        let ms = {
            let mut rng = self.rng();
            let is_slow = rng.u8(..100) < self.climate.slow_percent;
            if is_slow { rng.u64(..=self.climate.delay_max_ms) } else { 0 }
        };
        if ms > 0 {
            tokio::time::sleep(Duration::from_millis(ms)).await;
        }
    }

    fn rng(&self) -> MutexGuard<'_, Rng> {
        lock(&self.rng)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

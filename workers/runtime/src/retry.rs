//! How long to wait before trying again: the rungs of the retry ladder, and reconnecting.
//!
//! The only place that knows the `backoff` crate, so that replacing it changes one file. It
//! computes delays and nothing else: jitter comes from our own source of randomness.

use std::time::Duration;

use backoff::backoff::Backoff;

use crate::clock::{Clock, Entropy, Micros};
use crate::message::{Delivery, HeaderValue, Outgoing, Properties};
use crate::topology::RETRY;
use orderly_contracts::envelope::ATTEMPTS;

/// Header: when the message first failed, in microseconds since 1970.
pub const FIRST_FAILED_AT: &str = "orderly-first-failed-at-us";
/// Header: the exchange the message was first published to.
pub const ORIGINAL_EXCHANGE: &str = "orderly-exchange";
/// Header: the routing key the message was first published with.
pub const ORIGINAL_ROUTING_KEY: &str = "orderly-routing-key";

/// The delays between attempts. A message that has climbed the last rung is exhausted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ladder {
    rungs: Vec<Duration>,
}

impl Default for Ladder {
    /// One second, then five times longer each, capped at ten minutes: 1 s, 5 s, 25 s, 125 s, 600 s.
    fn default() -> Self {
        Self::exponential(5, Duration::from_secs(1), 5.0, Duration::from_secs(600))
    }
}

impl Ladder {
    /// A ladder of the given delays.
    pub fn new(rungs: Vec<Duration>) -> Self {
        Self { rungs }
    }

    /// `count` delays that grow from `first` by `factor` up to `longest`.
    pub fn exponential(count: usize, first: Duration, factor: f64, longest: Duration) -> Self {
        let mut delays = schedule(first, factor, longest);
        Self { rungs: (0..count).filter_map(|_| delays.next_backoff()).collect() }
    }

    /// The delays, shortest first.
    pub fn rungs(&self) -> &[Duration] {
        &self.rungs
    }

    /// The longest time a message can spend on the ladder.
    pub fn duration(&self) -> Duration {
        self.rungs.iter().sum()
    }

    /// The copy of `delivery` that waits for its next attempt, or `None` if it is exhausted.
    ///
    /// Body and id stay the same. The wait is between 0.8 and 1.0 of the rung's delay, so what
    /// waits behind it in the same queue is late by a fifth at most.
    pub fn next_attempt(
        &self,
        delivery: &Delivery,
        queue: &str,
        now: Micros,
        entropy: &dyn Entropy,
    ) -> Option<Outgoing> {
        let attempts = attempts(&delivery.properties);
        let rung = usize::try_from(attempts).ok()?;
        let delay = self.rungs.get(rung)?;
        let jitter = 0.8 + 0.2 * unit(entropy.next());
        let mut properties = without_broker_traces(&delivery.properties);
        let origin = Origin::of(delivery);
        properties.set_header(ATTEMPTS, i64::from(attempts) + 1);
        properties.set_header(FIRST_FAILED_AT, first_failed_at(&delivery.properties, now).0);
        properties.set_header(ORIGINAL_EXCHANGE, origin.exchange);
        properties.set_header(ORIGINAL_ROUTING_KEY, origin.routing_key);
        properties.expiration = Some(delay.mul_f64(jitter).as_millis().to_string());
        properties.delivery_mode = Some(2);
        Some(Outgoing {
            exchange: RETRY.to_owned(),
            routing_key: format!("{rung}.{queue}"),
            mandatory: true,
            properties,
            body: delivery.body.clone(),
        })
    }
}

/// Where a message was first published to, whatever detours it has taken since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// The exchange.
    pub exchange: String,
    /// The routing key.
    pub routing_key: String,
}

impl Origin {
    /// The origin of `delivery`, from our headers if it comes back from the ladder.
    pub fn of(delivery: &Delivery) -> Self {
        let header = |name: &str| delivery.properties.text_header(name).map(str::to_owned);
        match (header(ORIGINAL_EXCHANGE), header(ORIGINAL_ROUTING_KEY)) {
            (Some(exchange), Some(routing_key)) if attempts(&delivery.properties) > 0 => {
                Self { exchange, routing_key }
            }
            _ => Self {
                exchange: delivery.exchange.clone(),
                routing_key: delivery.routing_key.clone(),
            },
        }
    }
}

/// How many attempts have failed, by our own header.
pub fn attempts(properties: &Properties) -> u32 {
    properties.int_header(ATTEMPTS).and_then(|n| u32::try_from(n).ok()).unwrap_or(0)
}

/// When the message first failed: `now`, unless it says that it failed before.
pub fn first_failed_at(properties: &Properties, now: Micros) -> Micros {
    properties.int_header(FIRST_FAILED_AT).map_or(now, |at| Micros(at).min(now))
}

/// Properties without what the broker adds on a detour, and without an expiration.
pub fn without_broker_traces(properties: &Properties) -> Properties {
    let mut clean = properties.clone();
    clean.expiration = None;
    if let Some(headers) = &mut clean.headers {
        headers.retain(|name, _: &mut HeaderValue| {
            !(name.starts_with("x-death")
                || name.starts_with("x-first-death-")
                || name.starts_with("x-last-death-")
                || name == "x-delivery-count"
                || name == "x-acquired-count")
        });
    }
    clean
}

/// Growing pauses between attempts of the same thing, such as connecting. It never gives up.
pub struct Pauses {
    delays: backoff::ExponentialBackoff,
}

impl Default for Pauses {
    fn default() -> Self {
        Self { delays: schedule(Duration::from_millis(100), 2.0, Duration::from_secs(10)) }
    }
}

impl Pauses {
    /// Waits for the next pause, half of it at random so that replicas don't march in step.
    pub async fn pause(&mut self, clock: &dyn Clock, entropy: &dyn Entropy) {
        let longest = self.delays.next_backoff().unwrap_or(self.delays.max_interval);
        clock.sleep(longest.mul_f64(0.5 + 0.5 * unit(entropy.next()))).await;
    }

    /// Starts over with the shortest pause.
    pub fn reset(&mut self) {
        self.delays.reset();
    }
}

fn schedule(first: Duration, factor: f64, longest: Duration) -> backoff::ExponentialBackoff {
    backoff::ExponentialBackoff {
        current_interval: first,
        initial_interval: first,
        multiplier: factor,
        max_interval: longest,
        randomization_factor: 0.0,
        // The default of 15 minutes would end all retries there, silently.
        max_elapsed_time: None,
        ..backoff::ExponentialBackoff::default()
    }
}

/// 64 random bits as a number from 0 up to 1.
fn unit(bits: u64) -> f64 {
    (bits >> 11) as f64 / (1u64 << 53) as f64
}

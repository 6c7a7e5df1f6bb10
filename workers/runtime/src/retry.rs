//! How long to wait before trying again: the rungs of the retry ladder, and reconnecting.
//!
//! The only place that knows the `backoff` crate, so that replacing it changes one file. It
//! computes delays and nothing else: jitter comes from our own source of randomness.

use std::time::Duration;

use backoff::backoff::Backoff;

use crate::clock::{Clock, Entropy, Micros};
use crate::message::{Delivery, HeaderValue, Outgoing, Properties};
use crate::topology::{RETRY, RETURN};
use orderly_contracts::envelope::ATTEMPTS;

/// Header: when the message first failed, in microseconds since 1970.
pub const FIRST_FAILED_AT: &str = "orderly-first-failed-at-us";
/// Header: the exchange the message was first published to.
pub const ORIGINAL_EXCHANGE: &str = "orderly-exchange";
/// Header: the routing key the message was first published with.
pub const ORIGINAL_ROUTING_KEY: &str = "orderly-routing-key";

/// Why a message has to be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Setback {
    /// Other transactions were in its way, for longer than races last.
    Conflict,
    /// The worker decided to look at it later.
    Asked,
    /// A call to the outside failed.
    Outside,
}

/// How many attempts each setback is worth, at most as many as the ladder has rungs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attempts {
    /// See [`Setback::Conflict`].
    pub conflict: u32,
    /// See [`Setback::Asked`].
    pub asked: u32,
    /// See [`Setback::Outside`].
    pub outside: u32,
}

/// The delays between attempts. A message that has climbed the last rung is exhausted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ladder {
    rungs: Vec<Duration>,
    attempts: Attempts,
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
        let attempts = Attempts { conflict: u32::MAX, asked: u32::MAX, outside: u32::MAX };
        Self { rungs, attempts }
    }

    /// The same delays, with fewer attempts for some setbacks.
    pub fn with_attempts(self, attempts: Attempts) -> Self {
        Self { attempts, ..self }
    }

    /// `count` delays that grow from `first` by `factor` up to `longest`.
    pub fn exponential(count: usize, first: Duration, factor: f64, longest: Duration) -> Self {
        let mut delays = schedule(first, factor, longest);
        Self::new((0..count).filter_map(|_| delays.next_backoff()).collect())
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
        setback: Setback,
        now: Micros,
        entropy: &dyn Entropy,
    ) -> Option<Outgoing> {
        let past = Past::of(delivery);
        let most = match setback {
            Setback::Conflict => self.attempts.conflict,
            Setback::Asked => self.attempts.asked,
            Setback::Outside => self.attempts.outside,
        };
        if past.attempts >= most {
            return None;
        }
        let rung = usize::try_from(past.attempts).ok()?;
        let delay = self.rungs.get(rung)?;
        let jitter = 0.8 + 0.2 * unit(entropy.next());
        let mut properties = without_broker_traces(&delivery.properties);
        properties.set_header(ATTEMPTS, i64::from(past.attempts) + 1);
        properties.set_header(FIRST_FAILED_AT, past.first_failed_at.unwrap_or(now).0);
        properties.set_header(ORIGINAL_EXCHANGE, past.exchange);
        properties.set_header(ORIGINAL_ROUTING_KEY, past.routing_key);
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

/// What a message has been through, as its headers tell when it comes back from the ladder.
///
/// Only then are they believed: the way back is ours alone, while anybody may put headers of these
/// names on a message of his own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Past {
    /// How many attempts have failed.
    pub attempts: u32,
    /// When the first of them failed.
    pub first_failed_at: Option<Micros>,
    /// The exchange the message was first published to.
    pub exchange: String,
    /// The routing key it was first published with.
    pub routing_key: String,
}

impl Past {
    /// The past of `delivery`.
    pub fn of(delivery: &Delivery) -> Self {
        let properties = &delivery.properties;
        let text = |name: &str| properties.text_header(name).map(str::to_owned);
        let back = (text(ORIGINAL_EXCHANGE), text(ORIGINAL_ROUTING_KEY));
        match back {
            (Some(exchange), Some(routing_key)) if delivery.exchange == RETURN => Self {
                attempts: properties
                    .int_header(ATTEMPTS)
                    .and_then(|n| n.try_into().ok())
                    .unwrap_or(0),
                first_failed_at: properties.int_header(FIRST_FAILED_AT).map(Micros),
                exchange,
                routing_key,
            },
            _ => Self {
                attempts: 0,
                first_failed_at: None,
                exchange: delivery.exchange.clone(),
                routing_key: delivery.routing_key.clone(),
            },
        }
    }
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

/// The longest pause while something is only away: when it is back, work goes on within a second.
const AWAY: Duration = Duration::from_millis(500);
/// The longest pause while somebody has to act first.
const WRONG: Duration = Duration::from_secs(10);

/// Growing pauses between attempts of the same thing, such as connecting. It never gives up.
pub struct Pauses {
    delays: backoff::ExponentialBackoff,
}

impl Default for Pauses {
    fn default() -> Self {
        Self { delays: schedule(Duration::from_millis(50), 2.0, WRONG) }
    }
}

impl Pauses {
    /// Waits for the next pause, half of it at random so that replicas don't march in step; a
    /// trouble that is lasting is looked at less and less often.
    pub async fn pause(&mut self, is_lasting: bool, clock: &dyn Clock, entropy: &dyn Entropy) {
        let longest = self.delays.next_backoff().unwrap_or(self.delays.max_interval);
        let longest = if is_lasting { longest } else { longest.min(AWAY) };
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

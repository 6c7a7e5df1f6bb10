//! One input: a delivery to some queue, the same for the same seed and number at any time.

use fastrand::Rng;
use lapin::BasicProperties;
use orderly_contracts::routes::{PAYMENT_EFFECTS, ROUTES, Route};
use orderly_runtime::amqp::convert;
use orderly_runtime::clock::Micros;
use orderly_runtime::message::Delivery;
use orderly_runtime::topology::{WORKERS, work_queues};

use crate::body::body;
use crate::envelope::envelope;

/// Stands in every generated payment token, and nowhere else: no explanation may show it.
pub const SECRET: &str = "5ecr3t70k3n";
/// Stands for a card number where a sender put one in place of a token.
pub const SECRET_NUMBER: &str = "4929123412341234";

/// The longest body that is read at all. Short, so that longer ones cost little.
pub const BODY_BYTES_MAX: usize = 8 * 1024;

/// When everything arrives.
pub const NOW: Micros = Micros(1_764_000_000_000_000);

/// A delivery to a queue.
#[derive(Debug)]
pub struct Input {
    /// The queue it comes from.
    pub queue: &'static str,
    /// The properties as lapin has them.
    pub properties: BasicProperties,
    /// The delivery as the workers have it.
    pub delivery: Delivery,
}

/// All queues that a worker takes its messages from.
pub fn queues() -> impl Iterator<Item = &'static str> {
    WORKERS.into_iter().flat_map(work_queues)
}

impl Input {
    /// The input of this `number` in the campaign of this `seed`.
    pub fn of(seed: u64, number: u64) -> Self {
        let mut rng = Rng::with_seed(mixed(seed).wrapping_add(mixed(number ^ 0x5851_f42d)));
        let route = some_route(&mut rng);
        let queue = route.consumer.map_or(PAYMENT_EFFECTS, |(_, queue)| queue);
        let body = body(&mut rng, route.kind);
        let envelope = envelope(&mut rng, route, queue);
        let mut delivery = lapin::message::Delivery::mock(
            rng.u64(..),
            envelope.exchange.into(),
            envelope.routing_key.into(),
            rng.u8(..8) == 0,
            body,
        );
        delivery.properties = envelope.properties.clone();
        Self { queue, properties: envelope.properties, delivery: convert::delivery(delivery) }
    }
}

/// A route that somebody here consumes; those of rare queues as often as all others.
fn some_route(rng: &mut Rng) -> &'static Route {
    let consumed: Vec<&Route> = ROUTES.iter().filter(|route| route.consumer.is_some()).collect();
    consumed[rng.usize(..consumed.len())]
}

/// Seeds that differ a little must give inputs that differ in everything (splitmix64).
fn mixed(seed: u64) -> u64 {
    let mut z = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

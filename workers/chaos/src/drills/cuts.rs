//! Connections that are cut at a byte or a message, one after the other, under orders.

use std::time::Instant;

use anyhow::{Context, Result};
use fastrand::Rng;
use orderly_e2e::{Message, System, eventually, place};

use crate::proxy::{Act, Ending, Pattern, Point, Proxy, Way};

/// How many orders are on their way at each cut.
const ORDERS: usize = 3;

/// A proxy before one of the servers.
pub struct Line<'a> {
    /// What is behind it.
    pub name: &'static str,
    /// The proxy.
    pub proxy: &'a Proxy,
}

/// Cuts of a seed's choice. The stock must have enough of `lamp`.
pub struct Cuts {
    random: Rng,
    done: usize,
}

impl Cuts {
    /// None has been done yet.
    pub fn new(seed: u64) -> Self {
        Self { random: Rng::with_seed(seed), done: 0 }
    }

    /// Cuts `count` times, each at a `point` of its own; the orders placed.
    pub async fn at(
        &mut self,
        system: &System,
        line: &Line<'_>,
        way: Way,
        count: usize,
        mut point: impl FnMut(&mut Rng) -> Point,
    ) -> Result<Vec<Message>> {
        let mut placed = Vec::new();
        for _ in 0..count {
            let point = point(&mut self.random);
            placed.extend(self.cut(system, line, way, point).await?);
        }
        Ok(placed)
    }

    /// Lays the trap, places orders, and waits until it has sprung and they have ended all the same.
    pub async fn cut(
        &mut self,
        system: &System,
        line: &Line<'_>,
        way: Way,
        point: Point,
    ) -> Result<Vec<Message>> {
        let ending = if self.random.bool() { Ending::Reset } else { Ending::Close };
        let what = format!("{} {way:?} {point:?} {ending:?}", line.name);
        let trap = line.proxy.lay(way, point, Act::Cut(ending));
        let orders: Vec<String> = (0..ORDERS).map(|n| format!("cut-{}-{n}", self.done)).collect();
        let placed: Vec<_> =
            orders.iter().map(|order| place(order, "lamp", 1, "tok_visa")).collect();
        let started = Instant::now();
        system.client.publish(placed.clone()).await?;
        eventually("the trap to spring", async || Ok(trap.has_sprung().then_some(())))
            .await
            .with_context(|| what.clone())?;
        for order in &orders {
            let ended = system.databases.reaches(order, "confirmed").await;
            ended.with_context(|| format!("cut {}: {what}", self.done))?;
        }
        self.done += 1;
        println!("cut {}: {what}: {:?}", self.done, started.elapsed());
        Ok(placed)
    }
}

/// Some byte of what the orders of a cut send: about as many as that, so that it is in the middle.
pub fn some_byte(random: &mut Rng) -> Point {
    Point::Bytes(random.u64(1..=6_000))
}

/// Some message or frame, and each time a later one.
pub fn later_messages() -> impl FnMut(&mut Rng) -> Point {
    let mut nth = 0;
    move |random| {
        nth += random.u64(1..=10);
        Point::After(Pattern::Any, nth)
    }
}

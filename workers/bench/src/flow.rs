//! A flow of orders: as many at once as there is room for, until all have ended.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tokio::sync::Semaphore;

use crate::shop::{Counter, Place, Shop};

/// At most so many orders are placed together.
const HANDFUL: usize = 100;
/// After so long without an end, something is stuck.
const PATIENCE: Duration = Duration::from_secs(60);

/// What a flow came to.
#[derive(Debug, Clone, Copy)]
pub struct Flow {
    /// How many orders ended.
    pub orders: usize,
    /// From the first order placed to the last end.
    pub took: Duration,
    /// Orders that ended in a second, without the beginning and the end of the flow.
    pub rate: f64,
}

/// Places `orders`, at most `open` of which are under way at a time, and waits until all have ended.
pub async fn flow(shop: &mut Shop, orders: Vec<Place>, open: usize) -> Result<Flow> {
    let count = orders.len();
    let room = Arc::new(Semaphore::new(open));
    let placing = tokio::spawn(place_all(shop.counter.clone(), orders, room.clone()));
    let flow = ends(shop, count, &room).await?;
    placing.await??;
    Ok(flow)
}

/// Waits until `count` orders have ended that are placed already.
pub async fn drain(shop: &mut Shop, count: usize) -> Result<Flow> {
    ends(shop, count, &Semaphore::new(0)).await
}

/// Hears how `count` orders end, each of which makes `room`.
async fn ends(shop: &mut Shop, count: usize, room: &Semaphore) -> Result<Flow> {
    ensure!(count >= 20, "{count} orders are no flow");
    let started = Instant::now();
    let mut ends = Vec::with_capacity(count);
    let mut heard = Vec::new();
    while ends.len() < count {
        let some = tokio::time::timeout(PATIENCE, shop.heard.recv_many(&mut heard, 1_000)).await;
        let some = some.with_context(|| format!("{} of {count} orders ended", ends.len()))?;
        ensure!(some > 0, "the shop hears nothing any more");
        room.add_permits(heard.len());
        ends.extend(heard.drain(..).map(|it| it.at));
    }
    Ok(Flow { orders: count, took: ends[count - 1] - started, rate: steady_rate(&ends) })
}

async fn place_all(counter: Counter, orders: Vec<Place>, room: Arc<Semaphore>) -> Result<()> {
    // More than there is room for would never be placed.
    let handful = room.available_permits().clamp(1, HANDFUL);
    for some in orders.chunks(handful) {
        room.acquire_many(u32::try_from(some.len())?).await?.forget();
        counter.place(some).await?;
    }
    Ok(())
}

/// Ends in a second between the first tenth and the last twentieth of all.
pub fn steady_rate(ends: &[Instant]) -> f64 {
    let (from, to) = (ends.len() / 10, ends.len() - ends.len() / 20 - 1);
    let span = ends[to].saturating_duration_since(ends[from]);
    (to - from) as f64 / span.as_secs_f64().max(f64::EPSILON)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beginning_and_end_do_not_count() {
        let begin = Instant::now();
        let mut ends: Vec<Instant> =
            (0..100u64).map(|n| begin + Duration::from_millis(10 * n)).collect();
        // A late one in the first tenth, and in the last twentieth.
        ends[0] = begin;
        ends[99] = begin + Duration::from_secs(60);
        assert!((steady_rate(&ends) - 100.0).abs() < 1e-6);
    }
}

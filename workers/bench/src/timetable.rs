//! Orders placed when they are due, whether the system keeps up or not.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::Result;
use hdrhistogram::Histogram;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::task::JoinSet;

use crate::shop::{Counter, Place};

/// To wake up for each order by itself would take two in a hundred of both processors at 2,700 orders/s.
const SHORTEST: Duration = Duration::from_millis(1);

/// When each of a series is due, at a steady rate.
#[derive(Debug, Clone, Copy)]
pub struct Timetable {
    /// When the first is.
    pub start: Instant,
    /// So many a second.
    pub rate: f64,
}

impl Timetable {
    /// When number `n`, from zero, is due.
    pub fn due(self, n: usize) -> Instant {
        self.start + Duration::from_secs_f64(n as f64 / self.rate)
    }

    /// Places `orders` and returns, once the broker has confirmed all of them, by how many microseconds each was late.
    ///
    /// Never waits for a confirm before it places the next: that would be a closed loop.
    pub async fn place(self, counter: Counter, orders: Vec<Place>) -> Result<Histogram<u64>> {
        let mut late = Histogram::new(3)?;
        let mut confirms = JoinSet::new();
        let mut strikes = self.strikes(orders.len());
        for (n, order) in orders.iter().enumerate() {
            strikes.recv().await;
            let behind = Instant::now().saturating_duration_since(self.due(n));
            late.record(u64::try_from(behind.as_micros())?)?;
            confirms.spawn(counter.place_one(order).await?);
            while let Some(confirmed) = confirms.try_join_next() {
                confirmed??;
            }
        }
        while let Some(confirmed) = confirms.join_next().await {
            confirmed??;
        }
        Ok(late)
    }

    /// Strikes when each of `count` is due. A thread sleeps until then, for tokio's timers know only whole milliseconds:
    /// by these, half of all orders were placed about one too late.
    fn strikes(self, count: usize) -> UnboundedReceiver<()> {
        let (strike, strikes) = unbounded_channel();
        thread::spawn(move || {
            for n in 0..count {
                let early = self.due(n).saturating_duration_since(Instant::now());
                if !early.is_zero() {
                    thread::sleep(early.max(SHORTEST));
                }
                if strike.send(()).is_err() {
                    return;
                }
            }
        });
        strikes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn every_order_has_its_strike_and_none_before_it_is_due() {
        let timetable = Timetable { start: Instant::now(), rate: 2_000.0 };
        let mut strikes = timetable.strikes(50);
        let mut heard = 0;
        while strikes.recv().await.is_some() {
            assert!(Instant::now() >= timetable.due(heard), "order {heard} is early");
            heard += 1;
        }
        assert_eq!(heard, 50);
    }
}

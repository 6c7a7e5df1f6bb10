//! Which deliveries become a batch, by a clock that moves to whatever comes next.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::{Mutex, MutexGuard};
use std::task::Poll;

use orderly_contracts::envelope::FOLLOWERS;
use orderly_contracts::routes::COMMANDS;

use super::*;
use crate::message::{Properties, Tag};
use crate::stop;

const LIMITS: BatchLimits = BatchLimits {
    messages: 500,
    bytes: 1 << 20,
    prefetch: 1_000,
    patience: Duration::ZERO,
    rest: 4,
};

/// Deliveries that come at their times.
#[derive(Clone)]
struct Coming(Arc<Mutex<Schedule>>);

struct Schedule {
    now: Micros,
    deliveries: VecDeque<(Micros, Delivery)>,
}

impl Schedule {
    fn take(&mut self) -> Option<Delivery> {
        let is_here = self.deliveries.front().is_some_and(|(at, _)| *at <= self.now);
        if is_here { self.deliveries.pop_front().map(|(_, delivery)| delivery) } else { None }
    }
}

impl Coming {
    fn schedule(&self) -> MutexGuard<'_, Schedule> {
        self.0.lock().expect("no test panics while it holds this")
    }
}

impl Deliveries for Coming {
    async fn next(&mut self) -> Result<Option<Delivery>, BrokerError> {
        poll_fn(|_| match self.schedule().take() {
            Some(delivery) => Poll::Ready(Ok(Some(delivery))),
            None => Poll::Pending,
        })
        .await
    }

    fn buffered(&mut self) -> Result<Option<Delivery>, BrokerError> {
        Ok(self.schedule().take())
    }

    async fn cancel(&mut self) -> Result<(), BrokerError> {
        Ok(())
    }
}

impl Clock for Coming {
    fn now(&self) -> Micros {
        self.schedule().now
    }

    /// Sleeps on from one delivery to the next.
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Future<Output = ()> + Send>> {
        let (coming, ends) = (self.clone(), self.now() + duration);
        Box::pin(poll_fn(move |context| {
            let mut schedule = coming.schedule();
            let next = schedule.deliveries.front().map(|(at, _)| *at).filter(|at| *at < ends);
            schedule.now = next.unwrap_or(ends);
            if next.is_none() {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        }))
    }
}

/// An intake of messages that come after so many milliseconds, each announcing so many.
fn intake(limits: BatchLimits, coming: &[(i64, i64)]) -> (Intake<Coming>, stop::Stopper) {
    let delivery = |tag: usize, followers: i64| {
        let mut properties = Properties::of("stock.reserve.v1", format!("m{tag}"));
        if followers > 0 {
            properties.set_header(FOLLOWERS, followers);
        }
        Delivery {
            tag: tag as Tag,
            returns: 0,
            exchange: COMMANDS.to_owned(),
            routing_key: "stock.reserve.v1".to_owned(),
            properties,
            body: vec![],
        }
    };
    let deliveries = coming.iter().enumerate();
    let deliveries =
        deliveries.map(|(n, (ms, followers))| (Micros(ms * 1_000), delivery(n, *followers)));
    let schedule = Schedule { now: Micros(0), deliveries: deliveries.collect() };
    let coming = Coming(Arc::new(Mutex::new(schedule)));
    let (stopper, stop) = stop::channel();
    (Intake::new(coming.clone(), limits, Arc::new(coming), stop), stopper)
}

/// How many messages the next batch has, and at which millisecond it begins.
async fn batch(intake: &mut Intake<Coming>) -> (usize, i64) {
    let first = match intake.deliveries.buffered() {
        Ok(Some(first)) => first,
        _ => {
            let mut schedule = intake.deliveries.schedule();
            schedule.now = schedule.deliveries.front().expect("there is another").0;
            schedule.take().expect("it is here")
        }
    };
    let gathered = intake.gather(first).await.expect("nothing fails here");
    (gathered.len(), intake.clock.now().0 / 1_000)
}

#[tokio::test]
async fn nothing_is_waited_for_that_is_not_announced() {
    let (mut intake, _stopper) = intake(LIMITS, &[(0, 0), (0, 0), (1, 0)]);
    assert_eq!(batch(&mut intake).await, (2, 0));
    assert_eq!(batch(&mut intake).await, (1, 1));
}

#[tokio::test]
async fn what_was_decided_together_stays_together() {
    let (mut intake, _stopper) = intake(LIMITS, &[(0, 2), (4, 0), (8, 0), (9, 0)]);
    assert_eq!(batch(&mut intake).await, (3, 8));
    // A convoy that meets another one goes on with it.
    let (mut intake, _stopper) = self::intake(LIMITS, &[(0, 9), (1, 2), (2, 0), (3, 0), (4, 0)]);
    assert_eq!(batch(&mut intake).await, (4, 3));
}

#[tokio::test]
async fn what_was_announced_and_does_not_come_is_waited_for_no_longer_than_a_moment() {
    let (mut intake, _stopper) = intake(LIMITS, &[(0, 3), (4, 0), (20, 0)]);
    assert_eq!(batch(&mut intake).await, (2, 9));
    let liars: Vec<_> = (0..100).map(|n| (n, i64::MAX)).collect();
    let (mut intake, _stopper) = self::intake(LIMITS, &liars);
    assert_eq!(batch(&mut intake).await.1, 20, "a convoy without end");
}

#[tokio::test]
async fn a_lane_of_new_work_rests_as_its_batches_take_long() {
    let (mut intake, _stopper) =
        intake(LIMITS, &[(0, 0), (1, 0), (7, 0), (13, 0), (100, 0), (120, 0)]);
    assert_eq!(batch(&mut intake).await, (1, 0));
    intake.rest_after(Duration::from_millis(3));
    assert_eq!(batch(&mut intake).await, (2, 12));
    assert_eq!(batch(&mut intake).await, (1, 13), "it rested already");
    intake.rest_after(Duration::from_secs(3));
    assert_eq!(batch(&mut intake).await, (1, 100), "it rests for ever");
}

#[tokio::test]
async fn a_clock_that_is_put_back_holds_nobody_up() {
    const HOUR: i64 = 3_600_000;
    let (mut intake, _stopper) = intake(LIMITS, &[(0, 0), (20, 0), (60, 0)]);
    intake.deliveries.schedule().now = Micros(HOUR * 1_000);
    intake.rest_after(Duration::from_millis(3));
    intake.deliveries.schedule().now = Micros(0);
    assert_eq!(batch(&mut intake).await, (2, 50));
}

#[tokio::test]
async fn a_full_batch_and_a_stop_wait_for_nothing() {
    let limits = BatchLimits { messages: 2, ..LIMITS };
    let (mut intake, stopper) = intake(limits, &[(0, 1), (1, 1), (2, 1), (2, 1), (3, 9)]);
    intake.rest_after(Duration::from_secs(1));
    assert_eq!(batch(&mut intake).await, (2, 1));
    assert_eq!(batch(&mut intake).await, (2, 2));
    stopper.request();
    assert_eq!(batch(&mut intake).await, (1, 3));
}

#[tokio::test]
async fn nothing_comes_any_more_after_a_cancellation() {
    let (mut intake, _stopper) = intake(LIMITS, &[(0, 2)]);
    intake.cancel().await.expect("nothing fails here");
    assert_eq!(batch(&mut intake).await, (1, 0));
}

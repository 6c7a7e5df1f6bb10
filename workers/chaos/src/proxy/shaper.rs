//! When and in what pieces bytes go on, given what is wrong with their direction. Pure.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::toxics::Toxics;
use super::trap::Trap;
use super::units::Unit;

/// So much waits in the proxy at most; beyond it the sender has to wait.
const ROOM: usize = 256 << 10;
/// A narrow line passes so many pieces a second.
const PIECES: usize = 20;

/// What goes on.
#[derive(Debug)]
pub(crate) enum Item {
    /// Bytes, to be written at once.
    Bytes(Vec<u8>),
    /// A trap that springs now.
    Trap(Arc<Trap>),
    /// A unit to be heard now, before the last of its bytes goes on.
    Heard(Unit),
    /// The end of the stream.
    End,
}

/// What is on its way, in order.
pub(crate) struct Shaper {
    queue: VecDeque<(Instant, Item)>,
    waiting: usize,
    last: Instant,
    random: fastrand::Rng,
}

impl Shaper {
    /// Nothing is on its way; `seed` decides jitter and slices.
    pub(crate) fn new(seed: u64, now: Instant) -> Self {
        let random = fastrand::Rng::with_seed(seed);
        Self { queue: VecDeque::new(), waiting: 0, last: now, random }
    }

    /// Takes in what has come at `now`.
    pub(crate) fn push(&mut self, item: Item, now: Instant, toxics: &Toxics) {
        let arrival = now + self.delay(toxics);
        self.last = self.last.max(arrival);
        match item {
            Item::Bytes(bytes) => {
                self.waiting += bytes.len();
                self.push_pieces(&bytes, toxics);
            }
            Item::End => {
                self.last += toxics.slow_close;
                self.queue.push_back((self.last, Item::End));
            }
            item @ (Item::Trap(_) | Item::Heard(..)) => self.queue.push_back((self.last, item)),
        }
    }

    /// When the next item goes on.
    pub(crate) fn due(&self) -> Option<Instant> {
        self.queue.front().map(|(at, _)| *at)
    }

    /// The next item.
    pub(crate) fn pop(&mut self) -> Option<Item> {
        let (_, item) = self.queue.pop_front()?;
        if let Item::Bytes(bytes) = &item {
            self.waiting -= bytes.len();
        }
        Some(item)
    }

    /// Whether more may come.
    pub(crate) fn has_room(&self) -> bool {
        self.waiting < ROOM
    }

    /// Everything goes on at once: the line has been healed.
    pub(crate) fn hasten(&mut self, now: Instant) {
        for (at, _) in &mut self.queue {
            *at = (*at).min(now);
        }
        self.last = self.last.min(now);
    }

    fn delay(&mut self, toxics: &Toxics) -> Duration {
        let Some(latency) = toxics.latency else { return Duration::ZERO };
        let swing = latency.jitter.mul_f64(2.0 * self.random.f64());
        (latency.mean + swing).saturating_sub(latency.jitter)
    }

    fn push_pieces(&mut self, bytes: &[u8], toxics: &Toxics) {
        let mut rest = bytes;
        while !rest.is_empty() {
            let most = match (&toxics.slices, toxics.bandwidth) {
                (Some(slices), _) => self.random.usize(slices.bytes.clone()),
                (None, Some(rate)) => rate as usize / PIECES,
                (None, None) => rest.len(),
            };
            let (piece, others) = rest.split_at(most.clamp(1, rest.len()));
            if let Some(rate) = toxics.bandwidth {
                self.last += Duration::from_secs_f64(piece.len() as f64 / f64::from(rate.max(1)));
            }
            self.queue.push_back((self.last, Item::Bytes(piece.to_vec())));
            if let Some(slices) = &toxics.slices {
                self.last += slices.gap;
            }
            rest = others;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: Duration = Duration::from_millis(1);

    /// What comes out: when, after the start, and how many bytes.
    fn shaped(toxics: &Toxics, pushes: &[(Duration, usize)]) -> Vec<(Duration, usize)> {
        let start = Instant::now();
        let mut shaper = Shaper::new(1, start);
        for (after, length) in pushes {
            shaper.push(Item::Bytes(vec![0; *length]), start + *after, toxics);
        }
        let mut out = Vec::new();
        while let (Some(due), Some(Item::Bytes(bytes))) = (shaper.due(), shaper.pop()) {
            out.push((due - start, bytes.len()));
        }
        assert!(shaper.has_room());
        out
    }

    #[test]
    fn a_healthy_line_changes_nothing() {
        let pushes = [(MS, 5), (2 * MS, 70_000)];
        assert_eq!(shaped(&Toxics::default(), &pushes), pushes);
    }

    #[test]
    fn latency_is_within_its_jitter_and_keeps_the_order() {
        let pushes: Vec<_> = (0..200).map(|n| (n * 300 * MS, 3)).collect();
        let out = shaped(&Toxics::late(200 * MS, 100 * MS), &pushes);
        let delays: Vec<_> = out.iter().zip(&pushes).map(|(out, push)| out.0 - push.0).collect();
        assert!(delays.iter().all(|delay| (100 * MS..=300 * MS).contains(delay)), "{delays:?}");
        assert!(delays.iter().min().unwrap() < &(130 * MS));
        assert!(delays.iter().max().unwrap() > &(270 * MS));
        let dense: Vec<_> = (0..200).map(|n| (n * MS, 3)).collect();
        let out = shaped(&Toxics::late(200 * MS, 100 * MS), &dense);
        assert!(out.is_sorted_by_key(|(at, _)| *at));
    }

    #[test]
    fn a_narrow_line_takes_its_time_in_small_pieces() {
        let out = shaped(&Toxics::narrow(10_000), &[(Duration::ZERO, 20_000)]);
        let (last, _) = out[out.len() - 1];
        assert!((1_999 * MS..2_001 * MS).contains(&last), "{last:?}");
        assert!(out.iter().all(|(_, bytes)| *bytes <= 500));
        assert_eq!(out.iter().map(|(_, bytes)| bytes).sum::<usize>(), 20_000);
    }

    #[test]
    fn slices_have_every_size_that_is_allowed() {
        let out = shaped(&Toxics::sliced(1..=7, MS), &[(Duration::ZERO, 4_000)]);
        let sizes: std::collections::BTreeSet<_> = out.iter().map(|(_, bytes)| *bytes).collect();
        assert_eq!(sizes.into_iter().collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7]);
        assert!(out.windows(2).all(|pair| pair[1].0 - pair[0].0 == MS));
    }

    #[test]
    fn the_same_seed_gives_the_same_line() {
        let run = || shaped(&Toxics::sliced(1..=7, MS), &[(Duration::ZERO, 500)]);
        assert_eq!(run(), run());
    }

    #[test]
    fn a_healed_line_lets_everything_go_at_once() {
        let start = Instant::now();
        let mut shaper = Shaper::new(1, start);
        let late = Toxics::late(1_000 * MS, Duration::ZERO);
        shaper.push(Item::Bytes(vec![0; ROOM]), start, &late);
        assert!(!shaper.has_room());
        shaper.hasten(start + MS);
        assert_eq!(shaper.due(), Some(start + MS));
    }
}

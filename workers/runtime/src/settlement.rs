//! Acks never run ahead: which deliveries of a channel may be acknowledged.

use std::collections::BTreeSet;

use crate::message::Tag;

/// Owns the one rule of acknowledging: a multiple ack reaches up to the highest tag below which
/// every delivery is settled, and no further.
#[derive(Debug, Default)]
pub struct Settlement {
    acked: Tag,
    settled: BTreeSet<Tag>,
}

impl Settlement {
    /// Notes that `tag` is settled: done, in the ladder, or in the dead letters, each confirmed.
    pub fn settle(&mut self, tag: Tag) {
        if tag > self.acked {
            self.settled.insert(tag);
        }
    }

    /// The tag to acknowledge up to, if there is anything new to acknowledge.
    pub fn take_ackable(&mut self) -> Option<Tag> {
        let before = self.acked;
        while self.settled.first() == Some(&(self.acked + 1)) {
            self.settled.pop_first();
            self.acked += 1;
        }
        (self.acked > before).then_some(self.acked)
    }

    /// How many deliveries [`Settlement::take_ackable`] would settle.
    pub fn ackable(&self) -> usize {
        let tags = self.settled.iter().zip(self.acked + 1..);
        tags.take_while(|(settled, next)| **settled == *next).count()
    }

    /// How many deliveries are settled and wait for an earlier one.
    pub fn waiting(&self) -> usize {
        self.settled.len()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_gap_holds_back_everything_behind_it() {
        let mut settlement = Settlement::default();
        settlement.settle(2);
        settlement.settle(3);
        assert_eq!((settlement.ackable(), settlement.take_ackable()), (0, None));
        settlement.settle(1);
        assert_eq!((settlement.ackable(), settlement.take_ackable()), (3, Some(3)));
        assert_eq!(settlement.take_ackable(), None);
    }

    proptest! {
        #[test]
        fn no_unsettled_delivery_is_ever_acknowledged(
            order in Just((1..=64u64).collect::<Vec<_>>()).prop_shuffle(),
            asks in proptest::collection::vec(any::<bool>(), 64),
        ) {
            let mut settlement = Settlement::default();
            let mut settled = BTreeSet::new();
            let mut acked = 0;
            for (tag, ask) in order.into_iter().zip(asks) {
                settlement.settle(tag);
                settled.insert(tag);
                if ask && let Some(upto) = settlement.take_ackable() {
                    prop_assert!(upto > acked);
                    acked = upto;
                    prop_assert!((1..=acked).all(|tag| settled.contains(&tag)));
                }
            }
            settlement.take_ackable();
            prop_assert_eq!(settlement.waiting(), 0);
        }
    }
}

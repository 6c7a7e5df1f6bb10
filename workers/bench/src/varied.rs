//! What is varied, one thing at a time, and by how much.

use serde::{Deserialize, Serialize};

use crate::orders::Shape;
use crate::sweep::Variant;

/// What a sweep varies.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Varied {
    /// How many orders are in the databases already.
    Growth,
    /// How many workers a service has.
    Replicas,
    /// Over how many articles the orders are spread.
    Articles,
    /// How many lines an order has.
    Lines,
    /// How many messages a batch has at most.
    Batches,
}

impl Varied {
    /// The systems that are compared; `old` is how many old orders there are, besides none.
    pub fn variants(self, old: &[u64]) -> Vec<Variant> {
        let shaped = |at, lines, articles| Variant {
            shape: Shape { lines, articles },
            ..Variant::usual(at)
        };
        match self {
            Self::Growth => {
                let with = |count: &u64| Variant { old_orders: *count, ..Variant::usual(*count) };
                [Variant::usual(0)].into_iter().chain(old.iter().map(with)).collect()
            }
            Self::Replicas => [1, 2, 4]
                .map(|replicas| Variant { replicas, ..Variant::usual(replicas as u64) })
                .into(),
            Self::Articles => {
                [1, 100, 10_000].map(|articles| shaped(articles as u64, 1, articles)).into()
            }
            // Ten times as many articles as the longest order has lines.
            Self::Lines => {
                [1, 10, 100, 1_000].map(|lines| shaped(lines as u64, lines, 10_000)).into()
            }
            Self::Batches => [1, 10, 50, 200, 500]
                .map(|batch| Variant { batch, ..Variant::usual(batch as u64) })
                .into(),
        }
    }
}

//! Real faults on real nodes: kills, cuts, floods, and the verdict of the audit afterwards.

pub mod drills;
pub mod feed;
pub mod figures;
pub mod load;
pub mod need;
pub mod proxy;
pub mod schedule;
pub mod story;
pub mod target;
pub mod verdict;

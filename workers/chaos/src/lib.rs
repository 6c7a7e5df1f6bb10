//! Real faults on real nodes: kills, cuts, floods, and the verdict of the audit afterwards.

pub mod drills;
pub mod proxy;

//! Traces with real processes: one for each order, and none where none is asked for.

mod off;
mod order;

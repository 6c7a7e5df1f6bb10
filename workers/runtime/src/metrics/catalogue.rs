//! Every metric of a worker: name, unit, labels and meaning. The page in `docs` follows from it.
//!
//! Labels come from closed sets: queues, kinds, outcomes, reasons. Never ids, and never what a
//! sender wrote.

mod flow;
mod sets;
mod state;

use orderly_contracts::routes::Party;

use super::metric::Metric;

pub use flow::*;
pub use state::*;

/// All workers.
pub const EVERY: [Party; 3] = crate::topology::WORKERS;

/// Every metric, in the order of the page.
pub static CATALOGUE: &[&Metric] = &[
    &MESSAGES,
    &DUPLICATES,
    &RETRIES,
    &DEAD_LETTERS,
    &BATCH_MESSAGES,
    &BATCH_SPLITS,
    &CONFLICTS,
    &QUEUE_SECONDS,
    &TRANSACTION_SECONDS,
    &CONFIRM_SECONDS,
    &CRITICAL_SECONDS,
    &PUBLISHED,
    &SWEPT,
    &TIMERS,
    &EFFECTS,
    &EFFECT_SECONDS,
    &ORDERS_PLACED,
    &ORDERS_ENDED,
    &ORDER_SECONDS,
    &MONEY_CHARGED,
    &MONEY_REFUNDED,
    &IN_PROGRESS,
    &ORDERS_OPEN,
    &ORDERS_OLDEST,
    &DEADLINES_OVERDUE,
    &DEADLINES_OLDEST,
    &OUTPUTS_WAITING,
    &OUTPUTS_OLDEST,
    &DEAD_LETTERS_OPEN,
    &OUT_OF_STOCK,
    &CENSUS_TIMESTAMP,
    &READY,
    &PAUSED,
    &BREAKER_OPEN,
    &SESSIONS,
    &BROKER_CONNECTED,
    &BROKER_BLOCKED,
    &BROKER_BLOCKED_SECONDS,
    &CONNECTIONS,
    &CONNECTIONS_MAX,
    &LOG_LINES_DROPPED,
    &TRACE_SPANS,
    &BUILD_INFO,
    &PROCESS_CPU,
    &PROCESS_RESIDENT,
    &PROCESS_VIRTUAL,
    &PROCESS_VIRTUAL_MAX,
    &PROCESS_START,
    &PROCESS_FDS,
    &PROCESS_FDS_MAX,
    &PROCESS_THREADS,
];

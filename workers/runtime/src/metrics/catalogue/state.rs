//! How things stand: with the orders, the database, the broker, and the process itself.

use super::sets::*;
use crate::metrics::metric::Metric;

/// Work in progress and moving.
pub static IN_PROGRESS: Metric = gauge(
    "orderly_in_progress",
    "orders",
    &[],
    "Orders in progress and moving, which gate new work. From the database, ten times a second.",
)
.only(&ORDER);

/// Open orders.
pub static ORDERS_OPEN: Metric = gauge(
    "orderly_orders_open",
    "orders",
    &[OPEN_STATUS],
    "Orders that have not ended, up to 10,000 in all. From the database.",
)
.only(&ORDER);

/// How long ago the oldest of them was placed.
pub static ORDERS_OLDEST: Metric = gauge(
    "orderly_orders_oldest_seconds",
    "seconds",
    &[OPEN_STATUS],
    "How long ago the oldest of these orders was placed; 0 if there is none. From the database.",
)
.only(&ORDER);

/// Deadlines that are due.
pub static DEADLINES_OVERDUE: Metric = gauge(
    "orderly_deadlines_overdue",
    "timers",
    &[],
    "Deadlines that are due and have not fired, up to 10,000. From the database.",
);

/// By how much the oldest is late.
pub static DEADLINES_OLDEST: Metric = gauge(
    "orderly_deadlines_oldest_overdue_seconds",
    "seconds",
    &[],
    "By how much the longest overdue deadline is late; 0 if there is none. From the database.",
);

/// Batches whose outputs may not be out.
pub static OUTPUTS_WAITING: Metric = gauge(
    "orderly_outputs_waiting",
    "batches",
    &[],
    "Batches whose stored outputs are not known to be out, up to 10,000. From the database.",
);

/// How old the oldest of them is.
pub static OUTPUTS_OLDEST: Metric = gauge(
    "orderly_outputs_oldest_seconds",
    "seconds",
    &[],
    "How long the oldest of these batches has waited; 0 if there is none. A sweep publishes what is \
     older than 30 s. From the database.",
);

/// Open dead letters.
pub static DEAD_LETTERS_OPEN: Metric = gauge(
    "orderly_dead_letters_open",
    "letters",
    &[REASON],
    "Dead letters that are open, up to 10,000 for each reason. From the database.",
);

/// Articles with nothing left.
pub static OUT_OF_STOCK: Metric = gauge(
    "orderly_articles_out_of_stock",
    "articles",
    &[],
    "Articles of which nothing is left to reserve. From the database, once a minute.",
)
.only(&STOCK);

/// When the database was asked.
pub static CENSUS_TIMESTAMP: Metric = gauge(
    "orderly_census_timestamp_seconds",
    "seconds",
    &[],
    "When the gauges that come from the database were last read, in seconds since 1970; 0 if never.",
);

/// Whether the worker is ready.
pub static READY: Metric =
    gauge("orderly_ready", "yes or no", &[], "1 while the worker is ready, else 0.");

/// Whether it is paused.
pub static PAUSED: Metric =
    gauge("orderly_paused", "yes or no", &[], "1 while an operator has paused the worker, else 0.");

/// Whether a queue is left alone.
pub static BREAKER_OPEN: Metric = gauge(
    "orderly_breaker_open",
    "yes or no",
    &[QUEUE],
    "1 while a queue is left alone because too much of it fails, else 0.",
);

/// Sessions begun.
pub static SESSIONS: Metric = counter(
    "orderly_sessions_total",
    "sessions",
    &[],
    "Sessions begun with broker and database. Each but the first is a new beginning after trouble.",
);

/// Whether there is a session.
pub static BROKER_CONNECTED: Metric = gauge(
    "orderly_broker_connected",
    "yes or no",
    &[],
    "1 while a session with broker and database lasts, else 0.",
);

/// Whether the broker blocks.
pub static BROKER_BLOCKED: Metric = gauge(
    "orderly_broker_blocked",
    "yes or no",
    &[],
    "1 while the broker blocks publishers, short of memory or disk, else 0.",
);

/// How long the broker has blocked.
pub static BROKER_BLOCKED_SECONDS: Metric = counter(
    "orderly_broker_blocked_seconds_total",
    "seconds",
    &[],
    "For how long the broker has blocked publishers, in whole seconds.",
);

/// Connections of the pool.
pub static CONNECTIONS: Metric = gauge(
    "orderly_database_connections",
    "connections",
    &[POOL_STATE],
    "Connections of this process to its database, busy and idle, and tasks waiting for one.",
);

/// The most connections.
pub static CONNECTIONS_MAX: Metric = gauge(
    "orderly_database_connections_max",
    "connections",
    &[],
    "The most connections of this process to its database.",
);

/// Lines of the log that are missing.
pub static LOG_LINES_DROPPED: Metric = counter(
    "orderly_log_lines_dropped_total",
    "lines",
    &[],
    "Lines of the log that nobody read in time.",
);

/// Spans of traces.
pub static TRACE_SPANS: Metric = counter(
    "orderly_trace_spans_total",
    "spans",
    &[SPAN_OUTCOME],
    "Spans of traces, by what became of them. None are made unless somebody asks for them.",
);

/// The build.
pub static BUILD_INFO: Metric = gauge(
    "orderly_build_info",
    "build",
    &[VERSION],
    "Always 1; the labels tell worker and version.",
);

/// Processor time.
pub static PROCESS_CPU: Metric = counter(
    "process_cpu_seconds_total",
    "seconds",
    &[],
    "Processor time of the process, in whole seconds.",
);

/// Resident memory.
pub static PROCESS_RESIDENT: Metric =
    gauge("process_resident_memory_bytes", "bytes", &[], "Resident memory of the process.");

/// Virtual memory.
pub static PROCESS_VIRTUAL: Metric =
    gauge("process_virtual_memory_bytes", "bytes", &[], "Virtual memory of the process.");

/// The most virtual memory.
pub static PROCESS_VIRTUAL_MAX: Metric = gauge(
    "process_virtual_memory_max_bytes",
    "bytes",
    &[],
    "The most virtual memory that the process may have.",
);

/// When the process started.
pub static PROCESS_START: Metric = gauge(
    "process_start_time_seconds",
    "seconds",
    &[],
    "When the process started, in seconds since 1970.",
);

/// Open file descriptors.
pub static PROCESS_FDS: Metric =
    gauge("process_open_fds", "files", &[], "Open file descriptors of the process.");

/// The most file descriptors.
pub static PROCESS_FDS_MAX: Metric =
    gauge("process_max_fds", "files", &[], "The most file descriptors the process may open.");

/// Threads.
pub static PROCESS_THREADS: Metric =
    gauge("process_threads", "threads", &[], "Threads of the process.");

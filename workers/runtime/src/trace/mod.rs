//! Traces: which message led to which, told by OpenTelemetry's conventions to whoever collects them.
//!
//! The ids of spans are derived from the ids of messages, as those are from what caused them. So a
//! decision stays pure, an output is the same word for word whenever it is sent, and whoever
//! publishes it, be it another process after a crash, knows its span and the parent of that. A trace
//! that begins here is named by its order, so that a deadline joins it without anything being stored.
//!
//! Without the variables of OpenTelemetry nothing of this happens: a sender's context is handed on
//! as it is.

pub mod context;
mod export;
mod otlp;
mod post;
pub mod sampler;
pub mod settings;
pub mod span;
pub mod tracer;

use std::sync::OnceLock;
use std::time::Duration;

use orderly_contracts::envelope::{TRACEPARENT, TRACESTATE};

use crate::domain::Context;
use crate::message::Properties;
use export::Exporter;
use settings::Settings;
use span::Span;
use tracer::Tracer;

/// What this process follows and exports, once it is asked to.
static TRACING: OnceLock<(Tracer, Exporter)> = OnceLock::new();

/// Begins to export what this process does under `name`, such as `order`; an error says what of the
/// settings can't be used.
pub fn begin(name: &str, settings: Settings) -> Result<(), String> {
    let tracer = Tracer::new(name, settings.sampler);
    let exporter = Exporter::start(settings)?;
    TRACING.get_or_init(|| (tracer, exporter));
    Ok(())
}

/// Ends the export: waits until every span is out, though no longer than `limit`. How many were lost,
/// then or before.
pub fn end(limit: Duration) -> usize {
    TRACING.get().map_or(0, |(_, exporter)| exporter.end(limit))
}

/// Who gives messages their place in traces, if traces are asked for.
pub fn tracer() -> Option<&'static Tracer> {
    TRACING.get().map(|(tracer, _)| tracer)
}

/// Takes the input that `cause` brought into its trace, or into a new one, named by what it is
/// `about`. That one is noted in `properties`, so that a copy of the message stays in it.
pub fn follow(properties: &mut Properties, context: &mut Context, cause: &str, about: &str) {
    if let Some(begun) = tracer().and_then(|tracer| tracer.enter(context, cause, about)) {
        properties.set_header(TRACEPARENT, begun.to_string());
        properties.remove_header(TRACESTATE);
    }
}

/// Hands over what `tell` makes of what happened, without waiting; where no traces are asked for, it
/// is not even called.
pub fn record<S: IntoIterator<Item = Span>>(tell: impl FnOnce(&'static Tracer) -> S) {
    if let Some((tracer, exporter)) = TRACING.get() {
        exporter.push(tell(tracer));
    }
}

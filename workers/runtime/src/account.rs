//! The account of what was done: a line of the log for a batch and for each failure, and spans.
//!
//! Ids are fields of their own, so that a line is found by them. What stands in a body is never told:
//! where an explanation may quote it, the dead letter has it.

use orderly_contracts::Reason;
use uuid::Uuid;

use crate::batch::Candidate;
use crate::domain::Domain;
use crate::fold::Fate;
use crate::letter::Letter;
use crate::message::{Delivery, Properties};
use crate::trace;
use crate::trace::context::{TraceId, TraceParent};
use crate::trace::span::Span;
use crate::trace::tracer::{End, Period, Tracer};

/// A batch that was committed, or held nothing new.
pub(crate) struct Account<'a, D: Domain> {
    pub(crate) queue: &'static str,
    pub(crate) batch: Uuid,
    pub(crate) candidates: &'a [Candidate<D>],
    /// The new ones among them, by index.
    pub(crate) fresh: &'a [usize],
    /// How each of these ended.
    pub(crate) fates: &'a [Fate],
    /// How many messages are to be published.
    pub(crate) outputs: usize,
    /// When the transaction began, and when it was over.
    pub(crate) period: Period,
}

impl<D: Domain> Account<'_, D> {
    /// Gives it to the log and, if they are asked for, to the traces.
    pub(crate) fn give(&self) {
        let count = |is: fn(&Fate) -> bool| self.fates.iter().filter(|fate| is(fate)).count();
        let (began, ended) = self.period;
        tracing::info!(
            queue = self.queue,
            batch = %self.batch,
            messages = self.candidates.len(),
            done = count(|fate| matches!(fate, Fate::Done)),
            rejected = count(|fate| matches!(fate, Fate::Rejected)),
            failed = count(|fate| matches!(fate, Fate::Retry(_) | Fate::Dead(_))),
            known = self.candidates.len() - self.fresh.len(),
            outputs = self.outputs,
            duration_ms = (ended - began).as_secs_f64() * 1_000.0,
            "batch done"
        );
        if tracing::enabled!(tracing::Level::DEBUG) {
            self.name_each();
        }
        trace::record(|tracer| self.spans(tracer));
    }

    fn name_each(&self) {
        let mut fates = vec!["known"; self.candidates.len()];
        for (index, fate) in self.fresh.iter().zip(self.fates) {
            fates[*index] = match fate {
                Fate::Done => "done",
                Fate::Rejected => "rejected",
                Fate::Retry(_) | Fate::Dead(_) => "failed",
            };
        }
        for (Candidate { content, .. }, outcome) in self.candidates.iter().zip(fates) {
            let arrival = &content.arrival;
            tracing::debug!(
                queue = self.queue,
                batch = %self.batch,
                message.id = arrival.cause.id,
                correlation = D::about(&arrival.input),
                kind = arrival.kind,
                trace_id = arrival.context.trace.map(|place| display(place.trace)),
                outcome,
                "message done"
            );
        }
    }

    /// What failed has a span elsewhere: it goes another way.
    fn spans(&self, tracer: &Tracer) -> Vec<Span> {
        let span = |(index, fate): (&usize, &Fate)| {
            let end = match fate {
                Fate::Done => End::Done,
                Fate::Rejected => End::Rejected,
                Fate::Retry(_) | Fate::Dead(_) => return None,
            };
            let Candidate { delivery, content } = &self.candidates[*index];
            let about = D::about(&content.arrival.input);
            let period = (content.arrival.at, self.period.1);
            tracer.processed(delivery, self.queue, Some(about), end, period)
        };
        let mut spans: Vec<_> = self.fresh.iter().zip(self.fates).filter_map(span).collect();
        let messages = self.fresh.len();
        spans.extend(tracer.transacted(self.queue, self.batch, messages, &spans, self.period));
        spans
    }
}

/// A call to the outside that a message from `queue` asked for was answered.
pub(crate) fn answered(delivery: &Delivery, queue: &'static str, period: Period) {
    let Named { id, about, trace } = Named::of(&delivery.properties);
    tracing::debug!(
        queue,
        message.id = id,
        correlation = about,
        trace_id = trace.map(display),
        duration_ms = (period.1 - period.0).as_secs_f64() * 1_000.0,
        "call answered"
    );
    trace::record(|tracer| tracer.processed(delivery, queue, None, End::Done, period));
}

/// A message from `queue` goes to the retry ladder.
pub(crate) fn postponed(delivery: &Delivery, queue: &'static str, period: Period, why: &str) {
    let Named { id, about, trace } = Named::of(&delivery.properties);
    tracing::warn!(
        queue,
        message.id = id,
        correlation = about,
        trace_id = trace.map(display),
        why,
        "tried again later"
    );
    trace::record(|tracer| tracer.processed(delivery, queue, None, End::Postponed, period));
}

/// A message from `queue` becomes a dead letter.
pub(crate) fn given_up(delivery: &Delivery, queue: &'static str, letter: &Letter, period: Period) {
    let Named { id, about, trace } = Named::of(&delivery.properties);
    let explanation = &letter.explanation;
    let why = match explanation.reason {
        // They quote what is wrong, out of the body.
        Reason::InvalidContent | Reason::InvalidJson | Reason::Poison => None,
        _ => Some(&*explanation.text),
    };
    tracing::warn!(
        queue,
        message.id = id,
        correlation = about,
        trace_id = trace.map(display),
        letter.id = %explanation.id,
        reason = explanation.reason.code(),
        why,
        "message given up"
    );
    trace::record(|tracer| {
        let end = End::Dead(explanation.reason.code());
        tracer.processed(delivery, queue, None, end, period)
    });
}

/// What a message calls itself, whether it is true or not.
struct Named<'a> {
    id: Option<&'a str>,
    about: Option<&'a str>,
    trace: Option<TraceId>,
}

impl<'a> Named<'a> {
    fn of(properties: &'a Properties) -> Self {
        Self {
            id: properties.message_id.as_deref(),
            about: properties.correlation_id.as_deref(),
            trace: TraceParent::of(properties).map(|place| place.trace),
        }
    }
}

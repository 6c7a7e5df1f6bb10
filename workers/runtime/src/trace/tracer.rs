//! Gives messages their place in traces, and makes spans of what happened to them. Pure.

use orderly_contracts::envelope::{CAUSATION_ID, TRACEPARENT, TRACESTATE};
use orderly_contracts::routes::route;
use uuid::Uuid;

use super::context::{SpanId, TraceId, TraceParent};
use super::sampler::Sampler;
use super::span::{Action, Carried, Span};
use crate::clock::Micros;
use crate::domain::{Context, Timer};
use crate::fold::timer_cause;
use crate::message::{Delivery, Outgoing, Properties};
use crate::retry::Past;

/// From when to when something took place.
pub type Period = (Micros, Micros);

/// How the processing of a message ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// It had its effect.
    Done,
    /// The business said no.
    Rejected,
    /// It waits in the retry ladder.
    Postponed,
    /// It was given up, for the reason with this code.
    Dead(&'static str),
}

/// One process that follows traces.
#[derive(Debug)]
pub struct Tracer {
    name: String,
    sampler: Sampler,
}

impl Tracer {
    /// Whoever calls himself `name`, such as `order`, and keeps what `sampler` says.
    pub fn new(name: &str, sampler: Sampler) -> Self {
        Self { name: name.to_owned(), sampler }
    }

    /// Decides whether the trace of an input is followed here. Where it has none, it gets one, named
    /// by what it is `about`, which begins with processing `cause`: a copy of the message has to
    /// carry that.
    pub fn enter(&self, context: &mut Context, cause: &str, about: &str) -> Option<TraceParent> {
        let sent = context.trace;
        let own = || TraceParent::new(TraceId::of(about), self.processing(cause), false);
        let place = sent.unwrap_or_else(own);
        context.is_followed = self.sampler.keeps(place.trace, sent.map(TraceParent::is_sampled));
        let place = place.sampled(context.is_followed);
        context.trace = Some(place);
        sent.is_none().then_some(place)
    }

    /// Gives a client's message its place: in the trace that its header names, else in one named by
    /// what it is `about`. The span that led to it, if there is one.
    pub fn embark(&self, properties: &mut Properties, about: &str) -> Option<SpanId> {
        let publishing =
            SpanId::of_publishing(properties.message_id.as_deref().unwrap_or_default());
        let sent = TraceParent::of(properties);
        if sent.is_none() {
            properties.remove_header(TRACESTATE);
        }
        let place = sent.unwrap_or_else(|| TraceParent::new(TraceId::of(about), publishing, false));
        let is_kept = self.sampler.keeps(place.trace, sent.map(TraceParent::is_sampled));
        let place = if is_kept { place.at(publishing) } else { place };
        properties.set_header(TRACEPARENT, place.sampled(is_kept).to_string());
        sent.map(|sent| sent.span)
    }

    /// The span of processing a delivery from `queue` that is `about` something, if it is followed.
    pub fn processed(
        &self,
        delivery: &Delivery,
        queue: &'static str,
        about: Option<&str>,
        end: End,
        (began, ended): Period,
    ) -> Option<Span> {
        let properties = &delivery.properties;
        let sent = TraceParent::of(properties)?;
        if !self.sampler.keeps(sent.trace, Some(sent.is_sampled())) {
            return None;
        }
        let id = properties.message_id.as_deref().unwrap_or_default();
        let last = self.processing(id);
        let (outcome, is_last, error) = match end {
            End::Done => ("done", true, None),
            End::Rejected => ("rejected", true, None),
            End::Postponed => ("postponed", false, Some("postponed")),
            // What is replayed comes to another end; but a trace that begins here needs its beginning.
            End::Dead(reason) => ("dead", sent.span == last, Some(reason)),
        };
        let attempt = || SpanId::of_attempt(&self.name, id, began.0);
        let span = if is_last { last } else { attempt() };
        let about = about.map(str::to_owned).or_else(|| properties.correlation_id.clone());
        let action = Action::Process {
            queue,
            message: Carried {
                exchange: delivery.exchange.clone(),
                routing_key: delivery.routing_key.clone(),
                id: id.to_owned(),
                about,
                bytes: delivery.body.len(),
            },
            outcome,
            attempts: Past::of(delivery).attempts,
        };
        Some(Span {
            place: sent.at(span).sampled(true),
            parent: (span != sent.span).then_some(sent.span),
            state: properties.text_header(TRACESTATE).map(str::to_owned),
            action,
            began,
            ended,
            error,
            links: vec![],
        })
    }

    /// The span of a batch, with links to what its messages came with: `parts` are their spans.
    /// Nothing if none of them is followed.
    pub fn transacted(
        &self,
        queue: &'static str,
        batch: Uuid,
        messages: usize,
        parts: &[Span],
        (began, ended): Period,
    ) -> Option<Span> {
        let links = parts.iter().map(|part| part.place.at(part.parent.unwrap_or(part.place.span)));
        let links: Vec<_> = links.collect();
        (!links.is_empty()).then(|| Span {
            place: TraceParent::new(TraceId::of_batch(batch), SpanId::of_batch(batch), true),
            parent: None,
            state: None,
            action: Action::Transact { queue, batch, messages },
            began,
            ended,
            error: None,
            links,
        })
    }

    /// The span of a timer that was decided on, if it is followed.
    pub fn fired(&self, timer: &Timer, context: &Context, (began, ended): Period) -> Option<Span> {
        let place = context.trace.filter(|_| context.is_followed)?;
        Some(Span {
            place: place.at(self.processing(&timer_cause(timer).id)),
            parent: None,
            state: None,
            action: Action::Fire { owner: timer.owner.clone(), step: timer.step.clone() },
            began,
            ended,
            error: None,
            links: vec![],
        })
    }

    /// The spans of publishing messages of ours, those that are followed. A message tells by itself
    /// where it belongs, so it does not matter who decided on it, and when.
    pub fn published(&self, messages: &[Outgoing], period: Period) -> Vec<Span> {
        let span = |message: &Outgoing| {
            let cause = message.properties.text_header(CAUSATION_ID)?;
            published(message, Some(self.processing(cause)), period)
        };
        messages.iter().filter_map(span).collect()
    }

    fn processing(&self, cause: &str) -> SpanId {
        SpanId::of_processing(&self.name, cause)
    }
}

/// The span of publishing `message`, to which `parent` led. Nothing if its spans are not wanted, or
/// if its place is another's: that of the sender, where it is a copy on the retry ladder.
pub fn published(message: &Outgoing, parent: Option<SpanId>, period: Period) -> Option<Span> {
    let properties = &message.properties;
    let place = TraceParent::of(properties)?;
    let is_copy = route(&message.routing_key).is_none();
    let is_own = || place.span == SpanId::of_publishing(message.id());
    if is_copy || !place.is_sampled() || !is_own() {
        return None;
    }
    Some(Span {
        place,
        parent,
        state: properties.text_header(TRACESTATE).map(str::to_owned),
        action: Action::Publish(Carried {
            exchange: message.exchange.clone(),
            routing_key: message.routing_key.clone(),
            id: message.id().to_owned(),
            about: properties.correlation_id.clone(),
            bytes: message.body.len(),
        }),
        began: period.0,
        ended: period.1,
        error: None,
        links: vec![],
    })
}

#[cfg(test)]
mod tests {
    use orderly_contracts::routes::{COMMANDS, Party};

    use super::*;
    use crate::domain::{Arrival, Cause, Output};
    use crate::fold::compose;

    const SENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
    const NOW: Period = (Micros(1), Micros(2));

    fn tracer(sampler: &str) -> Tracer {
        Tracer::new("order", Sampler::named(sampler, 1.0).unwrap())
    }

    fn placed(traceparent: Option<&str>) -> Outgoing {
        let mut properties = Properties::of("order.place.v1", "m");
        properties.correlation_id = Some("o".to_owned());
        properties.set_header(TRACESTATE, "shop=1");
        if let Some(traceparent) = traceparent {
            properties.set_header(TRACEPARENT, traceparent);
        }
        Outgoing {
            exchange: COMMANDS.to_owned(),
            routing_key: "order.place.v1".to_owned(),
            mandatory: true,
            properties,
            body: vec![],
        }
    }

    fn delivered(message: &Outgoing) -> Delivery {
        Delivery {
            tag: 1,
            returns: 0,
            exchange: message.exchange.clone(),
            routing_key: message.routing_key.clone(),
            properties: message.properties.clone(),
            body: vec![],
        }
    }

    /// What the order worker sends because of `delivery`, which it follows if `tracer` says so.
    fn follow_up(tracer: &Tracer, delivery: &mut Delivery) -> Outgoing {
        let mut context =
            Context { trace: TraceParent::of(&delivery.properties), ..Context::default() };
        if let Some(begun) = tracer.enter(&mut context, "m", "o") {
            delivery.properties.set_header(TRACEPARENT, begun.to_string());
        }
        let cause = Cause { source: "client", id: "m".to_owned() };
        let arrival = Arrival { cause, kind: "order.place.v1", at: Micros(1), context, input: () };
        let body = vec![];
        let output = Output { kind: "stock.reserve.v1", correlation: "o".to_owned(), body };
        compose(Party::Order, &arrival, 0, output)
    }

    #[test]
    fn what_is_published_and_processed_and_follows_is_one_chain() {
        let tracer = tracer("parentbased_always_on");
        for sent in [None, Some(SENT)] {
            let mut message = placed(sent);
            let led = tracer.embark(&mut message.properties, "o");
            assert_eq!(message.properties.header(TRACESTATE).is_some(), sent.is_some());
            let first = published(&message, led, NOW).unwrap();
            assert_eq!(first.parent, sent.map(|sent| TraceParent::parse(sent).unwrap().span));
            let mut delivery = delivered(&message);
            let next = follow_up(&tracer, &mut delivery);
            let process = tracer.processed(&delivery, "order.new", Some("o"), End::Done, NOW);
            let process = process.unwrap();
            assert_eq!(process.parent, Some(first.place.span));
            let [then] = &tracer.published(std::slice::from_ref(&next), NOW)[..] else {
                panic!("it is not followed");
            };
            assert_eq!(then.parent, Some(process.place.span));
            assert_eq!(then.place.trace, first.place.trace);
            // Decided again, it is the same to the letter.
            assert_eq!(follow_up(&tracer, &mut delivery), next);
        }
    }

    #[test]
    fn a_trace_that_begins_here_has_its_beginning_whatever_comes_of_the_message() {
        let tracer = tracer("always_on");
        let mut delivery = delivered(&placed(None));
        follow_up(&tracer, &mut delivery);
        let span = |end| tracer.processed(&delivery, "order.new", None, end, NOW).unwrap();
        assert_eq!(span(End::Done).parent, None);
        assert_eq!(span(End::Dead("poison")).parent, None);
        assert_eq!(span(End::Postponed).parent, Some(span(End::Done).place.span));
        // A copy on the ladder says what the first one said.
        assert_eq!(TraceParent::of(&delivery.properties).unwrap().trace, TraceId::of("o"));
    }

    #[test]
    fn what_is_not_wanted_has_no_spans_and_is_handed_on() {
        let unwanted = SENT.replace("-01", "-00");
        let mut delivery = delivered(&placed(Some(&unwanted)));
        let obedient = tracer("parentbased_always_on");
        let next = follow_up(&obedient, &mut delivery);
        assert_eq!(next.properties.text_header(TRACEPARENT), Some(&*unwanted));
        assert!(obedient.published(&[next], NOW).is_empty());
        assert_eq!(obedient.processed(&delivery, "order.new", None, End::Done, NOW), None);
        // A copy of a sender's message is not ours, though its context is still the sender's.
        let mut message = placed(Some(SENT));
        let led = obedient.embark(&mut message.properties, "o");
        let copy = Outgoing { routing_key: "0.order.new".to_owned(), ..message.clone() };
        assert!(published(&message, led, NOW).is_some() && published(&copy, led, NOW).is_none());
        let never = tracer("always_off");
        let mut context = Context { trace: TraceParent::parse(SENT), ..Context::default() };
        never.enter(&mut context, "m", "o");
        assert!(!context.is_followed && !context.trace.unwrap().is_sampled());
    }
}

//! The pure middle of a batch: decide each input in order, each seeing the effects before it.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use orderly_contracts::envelope::{CAUSATION_ID, PLACED_AT, SENT_AT};
use orderly_contracts::envelope::{TRACEPARENT, TRACESTATE};
use orderly_contracts::routes::{Party, route};
use orderly_contracts::{Reason, Refusal};
use uuid::{Uuid, uuid};

use crate::domain::{
    Arrival, Cause, Decision, Domain, Output, States, TIMER, Timer, TimerChange, Verdict,
};
use crate::message::{Outgoing, Properties};
use crate::store::Work;
use crate::trace::context::{SpanId, TraceParent};

/// The namespace of all derived ids.
const NAMESPACE: Uuid = uuid!("6f2a6c1e-7d0b-5b43-9c8e-0f6d2b1a9e57");

/// How one input ended, without the effects, which are in the work.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// It has had its effect.
    Done,
    /// The business said no.
    Rejected,
    /// It waits in the retry ladder.
    Retry(String),
    /// It becomes a dead letter.
    Dead(Refusal),
}

/// What a batch of inputs comes to.
#[derive(Debug)]
pub struct Folded<D: Domain> {
    /// Everything to save.
    pub work: Work<D>,
    /// How each input ended, in order.
    pub fates: Vec<Fate>,
}

/// Decides every arrival in order against `states`.
pub fn fold<D: Domain>(
    domain: &D,
    batch: Uuid,
    arrivals: &[&Arrival<D::Input>],
    mut states: States<D>,
) -> Folded<D> {
    let mut work = Work::empty(batch);
    let mut fates = Vec::with_capacity(arrivals.len());
    for arrival in arrivals {
        let (fate, decision) = match decide(domain, arrival, &states) {
            Verdict::Done(decision) => (Fate::Done, Some(decision)),
            Verdict::Rejected(decision) => (Fate::Rejected, Some(decision)),
            Verdict::Retry(why) => (Fate::Retry(why), None),
            Verdict::Dead(refusal) => (Fate::Dead(refusal), None),
        };
        match decision {
            Some(decision) => absorb(&mut work, &mut states, arrival, decision),
            // Only what is finished keeps its claim: a later copy must not pass for a duplicate.
            None => work.disclaimed.push(arrival.cause.clone()),
        }
        fates.push(fate);
    }
    work.changes = states.into_changes();
    Folded { work, fates }
}

/// A panic is the message's fault, and only its own: `decide` is pure, so nothing is half done.
fn decide<D: Domain>(domain: &D, arrival: &Arrival<D::Input>, states: &States<D>) -> Verdict<D> {
    catch_unwind(AssertUnwindSafe(|| domain.decide(arrival, states))).unwrap_or_else(|_| {
        Verdict::Dead(Refusal::new(Reason::Poison, "deciding on this message panicked"))
    })
}

fn absorb<D: Domain>(
    work: &mut Work<D>,
    states: &mut States<D>,
    arrival: &Arrival<D::Input>,
    decision: Decision<D>,
) {
    states.apply(decision.changes);
    work.entries.extend(decision.entries);
    for change in decision.timers {
        work.timers.insert(change.owner().to_owned(), change);
    }
    if !decision.outputs.is_empty() {
        let outputs = decision.outputs.into_iter().enumerate();
        let outgoing = outputs.map(|(n, output)| compose(D::PARTY, arrival, n, output)).collect();
        work.outputs.push((arrival.cause.clone(), outgoing));
    }
}

impl<D: Domain> Work<D> {
    /// Work with nothing in it yet.
    pub fn empty(batch: Uuid) -> Self {
        Self {
            batch,
            changes: crate::store::Changes { created: vec![], updated: vec![] },
            entries: vec![],
            timers: BTreeMap::<String, TimerChange>::new(),
            spent: vec![],
            outputs: vec![],
            disclaimed: vec![],
            sent: vec![],
        }
    }
}

/// The id of the `ordinal`th message that `worker` sends because of `cause`: always the same.
pub fn derived_id(worker: &str, cause: &Cause, ordinal: usize) -> Uuid {
    let name = format!("{worker}/{}/{}/{ordinal}", cause.source, cause.id);
    Uuid::new_v5(&NAMESPACE, name.as_bytes())
}

/// A timer as a cause: named by its owner, step and round.
pub fn timer_cause(timer: &Timer) -> Cause {
    let name = format!("{}/{}/{}", timer.owner, timer.step, timer.round);
    Cause { source: TIMER, id: Uuid::new_v5(&NAMESPACE, name.as_bytes()).to_string() }
}

/// The answer to a call to the outside, as it goes onto the wire. Its id follows from what it says
/// as well: a call may be made twice, and where the outside then says something else, that is a
/// message of its own and not a false copy of the first.
pub fn compose_answer<I>(party: Party, arrival: &Arrival<I>, answer: Output) -> Outgoing {
    let Cause { source, id } = &arrival.cause;
    let name = [format!("{party}/{source}/{id}/answer/").as_bytes(), &answer.body].concat();
    compose_as(Uuid::new_v5(&NAMESPACE, &name), party, arrival, answer)
}

/// An output as it goes onto the wire.
pub fn compose<I>(party: Party, arrival: &Arrival<I>, ordinal: usize, output: Output) -> Outgoing {
    compose_as(derived_id(party.name(), &arrival.cause, ordinal), party, arrival, output)
}

fn compose_as<I>(id: Uuid, party: Party, arrival: &Arrival<I>, output: Output) -> Outgoing {
    let route = route(output.kind).expect("every contract message has a route");
    let id = id.to_string();
    // Its place in the trace follows from its id: it is the same whenever this is decided.
    let own_place = |sent: TraceParent| sent.at(SpanId::of_publishing(&id));
    let context = &arrival.context;
    let trace = context.trace.map(|sent| if context.is_followed { own_place(sent) } else { sent });
    let mut properties = Properties {
        correlation_id: Some(output.correlation),
        timestamp: u64::try_from(arrival.at.0 / 1_000_000).ok(),
        app_id: Some(format!("orderly-{party}")),
        ..Properties::of(output.kind, id)
    };
    properties.set_header(CAUSATION_ID, arrival.cause.id.as_str());
    properties.set_header(SENT_AT, arrival.at.0);
    if let Some(placed_at) = context.placed_at {
        properties.set_header(PLACED_AT, placed_at.0);
    }
    if let Some(trace) = trace {
        properties.set_header(TRACEPARENT, trace.to_string());
    }
    if let Some(tracestate) = &context.tracestate {
        properties.set_header(TRACESTATE, tracestate.as_str());
    }
    Outgoing {
        exchange: route.exchange.to_owned(),
        routing_key: route.kind.to_owned(),
        mandatory: route.is_required(),
        properties,
        body: output.body,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Micros;
    use crate::domain::Context;

    #[test]
    fn an_answer_is_known_by_what_it_says_and_by_what_it_answers() {
        let id = |cause: &str, body: &str| {
            let arrival = Arrival {
                cause: Cause { source: "payment", id: cause.to_owned() },
                kind: "payment.execute.v1",
                at: Micros(0),
                context: Context::default(),
                input: (),
            };
            let correlation = "an order".to_owned();
            let answer =
                Output { kind: "payment.executed.v1", correlation, body: body.as_bytes().to_vec() };
            compose_answer(Party::Payment, &arrival, answer).id().to_owned()
        };
        assert_eq!(id("a", "declined"), id("a", "declined"));
        assert_ne!(id("a", "declined"), id("a", "approved"));
        assert_ne!(id("a", "declined"), id("b", "declined"));
    }
}

//! The ways in: which worker reads a queue, and what it makes of what it could read.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;

use orderly_contracts::catalogue::entry_of;
use orderly_contracts::routes::PAYMENT_EFFECTS;
use orderly_order::Order;
use orderly_payment::effect::{ProviderCalls, decode_request};
use orderly_payment::{Payment, Sandbox};
use orderly_runtime::domain::{Arrival, Domain, Output, States, Verdict};
use orderly_runtime::effect::Effect;
use orderly_runtime::fold::compose;
use orderly_runtime::reception::{Content, Reception};
use orderly_runtime::topology::work_queues;
use orderly_stock::Stock;

use crate::check::{Outcome, check};
use crate::input::{BODY_BYTES_MAX, Input};

/// Checks an input on the way it takes: by its queue.
pub(crate) fn by_queue(input: &Input) -> Result<Outcome, String> {
    if input.queue == PAYMENT_EFFECTS {
        let reception = Reception {
            queue: input.queue,
            body_bytes_max: BODY_BYTES_MAX,
            decode: decode_request,
        };
        return check(input, &reception, |content| {
            is_message(&ProviderCalls(Sandbox).exhausted(&content.arrival.input))?;
            is_sent(<ProviderCalls<Sandbox> as Effect>::PARTY, &content.arrival)
        });
    }
    if work_queues(Order::PARTY).contains(&input.queue) {
        into_domain(&Order::default(), input)
    } else if work_queues(Stock::PARTY).contains(&input.queue) {
        into_domain(&Stock::default(), input)
    } else {
        into_domain(&Payment::default(), input)
    }
}

/// What was read is decided on as well, as if nothing were known: it must not panic, and what
/// follows from it must be messages that their consumers can read.
fn into_domain<D>(domain: &D, input: &Input) -> Result<Outcome, String>
where
    D: Domain,
    D::Input: PartialEq,
{
    let reception =
        Reception { queue: input.queue, body_bytes_max: BODY_BYTES_MAX, decode: D::decode };
    check(input, &reception, |content: &Content<D::Input>| {
        let keys: BTreeSet<D::Key> = D::keys(&content.arrival.input).into_iter().collect();
        let decision = match domain.decide(&content.arrival, &States::new(keys, BTreeMap::new())) {
            Verdict::Done(decision) | Verdict::Rejected(decision) => decision,
            Verdict::Retry(_) | Verdict::Dead(_) => return Ok(()),
        };
        decision.outputs.iter().try_for_each(is_message)?;
        is_sent(D::PARTY, &content.arrival)
    })
}

fn is_message(output: &Output) -> Result<(), String> {
    let entry = entry_of(output.kind).ok_or_else(|| format!("nobody knows {}", output.kind))?;
    let reading = entry.read(&output.body).map_err(|error| format!("sent, but {error}"))?;
    if reading.wire == output.body { Ok(()) } else { Err(format!("{} is not stable", output.kind)) }
}

/// What is handed on to the next message fits onto the wire.
fn is_sent<I: Debug>(
    party: orderly_contracts::routes::Party,
    arrival: &Arrival<I>,
) -> Result<(), String> {
    let output = Output { kind: "order.confirmed.v1", correlation: String::new(), body: vec![] };
    let outgoing = compose(party, arrival, 0, output);
    orderly_runtime::amqp::convert::basic_properties(&outgoing.properties)
        .map(drop)
        .map_err(|error| format!("what follows cannot be sent: {error}"))
}

//! What the tests share: an order of each sort, its inputs, and one step with all that must hold.

mod messages;
mod properties;
mod table;
mod world;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Debug;
use std::time::Duration;

use orderly_contracts::order::{CancelOrder, OrderLine, PlaceOrder};
use orderly_contracts::payment::{DeclineReason, PaymentCharged, PaymentDeclined, PaymentRefunded};
use orderly_contracts::stock::{
    StockExpired, StockRefusal, StockRejected, StockReleased, StockReserved,
};
use orderly_contracts::text::OrderId;
use orderly_contracts::{Message, Reason};
use orderly_runtime::clock::Micros;
use orderly_runtime::domain::{
    Arrival, Cause, Context, Decision, Domain, States, TIMER, TimerChange, Verdict,
};
use serde_json::json;

use crate::deadline::{Deadline, Deadlines, Step};
use crate::domain::Saga;
use crate::saga::Stage;
use crate::{Input, Order};

/// A worker that asks twice before it gives up.
fn worker() -> Order {
    Order {
        policy: Deadlines {
            ask_again: Duration::from_secs(30),
            longest_wait: Duration::from_secs(60),
            give_up: Duration::from_secs(90),
        },
    }
}

/// The last round that [`worker`] waits for.
const LAST_ROUND: u32 = 1;

fn read<M: Message>(json: &serde_json::Value) -> M {
    orderly_contracts::decode(json.to_string().as_bytes()).expect("a valid message")
}

fn order_id(id: &str) -> OrderId {
    OrderId::new(id).unwrap()
}

/// Two lines of goods, one of them twice, and postage.
fn place(id: &str) -> PlaceOrder {
    read(&json!({
        "order_id": id, "customer_id": "c-1", "currency": "GBP", "payment_token": "tok-1",
        "lines": [
            { "sku": "B", "quantity": 2, "unit_price": 100 },
            { "sku": "A", "quantity": 1, "unit_price": 50 },
            { "sku": "POST", "quantity": 1, "unit_price": 9, "service": true },
            { "sku": "B", "quantity": 3, "unit_price": 90 },
        ],
    }))
}

/// The goods alone, as gifts.
fn place_free(id: &str) -> PlaceOrder {
    let mut place = place(id);
    place.lines.retain(|line| !line.service);
    place.lines.iter_mut().for_each(make_free);
    place
}

/// The postage alone.
fn place_services(id: &str) -> PlaceOrder {
    let mut place = place(id);
    place.lines.retain(|line| line.service);
    place
}

/// The postage alone, free of charge.
fn place_nothing(id: &str) -> PlaceOrder {
    let mut place = place_services(id);
    place.lines.iter_mut().for_each(make_free);
    place
}

fn make_free(line: &mut OrderLine) {
    line.unit_price = 0.try_into().unwrap();
}

fn cancel(id: &str) -> Input {
    Input::Cancel(CancelOrder { order_id: order_id(id), reason: None })
}

fn reserved(id: &str) -> Input {
    Input::StockReserved(StockReserved { order_id: order_id(id) })
}

fn refused(id: &str, reason: StockRefusal) -> Input {
    Input::StockRejected(StockRejected { order_id: order_id(id), reason, shortages: vec![] })
}

fn released(id: &str) -> Input {
    Input::StockReleased(StockReleased { order_id: order_id(id) })
}

fn expired(id: &str) -> Input {
    Input::StockExpired(StockExpired { order_id: order_id(id) })
}

fn charged(id: &str) -> Input {
    let (amount, currency) = (529.try_into().unwrap(), "GBP".to_owned().try_into().unwrap());
    Input::PaymentCharged(PaymentCharged { order_id: order_id(id), amount, currency })
}

fn declined(id: &str) -> Input {
    let (reason, detail) = (DeclineReason::Provider, Some("no funds".parse().unwrap()));
    Input::PaymentDeclined(PaymentDeclined { order_id: order_id(id), reason, detail })
}

fn refunded(id: &str) -> Input {
    let amount = 0.try_into().unwrap();
    Input::PaymentRefunded(PaymentRefunded { order_id: order_id(id), amount })
}

fn due(id: &str, step: Step, round: u32) -> Input {
    Input::Due { order_id: order_id(id), deadline: Deadline { step, round } }
}

fn kind(input: &Input) -> &'static str {
    match input {
        Input::Place(_) => PlaceOrder::KIND,
        Input::Cancel(_) => CancelOrder::KIND,
        Input::StockReserved(_) => StockReserved::KIND,
        Input::StockRejected(_) => StockRejected::KIND,
        Input::StockReleased(_) => StockReleased::KIND,
        Input::StockExpired(_) => StockExpired::KIND,
        Input::PaymentCharged(_) => PaymentCharged::KIND,
        Input::PaymentDeclined(_) => PaymentDeclined::KIND,
        Input::PaymentRefunded(_) => PaymentRefunded::KIND,
        Input::Due { .. } => TIMER,
    }
}

/// The arrival of `input` as the `number`th of all.
fn arrival(number: usize, input: Input) -> Arrival<Input> {
    let kind = kind(&input);
    let source = if kind == TIMER { TIMER } else { "somebody" };
    Arrival {
        cause: Cause { source, id: format!("m-{number}") },
        kind,
        at: Micros(1_700_000_000_000_000 + i64::try_from(number).unwrap()),
        context: Context::default(),
        input,
    }
}

fn decide(saga: Option<&Saga>, arrival: &Arrival<Input>) -> Verdict<Order> {
    let key = arrival.input.order_id().clone();
    let rows: BTreeMap<_, _> = saga.map(|saga| (key.clone(), saga.clone())).into_iter().collect();
    worker().decide(arrival, &States::new(BTreeSet::from([key]), rows))
}

/// Takes one step, and holds it to everything that is true of any step.
fn step(saga: &mut Option<Saga>, arrival: &Arrival<Input>) -> Decision<Order> {
    let decision = match decide(saga.as_ref(), arrival) {
        Verdict::Done(decision) | Verdict::Rejected(decision) => decision,
        Verdict::Dead(refusal) => {
            assert_eq!(refusal.reason, Reason::UnknownOrder);
            assert_eq!((arrival.kind, saga.as_ref()), (PaymentCharged::KIND, None));
            Decision::nothing()
        }
        other => panic!("{arrival:?} ends as {other:?}"),
    };
    let before = saga.clone();
    match &decision.changes[..] {
        [] => assert_eq!((decision.entries.len(), decision.timers.len()), (0, 0)),
        [(key, after)] => {
            assert_eq!(key, arrival.input.order_id());
            holds(before.as_ref(), after, arrival, &decision);
            *saga = Some(after.clone());
        }
        changes => panic!("one order, but {changes:?}"),
    }
    decision
}

fn holds(before: Option<&Saga>, after: &Saga, arrival: &Arrival<Input>, step: &Decision<Order>) {
    let is_final = |saga: &Saga| saga.stage.status().is_final();
    assert!(!before.is_some_and(is_final), "a final state never changes");
    assert_eq!(after.version, before.map_or(0, |saga| saga.version) + 1);
    assert_eq!(after.ended_at, is_final(after).then_some(arrival.at));
    if let Some(before) = before {
        assert_eq!(after.placement, before.placement, "what was ordered never changes");
    }
    if let Stage::Cancelling(undoing) = after.stage {
        assert!(undoing.owed.release || undoing.owed.refund, "nothing is owed by {after:?}");
    }

    let [entry] = &step.entries[..] else { panic!("one change, one record") };
    assert_eq!((entry.version, entry.at), (after.version, arrival.at));
    assert_eq!(entry.from, before.map(|saga| saga.stage.status()));
    assert_eq!((entry.to, entry.reason), (after.stage.status(), after.stage.reason()));
    assert_eq!((&entry.cause, entry.kind), (&arrival.cause, arrival.kind));

    let ending = format!("order.{}.v1", after.stage.status().as_str());
    let ends = step.outputs.iter().filter(|output| output.kind == ending).count();
    assert_eq!(ends, usize::from(is_final(after)), "an end is announced once");

    let (old, new) = (before.and_then(|saga| saga.stage.deadline()), after.stage.deadline());
    match (&step.timers[..], new) {
        ([], _) => assert_eq!(old, new, "who waits for something else needs another timer"),
        ([TimerChange::Set { timer, after }], Some(deadline)) => {
            assert_eq!(Order::due(timer), Some(due_of(arrival, deadline)));
            assert!(*after > Duration::ZERO);
            assert_ne!(old, new, "a round never comes twice");
        }
        ([TimerChange::Clear { owner }], None) => {
            assert_eq!(owner, arrival.input.order_id().as_str());
        }
        other => panic!("timers that do not belong: {other:?}"),
    }
}

fn due_of(arrival: &Arrival<Input>, deadline: Deadline) -> Input {
    Input::Due { order_id: arrival.input.order_id().clone(), deadline }
}

/// An order after `inputs`.
fn after(inputs: impl IntoIterator<Item = Input>) -> Option<Saga> {
    let mut saga = None;
    for (number, input) in inputs.into_iter().enumerate() {
        step(&mut saga, &arrival(number, input));
    }
    saga
}

fn kinds(decision: &Decision<Order>) -> Vec<&'static str> {
    decision.outputs.iter().map(|output| output.kind).collect()
}

fn body<M: Message + Debug>(decision: &Decision<Order>) -> M {
    let mut bodies = decision.outputs.iter().filter(|output| output.kind == M::KIND);
    let (Some(output), None) = (bodies.next(), bodies.next()) else {
        panic!("one {} expected in {:?}", M::KIND, kinds(decision))
    };
    orderly_contracts::decode(&output.body).expect("what we send is valid")
}

//! What payment decides, case by case: every state of a payment with every input.

use orderly_contracts::payment::{
    ChargePayment, ExecutionOutcome, Operation, PaymentExecuted, RefundPayment,
};
use orderly_contracts::{Message, Reason};
use orderly_runtime::domain::{Domain, Timer};
use orderly_runtime::fold::Fate;
use serde_json::json;

use super::world::{self, World, executed};
use super::{Immediate, Input};
use crate::Payment;
use crate::state::Movement;

use ExecutionOutcome::{Approved, Declined, Unknown};

const ORDER: &str = "o-1";
const AT_ONCE: &str = "tok_visa";
const BY_CALL: &str = "tok_flaky_2";

fn charge(token: &str) -> Input {
    world::charge(ORDER, 250, token)
}

fn refund() -> Input {
    world::refund(ORDER)
}

fn charged(outcome: ExecutionOutcome) -> Input {
    executed(ORDER, Operation::Charge, outcome)
}

fn refunded(outcome: ExecutionOutcome) -> Input {
    executed(ORDER, Operation::Refund, outcome)
}

/// A world where the payment of the order stands as `status` says.
fn world(status: &str) -> World {
    let history = match status {
        "none" => vec![],
        "requested" => vec![charge(BY_CALL)],
        "requested, wanted" => vec![charge(BY_CALL), refund()],
        "unknown" => vec![charge(BY_CALL), charged(Unknown)],
        "unknown, wanted" => vec![charge(BY_CALL), charged(Unknown), refund()],
        "captured" => vec![charge(AT_ONCE)],
        "captured by call" => vec![charge(BY_CALL), charged(Approved)],
        "declined" => vec![charge("tok_decline_expired")],
        "refunding" => vec![charge(BY_CALL), charged(Approved), refund()],
        "refunded" => vec![charge(AT_ONCE), refund()],
        "voided" => vec![charge(BY_CALL), refund(), charged(Declined)],
        "tombstone" => vec![refund()],
        other => panic!("no such status: {other}"),
    };
    World::default().after(&history)
}

/// State, input, the state after it, what it sends, which money it moves.
type Case = (&'static str, Input, &'static str, &'static [&'static str], &'static [Movement]);

const CAPTURE: &[Movement] = &[Movement::Capture];
const REFUND: &[Movement] = &[Movement::Refund];
const CHARGED: &[&str] = &["payment.charged.v1"];
const DECLINED: &[&str] = &["payment.declined.v1"];
const REFUNDED: &[&str] = &["payment.refunded.v1"];
const EXECUTE: &[&str] = &["payment.execute.v1"];

#[rustfmt::skip]
fn commands() -> Vec<Case> {
    vec![
        ("none",              charge(AT_ONCE),       "captured",  CHARGED,  CAPTURE),
        ("none",              charge("tok_decline"), "declined",  DECLINED, &[]),
        ("none",              charge(BY_CALL),       "requested", EXECUTE,  &[]),
        ("requested",         charge(BY_CALL),       "requested", EXECUTE,  &[]),
        ("requested, wanted", charge(BY_CALL),       "requested", EXECUTE,  &[]),
        ("unknown",           charge(BY_CALL),       "unknown",   EXECUTE,  &[]),
        ("unknown, wanted",   charge(BY_CALL),       "unknown",   EXECUTE,  &[]),
        ("captured",          charge(AT_ONCE),       "captured",  CHARGED,  &[]),
        ("captured by call",  charge(BY_CALL),       "captured",  CHARGED,  &[]),
        ("declined",          charge(AT_ONCE),       "declined",  DECLINED, &[]),
        ("refunding",         charge(BY_CALL),       "refunding", DECLINED, &[]),
        ("refunded",          charge(AT_ONCE),       "refunded",  DECLINED, &[]),
        ("voided",            charge(BY_CALL),       "voided",    DECLINED, &[]),
        ("tombstone",         charge(AT_ONCE),       "voided",    DECLINED, &[]),

        ("none",              refund(),              "voided",    REFUNDED, &[]),
        ("requested",         refund(),              "requested", EXECUTE,  &[]),
        ("requested, wanted", refund(),              "requested", EXECUTE,  &[]),
        ("unknown",           refund(),              "unknown",   EXECUTE,  &[]),
        ("unknown, wanted",   refund(),              "unknown",   EXECUTE,  &[]),
        ("captured",          refund(),              "refunded",  REFUNDED, REFUND),
        ("captured by call",  refund(),              "refunding", EXECUTE,  &[]),
        ("declined",          refund(),              "declined",  REFUNDED, &[]),
        ("refunding",         refund(),              "refunding", EXECUTE,  &[]),
        ("refunded",          refund(),              "refunded",  REFUNDED, &[]),
        ("voided",            refund(),              "voided",    REFUNDED, &[]),
        ("tombstone",         refund(),              "voided",    REFUNDED, &[]),
    ]
}

#[rustfmt::skip]
fn answers() -> Vec<Case> {
    vec![
        ("none",              charged(Approved),  "none",      &[],      &[]),
        ("requested",         charged(Approved),  "captured",  CHARGED,  CAPTURE),
        ("requested, wanted", charged(Approved),  "refunding", EXECUTE,  CAPTURE),
        ("unknown",           charged(Approved),  "captured",  CHARGED,  CAPTURE),
        ("unknown, wanted",   charged(Approved),  "refunding", EXECUTE,  CAPTURE),
        ("captured",          charged(Approved),  "captured",  &[],      &[]),
        ("captured by call",  charged(Approved),  "captured",  &[],      &[]),
        ("declined",          charged(Approved),  "refunding", EXECUTE,  CAPTURE),
        ("refunding",         charged(Approved),  "refunding", &[],      &[]),
        ("refunded",          charged(Approved),  "refunded",  &[],      &[]),
        ("voided",            charged(Approved),  "refunding", EXECUTE,  CAPTURE),
        ("tombstone",         charged(Approved),  "voided",    &[],      &[]),

        ("none",              charged(Declined),  "none",      &[],      &[]),
        ("requested",         charged(Declined),  "declined",  DECLINED, &[]),
        ("requested, wanted", charged(Declined),  "voided",    REFUNDED, &[]),
        ("unknown",           charged(Declined),  "declined",  DECLINED, &[]),
        ("unknown, wanted",   charged(Declined),  "voided",    REFUNDED, &[]),
        ("captured",          charged(Declined),  "captured",  &[],      &[]),
        ("captured by call",  charged(Declined),  "captured",  &[],      &[]),
        ("declined",          charged(Declined),  "declined",  &[],      &[]),
        ("refunding",         charged(Declined),  "refunding", &[],      &[]),
        ("refunded",          charged(Declined),  "refunded",  &[],      &[]),
        ("voided",            charged(Declined),  "voided",    &[],      &[]),
        ("tombstone",         charged(Declined),  "voided",    &[],      &[]),

        ("requested",         charged(Unknown),   "unknown",   &[],      &[]),
        ("requested, wanted", charged(Unknown),   "unknown",   &[],      &[]),
        ("unknown",           charged(Unknown),   "unknown",   &[],      &[]),
        ("refunding",         refunded(Approved), "refunded",  REFUNDED, REFUND),
    ]
}

/// States in which an answer finds nothing to do.
fn unmoved() -> impl Iterator<Item = Case> {
    let late = ["none", "captured", "declined", "refunding", "refunded", "voided", "tombstone"];
    let late = late.into_iter().map(|status| (status, charged(Unknown)));
    let all = ["requested", "unknown", "requested, wanted", "unknown, wanted"];
    let all = late.clone().map(|(status, _)| status).chain(all);
    let refunds = all.flat_map(|status| {
        [Approved, Declined, Unknown].map(|outcome| (status, refunded(outcome)))
    });
    let done =
        |(status, input): &(&str, Input)| (*status, input) == ("refunding", &refunded(Approved));
    late.chain(refunds)
        .filter(move |case| !done(case))
        .map(|(status, input)| (status, input, world(status).status(ORDER), &[][..], &[][..]))
}

#[test]
fn every_state_of_a_payment_knows_every_input() {
    for (before, input, after, sends, moves) in
        commands().into_iter().chain(answers()).chain(unmoved())
    {
        let case = format!("{before} + {input:?}");
        let mut world = world(before);
        let moved = world.moved(ORDER).len();
        let never_asked = ["none", "tombstone"].contains(&before) && input == charged(Approved);
        assert_eq!(world.take(input), sends, "{case}");
        assert_eq!(world.status(ORDER), after, "{case}");
        assert_eq!(matches!(world.last_fate(), Fate::Dead(_)), never_asked, "{case}");
        assert_eq!(world.moved(ORDER)[moved..], *moves, "{case}");
        world.assert_sound();
    }
}

#[test]
fn every_command_gives_the_same_answer_when_it_comes_again() {
    for (before, input, ..) in commands() {
        let case = format!("{before} + {input:?}");
        let mut world = world(before);
        let mut first = world.take(input.clone()).join(" ");
        if (before, first.as_str()) == ("captured by call", "payment.execute.v1") {
            // The first refund leads to the second state in which the provider is asked.
            first = world.take(input.clone()).join(" ");
        }
        let (rows, ledger, body, fate) = (
            world.rows.clone(),
            world.ledger.clone(),
            world.last_body(),
            world.last_fate().clone(),
        );
        assert_eq!(world.take(input).join(" "), first, "{case}");
        assert_eq!((world.last_body(), world.last_fate()), (body, &fate), "{case}");
        assert_eq!((world.rows, world.ledger), (rows, ledger), "{case}");
    }
}

#[test]
fn a_charge_is_answered_from_its_record_whatever_comes_later_under_the_same_order() {
    let mut world = world("captured");
    world.take(world::charge(ORDER, 999, "tok_decline"));
    assert_eq!(world.last_body(), json!({ "order_id": ORDER, "amount": 250, "currency": "GBP" }));
}

#[test]
fn a_declined_order_hears_the_words_of_the_provider_every_time() {
    let declined = json!({ "order_id": ORDER, "reason": "provider", "detail": "card expired" });
    let mut at_once = world("declined");
    let mut by_call = World::default().after(&[charge(BY_CALL), charged(Declined)]);
    for world in [&mut at_once, &mut by_call] {
        assert_eq!(world.last_body(), declined);
        assert_eq!(*world.last_fate(), Fate::Rejected);
        world.take(charge(BY_CALL));
        assert_eq!(world.last_body(), declined);
    }
}

#[test]
fn a_charge_that_comes_after_the_refund_is_refused() {
    let mut world = world("tombstone");
    assert_eq!(world.last_body(), json!({ "order_id": ORDER, "amount": 0 }));
    world.take(charge(AT_ONCE));
    assert_eq!(world.last_body(), json!({ "order_id": ORDER, "reason": "refunded" }));
    assert_eq!(*world.last_fate(), Fate::Rejected);
    assert!(world.ledger.is_empty());
}

#[test]
fn the_provider_is_called_under_a_key_for_each_operation_of_an_order() {
    let mut world = world("requested");
    let mut execute = json!({
        "order_id": ORDER, "operation": "charge", "idempotency_key": "o-1/charge",
        "amount": 250, "currency": "GBP", "payment_token": BY_CALL,
    });
    assert_eq!(world.last_body(), execute);
    world.take(charge(BY_CALL));
    assert_eq!(world.last_body(), execute);
    world.take(charged(Approved));
    world.take(refund());
    execute["operation"] = json!("refund");
    execute["idempotency_key"] = json!("o-1/refund");
    assert_eq!(world.last_body(), execute);
}

#[test]
fn a_refund_says_how_much_was_given_back() {
    let body = json!({ "order_id": ORDER, "amount": 250 });
    assert_eq!(world("refunded").last_body(), body);
    let mut by_call = world("refunding");
    by_call.take(refunded(Unknown));
    by_call.take(refund());
    by_call.take(refunded(Approved));
    assert_eq!(by_call.last_body(), body);
    by_call.assert_sound();
}

#[test]
fn money_taken_for_an_order_that_never_asked_is_a_matter_for_people() {
    for status in ["none", "tombstone"] {
        let mut world = world(status);
        world.take(charged(Approved));
        let Fate::Dead(refusal) = world.last_fate() else { panic!("{:?}", world.last_fate()) };
        assert_eq!(refusal.text, "order o-1 was charged by the provider, but never by us");
    }
}

#[test]
fn a_provider_out_in_the_world_is_called_for_everything() {
    let payment = Payment { immediate: Immediate::None };
    let mut world = World { payment, ..World::default() };
    assert_eq!(world.take(charge(AT_ONCE)), EXECUTE);
    assert_eq!(world.take(charged(Approved)), CHARGED);
    assert_eq!(world.take(refund()), EXECUTE);
    assert_eq!(world.take(refunded(Approved)), REFUNDED);
    world.assert_sound();
}

#[test]
fn payment_reads_its_messages_and_no_others() {
    let read =
        |kind: &str, body: serde_json::Value| Payment::decode(kind, body.to_string().as_bytes());
    let body = json!({
        "order_id": ORDER, "amount": 250, "currency": "GBP", "payment_token": AT_ONCE,
    });
    assert_eq!(read(ChargePayment::KIND, body), Ok(charge(AT_ONCE)));
    assert_eq!(read(RefundPayment::KIND, json!({ "order_id": ORDER })), Ok(refund()));
    let body = json!({ "order_id": ORDER, "operation": "charge", "outcome": "unknown" });
    assert_eq!(read(PaymentExecuted::KIND, body), Ok(charged(Unknown)));
    let refusal = read("payment.execute.v1", json!({})).unwrap_err();
    assert_eq!(refusal.reason, Reason::UnknownType);
    let timer = Timer { owner: ORDER.to_owned(), step: "any".to_owned(), round: 0 };
    assert_eq!(Payment::due(&timer), None);
}

//! Every stage with every input: what follows stands here in words, and nothing else may follow.

use orderly_runtime::domain::{TimerChange, Verdict};

use super::*;

const ID: &str = "o-1";

/// An order at every stage, by the inputs that bring it there.
fn stages(place: PlaceOrder) -> Vec<(&'static str, Vec<Input>)> {
    let placed = Input::Place(place);
    let reserve_over = [due(ID, Step::Reserve, 0), due(ID, Step::Reserve, LAST_ROUND)];
    let cancelled = [placed.clone(), reserved(ID), cancel(ID)];
    vec![
        ("unknown", vec![]),
        ("pending", vec![placed.clone()]),
        ("pending, last round", vec![placed.clone(), due(ID, Step::Reserve, 0)]),
        ("reserved", vec![placed.clone(), reserved(ID)]),
        ("reserved, last round", vec![placed.clone(), reserved(ID), due(ID, Step::Charge, 0)]),
        ("owes release", [&[placed.clone()][..], &reserve_over].concat()),
        ("owes refund", vec![placed.clone(), reserved(ID), expired(ID)]),
        ("owes both", cancelled.to_vec()),
        ("owes release, refunded", [&cancelled[..], &[refunded(ID)]].concat()),
        ("confirmed", vec![placed.clone(), reserved(ID), charged(ID)]),
        ("rejected", vec![placed.clone(), refused(ID, StockRefusal::OutOfStock)]),
        ("cancelled", vec![placed, expired(ID)]),
        ("never placed", vec![cancel(ID)]),
    ]
}

/// Every input, with timers of the present round and step, and of others.
fn inputs(place: PlaceOrder) -> Vec<(&'static str, Input)> {
    let mut other = place.clone();
    other.lines.truncate(1);
    vec![
        ("place", Input::Place(place)),
        ("place otherwise", Input::Place(other)),
        ("cancel", cancel(ID)),
        ("stock reserved", reserved(ID)),
        ("stock rejected", refused(ID, StockRefusal::OutOfStock)),
        ("stock rejected as released", refused(ID, StockRefusal::Released)),
        ("stock rejected as expired", refused(ID, StockRefusal::Expired)),
        ("stock released", released(ID)),
        ("stock expired", expired(ID)),
        ("payment charged", charged(ID)),
        ("payment declined", declined(ID)),
        ("payment refunded", refunded(ID)),
        ("reserve due", due(ID, Step::Reserve, 0)),
        ("reserve due, last round", due(ID, Step::Reserve, LAST_ROUND)),
        ("charge due", due(ID, Step::Charge, 0)),
        ("charge due, last round", due(ID, Step::Charge, LAST_ROUND)),
        ("compensate due", due(ID, Step::Compensate, 0)),
        ("compensate due, last round", due(ID, Step::Compensate, LAST_ROUND)),
    ]
}

/// What follows, in words; nothing where nothing does.
fn words(verdict: &Verdict<Order>) -> Option<String> {
    let (says_no, decision) = match verdict {
        Verdict::Done(decision) => (false, decision),
        Verdict::Rejected(decision) => (true, decision),
        Verdict::Dead(refusal) => return Some(format!("given up, {}", refusal.reason)),
        other => panic!("{other:?}"),
    };
    let stage = decision.changes.iter().map(|(_, saga)| match saga.stage {
        Stage::Cancelling(it) => {
            let owed = if it.owed.release { " release" } else { "" }.to_owned()
                + if it.owed.refund { " refund" } else { "" }
                + if it.refunded { " refunded" } else { "" };
            format!("cancelling({}) owes{owed}", it.reason.as_str())
        }
        stage => match stage.reason() {
            Some(reason) => format!("{}({})", stage.status().as_str(), reason.as_str()),
            None => stage.status().as_str().to_owned(),
        },
    });
    let sent = kinds(decision).into_iter().map(|kind| kind.replace(".v1", ""));
    let timers = decision.timers.iter().map(|timer| match timer {
        TimerChange::Set { timer, after } => {
            format!("{} {} in {} s", timer.step, timer.round, after.as_secs())
        }
        TimerChange::Clear { .. } => "no timer".to_owned(),
    });
    let no = says_no.then(|| "says no".to_owned());
    let words: Vec<_> = stage.chain(sent).chain(timers).chain(no).collect();
    (!words.is_empty()).then(|| words.join(", "))
}

fn table(place: &PlaceOrder) -> String {
    let mut table = String::new();
    for (stage, way) in stages(place.clone()) {
        let saga = after(way);
        for (name, input) in inputs(place.clone()) {
            if let Some(words) = words(&decide(saga.as_ref(), &arrival(99, input))) {
                table += &format!("{stage} + {name} -> {words}\n");
            }
        }
    }
    table
}

#[test]
fn what_follows_from_every_stage_and_input_is_what_the_table_beside_says() {
    let table = table(&place(ID));
    assert_eq!(table, include_str!("table.txt"), "now it is:\n{table}");
}

/// What follows from `input` after the order was placed and `way` arrived.
fn cell(place: PlaceOrder, way: &[Input], input: Input) -> String {
    let saga = after([&[Input::Place(place)], way].concat());
    words(&decide(saga.as_ref(), &arrival(99, input))).unwrap_or_default()
}

#[test]
fn goods_for_nothing_are_confirmed_without_a_charge() {
    let cell = cell(place_free(ID), &[], reserved(ID));
    assert_eq!(cell, "confirmed, order.confirmed, no timer");
}

#[test]
fn an_order_of_services_is_charged_and_never_asks_the_stock_for_anything() {
    let placed = words(&decide(None, &arrival(0, Input::Place(place_services(ID)))));
    assert_eq!(placed.as_deref(), Some("reserved, payment.charge, charge 0 in 30 s"));

    let cell = |way: &[Input], input| cell(place_services(ID), way, input);
    let asked_again = [due(ID, Step::Charge, 0)];
    let refund = "owes refund, payment.refund, compensate 0 in 30 s";
    assert_eq!(cell(&[], charged(ID)), "confirmed, order.confirmed, no timer");
    assert_eq!(cell(&[], declined(ID)), "cancelled(payment_declined), order.cancelled, no timer");
    assert_eq!(cell(&[], cancel(ID)), format!("cancelling(cancel_requested) {refund}"));
    assert_eq!(
        cell(&asked_again, due(ID, Step::Charge, LAST_ROUND)),
        format!("cancelling(payment_timeout) {refund}")
    );
    assert_eq!(
        cell(&[cancel(ID)], refunded(ID)),
        "cancelled(cancel_requested), order.cancelled, no timer"
    );
}

#[test]
fn an_order_of_services_for_nothing_is_confirmed_at_once() {
    let placed = words(&decide(None, &arrival(0, Input::Place(place_nothing(ID)))));
    assert_eq!(placed.as_deref(), Some("confirmed, order.confirmed"));
}

//! What is sent, recorded and kept, in full.

use orderly_contracts::order::{
    EndReason, OrderCancelRefused, OrderCancelled, OrderConfirmed, OrderConflicted, OrderRejected,
    OrderStatus, OrderUnchanged,
};
use orderly_contracts::payment::{ChargePayment, RefundPayment};
use orderly_contracts::stock::{ReleaseStock, ReserveStock};
use orderly_contracts::{Reason, Refusal};
use orderly_runtime::domain::Timer;

use super::*;

const ID: &str = "o-1";

fn placed() -> Option<Saga> {
    after([Input::Place(place(ID))])
}

#[test]
fn the_stock_is_asked_for_each_article_once_in_order_and_for_no_service() {
    let decision = step(&mut None, &arrival(0, Input::Place(place(ID))));
    let reserve: ReserveStock = body(&decision);
    let lines: Vec<_> = reserve.lines.iter().map(|l| (l.sku.as_str(), l.pieces.get())).collect();
    assert_eq!(lines, [("A", 1), ("B", 5)]);
}

#[test]
fn the_payment_is_asked_for_the_total_of_all_lines() {
    let decision = step(&mut placed(), &arrival(1, reserved(ID)));
    let charge: ChargePayment = body(&decision);
    assert_eq!(charge.amount.get(), 2 * 100 + 50 + 9 + 3 * 90);
    assert_eq!((charge.currency.as_str(), charge.payment_token.as_str()), ("GBP", "tok-1"));
}

#[test]
fn compensations_name_the_order() {
    let mut saga = after([Input::Place(place(ID)), reserved(ID)]);
    let decision = step(&mut saga, &arrival(2, cancel(ID)));
    assert_eq!(body::<ReleaseStock>(&decision).order_id.as_str(), ID);
    assert_eq!(body::<RefundPayment>(&decision).order_id.as_str(), ID);
}

#[test]
fn events_carry_the_whole_order_and_its_version() {
    let mut saga = after([Input::Place(place(ID)), reserved(ID)]);
    let OrderConfirmed(state) = body(&step(&mut saga, &arrival(2, charged(ID))));
    let placed = place(ID);
    assert_eq!((state.status, state.version, state.reason), (OrderStatus::Confirmed, 3, None));
    assert_eq!((state.order_id, state.customer_id), (placed.order_id, placed.customer_id));
    assert_eq!((state.lines, state.currency), (placed.lines, Some(placed.currency)));
    assert_eq!(state.total.get(), 529);

    let OrderRejected(state) =
        body(&step(&mut self::placed(), &arrival(1, refused(ID, StockRefusal::OutOfStock))));
    assert_eq!((state.status, state.reason), (OrderStatus::Rejected, Some(EndReason::OutOfStock)));

    let OrderCancelRefused(refused) = body(&step(&mut saga, &arrival(3, cancel(ID))));
    assert_eq!((refused.status, refused.version), (OrderStatus::Confirmed, 3));
}

#[test]
fn an_order_cancelled_before_it_was_placed_is_an_order_without_content() {
    let mut saga = None;
    let OrderCancelled(state) = body(&step(&mut saga, &arrival(0, cancel(ID))));
    assert_eq!((state.status, state.version), (OrderStatus::Cancelled, 1));
    assert_eq!(state.reason, Some(EndReason::CancelRequested));
    assert_eq!((state.lines.len(), state.currency, state.total.get()), (0, None, 0));

    let answer = step(&mut saga, &arrival(1, Input::Place(place(ID))));
    assert_eq!(body::<OrderUnchanged>(&answer).0, state);
}

#[test]
fn other_content_conflicts_whatever_differs_and_names_the_refused_message() {
    let differ: [fn(&mut PlaceOrder); 5] = [
        |place| place.customer_id = None,
        |place| place.currency = "EUR".to_owned().try_into().unwrap(),
        |place| place.payment_token = "tok-2".parse().unwrap(),
        |place| place.lines.swap(0, 1),
        |place| place.lines[0].service = true,
    ];
    for differ in differ {
        let mut other = place(ID);
        differ(&mut other);
        let mut saga = placed();
        let decision = step(&mut saga, &arrival(7, Input::Place(other)));
        let conflict: OrderConflicted = body(&decision);
        assert_eq!(conflict.refused_message_id.as_str(), "m-7");
        assert_eq!(saga, placed(), "the first order is not touched");
    }
}

#[test]
fn a_conflict_that_cannot_name_its_message_is_a_dead_letter_and_no_panic() {
    let mut other = place(ID);
    other.lines.truncate(1);
    let mut arrival = arrival(1, Input::Place(other));
    arrival.cause.id = "not an id".to_owned();
    let Verdict::Dead(refusal) = decide(placed().as_ref(), &arrival) else { panic!("not dead") };
    assert_eq!(refusal.reason, Reason::InvalidMessageId);
}

#[test]
fn a_total_beyond_every_bound_is_a_dead_letter_and_no_panic() {
    let mut place = place(ID);
    place.lines[0].quantity = 1_000_000.try_into().unwrap();
    place.lines[0].unit_price = 1_000_000_000_000.try_into().unwrap();
    let verdict = decide(None, &arrival(0, Input::Place(place)));
    assert!(matches!(verdict, Verdict::Dead(Refusal { reason: Reason::InvalidContent, .. })));
}

#[test]
fn what_people_say_about_a_cancellation_or_a_refusal_is_on_record() {
    let reason = Some("changed my mind".parse().unwrap());
    let cancel = Input::Cancel(CancelOrder { order_id: order_id(ID), reason: reason.clone() });
    let decision = step(&mut placed(), &arrival(1, cancel));
    assert_eq!(decision.entries[0].note, reason);

    let mut saga = after([Input::Place(place(ID)), reserved(ID)]);
    let decision = step(&mut saga, &arrival(2, declined(ID)));
    assert_eq!(decision.entries[0].note, Some("no funds".parse().unwrap()));
}

#[test]
fn an_order_was_placed_when_its_publisher_says_but_not_after_it_arrived() {
    let placed_at = |said: Option<i64>| {
        let mut arrival = arrival(0, Input::Place(place(ID)));
        arrival.context.placed_at = said.map(Micros);
        let mut saga = None;
        step(&mut saga, &arrival);
        saga.and_then(|saga| saga.placement).expect("it is placed").placed_at.0 - arrival.at.0
    };
    let at = arrival(0, cancel(ID)).at.0;
    assert_eq!(placed_at(None), 0);
    assert_eq!(placed_at(Some(at - 5)), -5);
    assert_eq!(placed_at(Some(i64::MAX)), 0);
    assert_eq!(placed_at(Some(i64::MIN)), -at);
}

#[test]
fn every_message_of_the_order_queues_is_decoded_and_no_other() {
    use orderly_contracts::{catalogue::CATALOGUE, routes};
    for entry in CATALOGUE {
        let is_ours = [routes::ORDER_NEW, routes::ORDER_ANSWERS]
            .iter()
            .any(|queue| routes::kinds_in(queue).any(|route| route.kind == entry.kind));
        let decoded = Order::decode(entry.kind, &entry.example());
        assert_eq!(decoded.is_ok(), is_ours, "{}: {decoded:?}", entry.kind);
        if let Ok(input) = decoded {
            assert_eq!(kind(&input), entry.kind);
        }
    }
}

#[test]
fn a_timer_that_means_nothing_here_is_no_input() {
    let timer =
        |owner: &str, step: &str| Timer { owner: owner.into(), step: step.into(), round: 2 };
    assert_eq!(Order::due(&timer(ID, "charge")), Some(due(ID, Step::Charge, 2)));
    assert_eq!(Order::due(&timer(ID, "dance")), None);
    assert_eq!(Order::due(&timer("not an id", "charge")), None);
}

//! What stock decides about orders: every state of a reservation with every input.

use std::time::Duration;

use orderly_contracts::number::Pieces;
use orderly_contracts::order::OrderConfirmed;
use orderly_contracts::stock::{ReleaseStock, ReserveStock};
use orderly_contracts::{Message, Reason};
use orderly_runtime::domain::{Domain, Timer, TimerChange};
use orderly_runtime::fold::Fate;
use serde_json::json;

use super::world::{World, adjust, goods, order};
use super::{EXPIRE, Input};
use crate::Stock;
use crate::state::Item;

const ORDER: &str = "o-1";

fn reserve(pieces: i64) -> Input {
    Input::Reserve(order(ORDER), goods(&[("cup", pieces)]))
}

fn confirmed(pieces: i64) -> Input {
    Input::OrderConfirmed(order(ORDER), goods(&[("cup", pieces)]))
}

fn release() -> Input {
    Input::Release(order(ORDER))
}

fn expiry() -> Input {
    Input::ExpiryDue(order(ORDER))
}

/// A world with ten cups where the order stands as `status` says.
fn world(status: &str) -> World {
    let history = match status {
        "none" => vec![],
        "reserved" => vec![reserve(4)],
        "rejected" => vec![reserve(11)],
        "released" => vec![reserve(4), release()],
        "tombstone" => vec![release()],
        "expired" => vec![reserve(4), expiry()],
        "committed" => vec![reserve(4), confirmed(4)],
        "short" => vec![confirmed(11)],
        other => panic!("no such status: {other}"),
    };
    World::with(&[("cup", 10)]).after(&history)
}

/// State, input, the state after it, what it sends, what the ledger gains.
type Case = (&'static str, Input, &'static str, &'static [&'static str], &'static [&'static str]);

#[rustfmt::skip]
fn cases() -> Vec<Case> {
    const RESERVED: &[&str] = &["stock.reserved.v1"];
    const REJECTED: &[&str] = &["stock.rejected.v1"];
    const RELEASED: &[&str] = &["stock.released.v1"];
    const EXPIRED: &[&str] = &["stock.expired.v1"];
    const SHORTFALL: &[&str] = &["stock.shortfall.v1"];
    vec![
        ("none",      reserve(4),    "reserved",  RESERVED,  &["reserve"]),
        ("none",      reserve(10),   "reserved",  RESERVED,  &["reserve"]),
        ("none",      reserve(11),   "rejected",  REJECTED,  &[]),
        ("reserved",  reserve(4),    "reserved",  RESERVED,  &[]),
        ("reserved",  reserve(11),   "reserved",  RESERVED,  &[]),
        ("rejected",  reserve(4),    "rejected",  REJECTED,  &[]),
        ("released",  reserve(4),    "released",  REJECTED,  &[]),
        ("tombstone", reserve(4),    "released",  REJECTED,  &[]),
        ("expired",   reserve(4),    "expired",   REJECTED,  &[]),
        ("committed", reserve(4),    "committed", RESERVED,  &[]),
        ("short",     reserve(4),    "short",     REJECTED,  &[]),

        ("none",      release(),     "released",  RELEASED,  &[]),
        ("reserved",  release(),     "released",  RELEASED,  &["release"]),
        ("rejected",  release(),     "rejected",  RELEASED,  &[]),
        ("released",  release(),     "released",  RELEASED,  &[]),
        ("tombstone", release(),     "released",  RELEASED,  &[]),
        ("expired",   release(),     "expired",   RELEASED,  &[]),
        ("committed", release(),     "committed", &[],       &[]),
        ("short",     release(),     "short",     &[],       &[]),

        ("none",      confirmed(4),  "committed", &[],       &["reserve", "commit"]),
        ("none",      confirmed(10), "committed", &[],       &["reserve", "commit"]),
        ("none",      confirmed(11), "short",     SHORTFALL, &[]),
        ("reserved",  confirmed(4),  "committed", &[],       &["commit"]),
        ("rejected",  confirmed(4),  "committed", &[],       &["reserve", "commit"]),
        ("rejected",  confirmed(11), "short",     SHORTFALL, &[]),
        ("released",  confirmed(4),  "committed", &[],       &["reserve", "commit"]),
        ("released",  confirmed(11), "short",     SHORTFALL, &[]),
        ("tombstone", confirmed(4),  "committed", &[],       &["reserve", "commit"]),
        ("expired",   confirmed(4),  "committed", &[],       &["reserve", "commit"]),
        ("expired",   confirmed(11), "short",     SHORTFALL, &[]),
        ("committed", confirmed(4),  "committed", &[],       &[]),
        ("short",     confirmed(4),  "short",     SHORTFALL, &[]),

        ("none",      expiry(),      "none",      &[],       &[]),
        ("reserved",  expiry(),      "expired",   EXPIRED,   &["expire"]),
        ("rejected",  expiry(),      "rejected",  &[],       &[]),
        ("released",  expiry(),      "released",  &[],       &[]),
        ("tombstone", expiry(),      "released",  &[],       &[]),
        ("expired",   expiry(),      "expired",   &[],       &[]),
        ("committed", expiry(),      "committed", &[],       &[]),
        ("short",     expiry(),      "short",     &[],       &[]),
    ]
}

#[test]
fn every_state_of_a_reservation_knows_every_input() {
    for (before, input, after, sends, ledger) in cases() {
        let case = format!("{before} + {input:?}");
        let mut world = world(before);
        let known = world.done_for(ORDER).len();
        assert_eq!(world.take(input), sends, "{case}");
        assert_eq!(world.status(ORDER), after, "{case}");
        assert_eq!(world.done_for(ORDER)[known..], *ledger, "{case}");
        world.assert_sound();
    }
}

#[test]
fn every_input_gives_the_same_answer_when_it_comes_again() {
    for (before, input, ..) in cases() {
        let mut world = world(before);
        let first = world.take(input.clone()).join(" ");
        let (rows, ledger, fate) =
            (world.rows.clone(), world.ledger.clone(), world.last_fate().clone());
        let body = world.sent.last().map(|message| message.body.clone());
        let case = format!("{before} + {input:?}");
        // An expiry is over once it has happened; nobody waits for an answer to it.
        if !matches!(input, Input::ExpiryDue(_)) {
            assert_eq!(world.take(input).join(" "), first, "{case}");
            assert_eq!(world.sent.last().map(|message| message.body.clone()), body, "{case}");
            assert_eq!(*world.last_fate(), fate, "{case}");
        } else {
            assert!(world.take(input).is_empty(), "{case}");
        }
        assert_eq!((world.rows, world.ledger), (rows, ledger), "{case}");
    }
}

#[test]
fn an_order_is_reserved_whole_or_not_at_all() {
    let mut world = World::with(&[("cup", 10), ("plate", 1)]);
    let asked = goods(&[("cup", 4), ("plate", 2), ("spoon", 1)]);
    world.take(Input::Reserve(order(ORDER), asked));
    assert_eq!(world.item("cup"), Item { on_hand: 10, reserved: 0 });
    let shortages = json!([
        { "sku": "plate", "requested": 2, "available": 1 },
        { "sku": "spoon", "requested": 1, "available": 0 },
    ]);
    let rejected = json!({ "order_id": ORDER, "reason": "out_of_stock", "shortages": shortages });
    assert_eq!(world.last_body(), rejected);
    assert_eq!(*world.last_fate(), Fate::Rejected);
    assert_eq!(world.item("spoon"), Item::default(), "asking does not create an article");
}

#[test]
fn a_rejected_order_hears_the_same_shortages_when_the_goods_have_come() {
    let mut world = world("rejected");
    let rejected = world.last_body();
    world.take(adjust("a-1", "cup", 100));
    world.take(reserve(11));
    assert_eq!(world.last_body(), rejected);
}

#[test]
fn a_refused_order_hears_why() {
    let reasons = [("released", "released"), ("tombstone", "released"), ("expired", "expired")];
    for (status, reason) in reasons {
        let mut world = world(status);
        world.take(reserve(4));
        assert_eq!(world.last_body(), json!({ "order_id": ORDER, "reason": reason }));
        assert_eq!(*world.last_fate(), Fate::Rejected);
    }
}

#[test]
fn a_reservation_expires_after_eight_days_unless_it_is_settled() {
    let mut world = world("reserved");
    let timer = Timer { owner: ORDER.to_owned(), step: EXPIRE.to_owned(), round: 0 };
    let after = Duration::from_secs(691_200);
    assert_eq!(world.timers[ORDER], TimerChange::Set { timer: timer.clone(), after });
    assert_eq!(Stock::due(&timer), Some(expiry()));
    assert_eq!(Stock::due(&Timer { step: "other".to_owned(), ..timer }), None);
    world.take(confirmed(4));
    assert_eq!(world.timers[ORDER], TimerChange::Clear { owner: ORDER.to_owned() });
}

#[test]
fn a_shortfall_stays_one_when_the_goods_have_come() {
    let mut world = world("short");
    let shortfall = world.last_body();
    world.take(adjust("a-1", "cup", 100));
    assert_eq!(world.take(confirmed(11)), ["stock.shortfall.v1"]);
    assert_eq!(world.last_body(), shortfall);
    assert_eq!(world.item("cup"), Item { on_hand: 110, reserved: 0 });
}

#[test]
fn an_order_of_services_alone_concerns_no_stock() {
    for status in ["none", "rejected", "released", "expired", "committed"] {
        let mut world = world(status);
        let before = world.rows.clone();
        assert!(world.take(Input::OrderConfirmed(order(ORDER), goods(&[]))).is_empty());
        assert_eq!(world.rows, before, "{status}");
    }
}

#[test]
fn goods_are_summed_by_article_without_services_and_empty_lines() {
    let lines = json!([
        { "sku": "cup", "pieces": 2 }, { "sku": "cup", "pieces": 3 }, { "sku": "jug", "pieces": 0 },
    ]);
    let body = json!({ "order_id": ORDER, "lines": lines }).to_string();
    assert_eq!(Stock::decode(ReserveStock::KIND, body.as_bytes()), Ok(reserve(5)));

    let line = |sku, quantity, service| {
        json!({
            "sku": sku, "quantity": quantity, "unit_price": 1, "service": service,
        })
    };
    let lines = json!([line("cup", 2, false), line("POST", 1, true), line("cup", 3, false)]);
    let body = json!({
        "order_id": ORDER, "version": 3, "status": "confirmed", "lines": lines, "total": 6,
    });
    let decoded = Stock::decode(OrderConfirmed::KIND, body.to_string().as_bytes());
    assert_eq!(decoded, Ok(confirmed(5)));
}

#[test]
fn a_demand_beyond_all_numbers_is_out_of_stock() {
    let most = json!({ "sku": "cup", "pieces": Pieces::MAX });
    let body = json!({ "order_id": ORDER, "lines": vec![most; 2_000] }).to_string();
    let mut world = World::with(&[("cup", Pieces::MAX)]);
    world.take(Stock::decode(ReserveStock::KIND, body.as_bytes()).unwrap());
    assert_eq!(world.status(ORDER), "rejected");
    assert_eq!(world.last_body()["shortages"][0]["requested"], json!(Pieces::MAX));
}

#[test]
fn what_stock_does_not_take_is_an_unknown_type() {
    let refusal = Stock::decode("order.place.v1", b"{}").unwrap_err();
    assert_eq!(refusal.reason, Reason::UnknownType);
    let body = json!({ "order_id": ORDER }).to_string();
    assert_eq!(Stock::decode(ReleaseStock::KIND, body.as_bytes()), Ok(release()));
    let broken = Stock::decode(ReleaseStock::KIND, b"{}").unwrap_err();
    assert_eq!(broken.reason, Reason::InvalidContent);
}

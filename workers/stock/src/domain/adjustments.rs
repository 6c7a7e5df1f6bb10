//! What stock decides about corrections: once, within bounds, and never what is reserved.

use orderly_contracts::number::Pieces;
use orderly_runtime::fold::Fate;
use serde_json::json;

use super::Input;
use super::world::{World, adjust, goods, order};
use crate::state::Item;

const ORDER: &str = "o-1";

fn reserve(pieces: i64) -> Input {
    Input::Reserve(order(ORDER), goods(&[("cup", pieces)]))
}

#[test]
fn an_article_begins_with_its_first_adjustment() {
    let mut world = World::default();
    assert_eq!(world.take(adjust("a-1", "cup", 7)), ["stock.adjusted.v1"]);
    assert_eq!(world.item("cup"), Item { on_hand: 7, reserved: 0 });
    let adjusted = json!({
        "adjustment_id": "a-1", "sku": "cup", "delta": 7, "on_hand": 7, "reserved": 0,
    });
    assert_eq!(world.last_body(), adjusted);
    world.assert_sound();
}

#[test]
fn an_adjustment_counts_once_and_answers_as_it_did_the_first_time() {
    let mut world = World::default().after(&[adjust("a-1", "cup", 7), reserve(2)]);
    world.take(adjust("a-1", "cup", 7));
    assert_eq!(world.item("cup"), Item { on_hand: 7, reserved: 2 });
    assert_eq!(world.last_body()["reserved"], 0);
    assert_eq!(*world.last_fate(), Fate::Done);
}

#[test]
fn an_adjustment_never_takes_what_is_reserved() {
    let mut world = World::with(&[("cup", 10)]).after(&[reserve(4)]);
    assert_eq!(world.take(adjust("a-1", "cup", -7)), ["stock.adjust-refused.v1"]);
    assert_eq!(world.last_body()["reason"], "below_reserved");
    assert_eq!(*world.last_fate(), Fate::Rejected);
    world.take(Input::Release(order(ORDER)));
    world.take(adjust("a-1", "cup", -7));
    assert_eq!(world.last_body()["reason"], "below_reserved", "it was refused for good");
    assert_eq!(world.take(adjust("a-2", "cup", -10)), ["stock.adjusted.v1"]);
    assert_eq!(world.item("cup"), Item::default());
    world.assert_sound();
}

#[test]
fn an_unknown_article_has_nothing_to_take_away() {
    let mut world = World::default();
    world.take(adjust("a-1", "cup", -1));
    assert_eq!(world.last_body()["reason"], "below_reserved");
    assert!(world.adjustment("a-1").is_some());
    assert_eq!(world.rows.len(), 1, "no article begins with a refusal");
}

#[test]
fn an_adjustment_never_exceeds_the_largest_number_of_pieces() {
    let mut world = World::with(&[("cup", Pieces::MAX - 1)]);
    world.take(adjust("a-1", "cup", 2));
    assert_eq!(world.last_body()["reason"], "above_limit");
    assert_eq!(world.take(adjust("a-2", "cup", 1)), ["stock.adjusted.v1"]);
}

#[test]
fn an_adjustment_id_used_for_another_correction_changes_nothing() {
    let world = World::with(&[("cup", 10)]).after(&[adjust("a-1", "cup", 5)]);
    for other in [adjust("a-1", "cup", 6), adjust("a-1", "jug", 5)] {
        let mut world = world.clone();
        let before = world.rows.clone();
        assert_eq!(world.take(other), ["stock.adjust-refused.v1"]);
        assert_eq!(world.last_body()["reason"], "conflict");
        assert_eq!(*world.last_fate(), Fate::Rejected);
        assert_eq!(world.rows, before);
    }
}

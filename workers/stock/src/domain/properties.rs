//! What holds for stock whatever comes, in any order and any split into batches.

use proptest::prelude::*;

use super::Input;
use super::world::{self, World, arrivals, goods, order};
use crate::state::{Goods, Item};

const ORDERS: [&str; 3] = ["o-1", "o-2", "o-3"];
const ARTICLES: [&str; 3] = ["cup", "jug", "plate"];

/// All orders in which `inputs` may arrive.
fn permutations(inputs: &[Input]) -> Vec<Vec<Input>> {
    if inputs.is_empty() {
        return vec![vec![]];
    }
    let first_is = |first: usize| {
        let mut rest = inputs.to_vec();
        let first = rest.remove(first);
        permutations(&rest).into_iter().map(move |mut rest| {
            rest.insert(0, first.clone());
            rest
        })
    };
    (0..inputs.len()).flat_map(first_is).collect()
}

fn every_way(inputs: &[Input]) -> impl Iterator<Item = World> {
    permutations(inputs).into_iter().map(|inputs| World::with(&[("cup", 10)]).after(&inputs))
}

#[test]
fn a_confirmed_order_takes_its_goods_once_in_any_order_of_arrival() {
    let cups = goods(&[("cup", 4)]);
    let reserve = Input::Reserve(order("o-1"), cups.clone());
    let confirmed = Input::OrderConfirmed(order("o-1"), cups);
    let expiry = Input::ExpiryDue(order("o-1"));
    for world in every_way(&[reserve.clone(), reserve, confirmed.clone(), confirmed, expiry]) {
        assert_eq!(world.status("o-1"), "committed");
        assert_eq!(world.item("cup"), Item { on_hand: 6, reserved: 0 });
        world.assert_sound();
    }
}

#[test]
fn a_cancelled_order_holds_nothing_in_any_order_of_arrival() {
    let reserve = Input::Reserve(order("o-1"), goods(&[("cup", 4)]));
    let release = Input::Release(order("o-1"));
    let expiry = Input::ExpiryDue(order("o-1"));
    for world in every_way(&[reserve.clone(), reserve, release.clone(), release, expiry]) {
        assert!(["released", "expired"].contains(&world.status("o-1")));
        assert_eq!(world.item("cup"), Item { on_hand: 10, reserved: 0 });
        world.assert_sound();
    }
}

#[test]
fn even_a_release_of_a_confirmed_order_keeps_the_count_in_any_order_of_arrival() {
    let cups = goods(&[("cup", 4)]);
    let inputs = [
        Input::Reserve(order("o-1"), cups.clone()),
        Input::OrderConfirmed(order("o-1"), cups.clone()),
        Input::OrderConfirmed(order("o-1"), cups),
        Input::Release(order("o-1")),
        Input::ExpiryDue(order("o-1")),
    ];
    for world in every_way(&inputs) {
        assert_eq!(world.status("o-1"), "committed", "the charge is the pivot");
        assert_eq!(world.item("cup"), Item { on_hand: 6, reserved: 0 });
        world.assert_sound();
    }
}

/// What an order asks for: the same whenever it is named.
fn goods_of(id: &str) -> Goods {
    match id {
        "o-1" => goods(&[("cup", 2), ("jug", 1)]),
        "o-2" => goods(&[("cup", 3)]),
        _ => goods(&[("jug", 2), ("plate", 4)]),
    }
}

fn input() -> impl Strategy<Value = Input> {
    let id = prop::sample::select(&ORDERS);
    let about_an_order = (id, 0..4).prop_map(|(id, kind)| match kind {
        0 => Input::Reserve(order(id), goods_of(id)),
        1 => Input::Release(order(id)),
        2 => Input::OrderConfirmed(order(id), goods_of(id)),
        _ => Input::ExpiryDue(order(id)),
    });
    let delta = (-4i64..8).prop_filter("validated", |delta| *delta != 0);
    let adjust = (0..6, prop::sample::select(&ARTICLES), delta);
    let adjust =
        adjust.prop_map(|(id, article, delta)| world::adjust(&format!("a-{id}"), article, delta));
    prop_oneof![3 => about_an_order, 1 => adjust]
}

fn start() -> World {
    World::with(&[("cup", 5), ("jug", 2)])
}

proptest! {
    #[test]
    fn the_count_is_right_after_every_input(inputs in prop::collection::vec(input(), 0..40)) {
        let mut world = start();
        for arrival in arrivals(&inputs) {
            world.batch(&[arrival]);
            world.assert_sound();
        }
    }

    #[test]
    fn any_split_into_batches_comes_to_the_same(
        inputs in prop::collection::vec(input(), 1..40),
        cuts in prop::collection::vec(1usize..12, 40),
    ) {
        let mut arrivals = arrivals(&inputs);
        let one_by_one = start().after(&inputs);
        let mut split = start();
        for size in cuts {
            let batch: Vec<_> = arrivals.drain(..size.min(arrivals.len())).collect();
            split.batch(&batch);
        }
        prop_assert_eq!(split, one_by_one);
    }

    #[test]
    fn every_message_once_more_changes_nothing(
        inputs in prop::collection::vec(input(), 0..40),
    ) {
        let once = start().after(&inputs);
        // A timer is no message: it falls due once, and never comes again.
        let is_message = |input: &Input| !matches!(input, Input::ExpiryDue(_));
        let messages: Vec<_> = inputs.into_iter().filter(is_message).collect();
        let twice = once.clone().after(&messages);
        prop_assert_eq!(twice.rows, once.rows);
        prop_assert_eq!(twice.ledger, once.ledger);
    }
}

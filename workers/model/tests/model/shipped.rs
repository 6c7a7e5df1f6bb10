//! What ships keeps every rule, in every way there is through the small configurations.

use orderly_model::catalogue::{Size, all};
use orderly_model::configuration::Configuration;
use orderly_model::explore::explore;
use orderly_model::system::System;

pub(crate) fn configuration(name: &str) -> Configuration {
    let mut known = all(Size::Small).into_iter();
    known.find(|known| known.name == name).expect("a configuration with this name")
}

/// How many moments each configuration has. A change of the decisions may change these numbers;
/// the change that did should say why.
pub(crate) const MOMENTS: [(&str, usize); 8] = [
    ("cancelled", 174_630),
    ("scarce", 263_355),
    ("free", 253_285),
    ("flaky", 241_362),
    ("twice", 195_298),
    ("expiring", 143_036),
    ("purged", 171_735),
    ("contrary", 181_193),
];

fn explored_to_its_end(name: &str) {
    let configuration = configuration(name);
    let workers = configuration.shipped();
    let found = explore(System::new(configuration, workers), 1);
    for broken in &found.broken {
        println!("{}:\n{}", broken.rule.name(), broken.steps.join("\n"));
    }
    assert!(found.broken.is_empty(), "{name}: a rule is broken");
    assert!(found.missing.is_empty(), "{name} has never seen: {:?}", found.missing);
    assert!(found.is_complete, "{name} has more");
    let moments = MOMENTS.into_iter().find(|(known, _)| *known == name);
    assert_eq!(Some((name, found.distinct)), moments);
}

macro_rules! explored {
    ($($test:ident: $name:literal)*) => { $(#[test] fn $test() { explored_to_its_end($name) })* };
}

explored! {
    an_order_that_somebody_cancels: "cancelled"
    two_orders_over_scarce_articles: "scarce"
    orders_without_a_price_or_without_goods: "free"
    a_provider_that_fails: "flaky"
    an_order_placed_twice: "twice"
    a_reservation_that_expires: "expiring"
    duplicates_that_no_inbox_remembers: "purged"
    a_provider_that_contradicts_itself: "contrary"
}

#[test]
fn every_small_configuration_is_explored_and_together_they_have_a_million_moments() {
    let names: Vec<_> = all(Size::Small).iter().map(|known| known.name).collect();
    assert_eq!(names, MOMENTS.map(|(name, _)| name));
    assert_eq!(all(Size::Big).iter().map(|known| known.name).collect::<Vec<_>>(), names);
    assert!(MOMENTS.iter().map(|(_, moments)| moments).sum::<usize>() >= 1_000_000);
}

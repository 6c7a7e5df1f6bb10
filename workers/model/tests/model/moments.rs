//! Moments are told apart as they should be: none is lost to the checker's hash, and what is left
//! out of them has no say.

use std::collections::HashSet;

use orderly_model::configuration::Configuration;
use orderly_model::moment::{Left, Moment};
use orderly_model::system::System;
use orderly_model::tables::Content;

use crate::shipped::{MOMENTS, configuration};

/// Every moment of a system, kept whole; `end` is shown those after which nothing can happen.
fn searched(system: &System, mut end: impl FnMut(&Moment)) -> HashSet<Moment> {
    let mut open = system.beginnings();
    let mut seen: HashSet<_> = open.iter().cloned().collect();
    while let Some(moment) = open.pop() {
        let mut actions = vec![];
        system.possible(&moment, &mut actions);
        if actions.is_empty() {
            end(&moment);
        }
        let next = actions.into_iter().map(|action| system.after(&moment, action));
        open.extend(next.filter(|next| seen.insert(next.clone())));
    }
    seen
}

/// The checker knows moments by a hash of 64 bits.
#[test]
fn a_plain_search_finds_the_same_moments_and_ends_nowhere_but_at_rest() {
    let name = "expiring";
    let configuration = configuration(name);
    let workers = configuration.shipped();
    let mut ends = 0;
    let seen = searched(&System::new(configuration, workers), |end| {
        ends += 1;
        assert!(end.flight.is_empty() && end.armed == [0; 4], "a dead end: {end:?}");
    });
    assert!(ends > 0);
    let moments = MOMENTS.into_iter().find(|(known, _)| *known == name);
    assert_eq!(Some((name, seen.len())), moments);
}

/// All that can be seen of a system's moments but for its inboxes, in words: numbers depend on the
/// order in which things were met.
fn visible(system: &System) -> HashSet<String> {
    let moments = searched(system, |_| ());
    system.with_tables(|tables| {
        let word = |message: &u16| match message {
            0 => String::new(),
            message => match &tables.sent(*message).content {
                Content::Message(outgoing, _) => {
                    format!("{} {}", outgoing.routing_key, outgoing.id())
                }
                Content::Timer(timer) => format!("{timer:?}"),
            },
        };
        let visible = |moment: Moment| {
            let mut flight: Vec<_> = moment.flight.iter().map(word).collect();
            flight.sort_unstable();
            let armed: Vec<_> = moment.armed.iter().map(word).collect();
            let rows: Vec<_> = moment.rows.iter().map(|row| tables.words(*row)).collect();
            let Moment { books, provider, left: Left { copies, failures, .. }, .. } = moment;
            format!("{rows:?} {armed:?} {flight:?} {books:?} {provider:?} {copies} {failures}")
        };
        moments.into_iter().map(visible).collect()
    })
}

#[test]
fn inbox_rows_that_are_left_out_have_no_say() {
    for (name, left) in [
        ("purged", Left { copies: 1, failures: 0, purges: 1 }),
        ("flaky", Left { copies: 1, failures: 1, purges: 0 }),
    ] {
        let configuration = Configuration { left, ..configuration(name) };
        let lean = System::new(configuration.clone(), configuration.shipped());
        let hoarding = System::hoarding(configuration.clone(), configuration.shipped());
        let (lean, hoarding) = (visible(&lean), visible(&hoarding));
        assert!(lean.len() > 1_000, "{name}: only {} moments", lean.len());
        let lost = hoarding.difference(&lean).next();
        assert_eq!(lost, None, "{name}: what is left out has a say");
        assert_eq!(lean.len(), hoarding.len(), "{name}: what is left out has a say");
    }
}

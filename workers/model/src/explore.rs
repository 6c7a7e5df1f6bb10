//! Explores a configuration to the end, and tells what was found in readable words.

use std::time::{Duration, Instant};

use orderly_contracts::routes::Party;
use stateright::{Checker, Expectation, HasDiscoveries, Model};

use crate::moment::{Moment, Number};
use crate::place::{self, ORDER_IDS, SKUS};
use crate::rules::Rule;
use crate::system::{Action, System};

/// What exploring a configuration came to.
#[derive(Debug)]
pub struct Exploration {
    /// Which configuration.
    pub name: &'static str,
    /// How many moments differ.
    pub distinct: usize,
    /// How many moments were come to, by whatever way.
    pub generated: usize,
    /// The longest of the shortest ways to a moment, if one thread explored.
    pub depth: usize,
    /// How many decisions were asked of the shipped workers: one for every message at every state
    /// that it can meet.
    pub decisions: usize,
    /// How long it took.
    pub took: Duration,
    /// Nothing was left unexplored.
    pub is_complete: bool,
    /// Rules that were broken, each with a way to it.
    pub broken: Vec<Broken>,
    /// Scenes that never happened, although everything was explored.
    pub missing: Vec<&'static str>,
}

/// A rule that was broken.
#[derive(Debug)]
pub struct Broken {
    /// Which rule.
    pub rule: Rule,
    /// What happened, step by step.
    pub steps: Vec<String>,
}

/// Explores everything that can happen in `system`, or until a rule is broken.
pub fn explore(system: System, threads: usize) -> Exploration {
    let name = system.configuration.name;
    let started = Instant::now();
    let checker = system.checker().threads(threads);
    let checker = checker.finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let system = checker.model();
    let found = checker.discoveries();
    let is_missing = |name: &&'static str| !found.contains_key(name);
    let scenes = system.properties().into_iter();
    let scenes = scenes.filter(|property| property.expectation == Expectation::Sometimes);
    let broken: Vec<_> = Rule::ALL
        .into_iter()
        .filter_map(|rule| Some((rule, found.get(rule.name())?.clone())))
        .map(|(rule, path)| Broken { rule, steps: steps(system, &path.into_vec()) })
        .collect();
    // What was cut short by a broken rule has not had the time to see everything.
    let missing = if broken.is_empty() {
        scenes.map(|scene| scene.name).filter(is_missing).collect()
    } else {
        vec![]
    };
    Exploration {
        name,
        distinct: checker.unique_state_count(),
        generated: checker.state_count(),
        depth: checker.max_depth(),
        decisions: system.decisions(),
        took: started.elapsed(),
        is_complete: checker.is_done() && broken.is_empty(),
        broken,
        missing,
    }
}

/// A way through the system in readable words: what happens, and how everything stands after it.
fn steps(system: &System, path: &[(Moment, Option<Action>)]) -> Vec<String> {
    let mut lines = vec![];
    for (moment, action) in path {
        lines.push(format!("    {}", stands(system, moment)));
        if let Some(action) = action {
            lines.push(format!(
                "{:>3} {}",
                lines.len().div_ceil(2),
                happens(system, moment, *action)
            ));
        }
    }
    lines
}

fn happens(system: &System, moment: &Moment, action: Action) -> String {
    let message = |message: Number| system.with_tables(|tables| tables.sent(message).words.clone());
    let again = |stays| if stays { ", and it will come again" } else { "" };
    match action {
        Action::Deliver { message: number, stays } => {
            format!("arrives: {}{}", message(number), again(stays))
        }
        Action::Fire { place } => format!("fires: {}", message(moment.armed[place])),
        Action::See { place } => {
            format!("is seen, but not fired: {}", message(moment.armed[place]))
        }
        Action::Call { message: number, outcome, stays } => {
            format!("the provider is called, {outcome:?}: {}{}", message(number), again(stays))
        }
        Action::Purge { party } => format!("the inbox is purged: {}", Party::name(party)),
    }
}

/// How everything stands, in one line.
fn stands(system: &System, moment: &Moment) -> String {
    system.with_tables(|tables| {
        let word = |place: usize| tables.words(moment.rows[place]).to_owned();
        let mut parts = vec![];
        for (order, id) in ORDER_IDS.iter().enumerate() {
            let all = [place::saga(order), place::reservation(order), place::payment(order)];
            if all.iter().any(|place| moment.rows[*place] != 0) {
                let [saga, stock, payment] = all.map(word);
                parts.push(format!("{id}: {saga} | stock {stock} | payment {payment}"));
            }
        }
        for (item, sku) in SKUS.iter().enumerate() {
            let row = moment.rows[place::article(item)];
            if row != 0 {
                parts.push(format!("{sku}: {}", tables.words(row)));
            }
        }
        let flying = moment.flight.iter().map(|message| tables.sent(*message).kind);
        parts.push(format!("on the way: {}", flying.collect::<Vec<_>>().join(", ")));
        parts.join("; ")
    })
}

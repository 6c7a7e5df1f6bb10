//! The checker of traces: a pure fold over events that knows what may follow what.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

use foldhash::fast::FixedState;
use orderly_contracts::Reason;
use orderly_contracts::routes::{PAYMENT_EFFECTS, Party, route};
use orderly_runtime::domain::TIMER;
use uuid::Uuid;

use crate::trace::event::{Arrived, Effects, Event, Name, Published, Sent, Taken};
use crate::trace::violation::Violation;

/// Its keys are ours, and a simulation asks millions of times: not the hash that withstands attacks.
type Map<K, V> = HashMap<K, V, FixedState>;
type Set<T> = HashSet<T, FixedState>;

/// How much a trace tells.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Certainty {
    /// Every commit that happened is in it.
    Exact,
    /// A process may have died between a commit and its note of it: that the inbox knows a message
    /// later is proof enough.
    Killed,
}

/// What is known of all messages so far.
#[derive(Debug)]
pub struct Checker {
    certainty: Certainty,
    violations: Vec<Violation>,
    /// Deliveries that are not acknowledged, by channel.
    channels: Map<Uuid, BTreeMap<u64, Delivered>>,
    /// What was delivered at all: queue, message, body, attempts.
    seen: Set<(String, Arrived)>,
    /// Messages that have had their effect, with the hash of the body that had it.
    effects: Map<Name, u64>,
    /// Transactions that may have been committed, by the messages that had their effect in them.
    perhaps: Map<Name, Effects>,
    /// Transactions that were taken for committed by what others saw of them, before their own note.
    presumed: Vec<Effects>,
    /// Outputs that were decided, and what they look like.
    decided: Map<Name, u64>,
    outputs_of: Map<Name, Vec<Sent>>,
    confirmed: Set<Name>,
    /// Ids of the requests for calls to the outside that were answered, and the answers.
    answered: Set<String>,
    answers: Set<Name>,
    retried: Set<(String, Arrived)>,
    lettered: Set<(String, Name, u64)>,
    /// Messages with a letter about them, whichever queue they died in.
    dead: Set<Name>,
    filed: Set<Uuid>,
}

#[derive(Debug)]
struct Delivered {
    queue: String,
    copy: Arrived,
    letter: Option<Uuid>,
}

impl Checker {
    /// A checker of a trace that has not begun.
    pub fn new(certainty: Certainty) -> Self {
        Self {
            certainty,
            violations: vec![],
            channels: Map::default(),
            seen: Set::default(),
            effects: Map::default(),
            perhaps: Map::default(),
            presumed: vec![],
            decided: Map::default(),
            outputs_of: Map::default(),
            confirmed: Set::default(),
            answered: Set::default(),
            answers: Set::default(),
            retried: Set::default(),
            lettered: Set::default(),
            dead: Set::default(),
            filed: Set::default(),
        }
    }

    /// Takes note of the next event.
    pub fn note(&mut self, event: Event) {
        match event {
            Event::Delivered { channel, queue, tag, copy, letter } => {
                self.seen.insert((queue.clone(), copy.clone()));
                let delivered = Delivered { queue, copy, letter };
                self.channels.entry(channel).or_default().insert(tag, delivered);
            }
            Event::Known(names) => names.iter().for_each(|name| self.known(name)),
            Event::Committing(effects) => {
                if self.certainty == Certainty::Killed {
                    for (name, _) in &effects.of {
                        self.perhaps.insert(name.clone(), effects.clone());
                    }
                }
            }
            Event::Committed(effects) => {
                match self.presumed.iter().position(|presumed| *presumed == effects) {
                    Some(place) => drop(self.presumed.swap_remove(place)),
                    None => self.committed(effects),
                }
            }
            Event::Published(messages) => {
                for (published, taken) in messages {
                    self.published(published, taken);
                }
            }
            Event::Acking { channel, up_to } => self.acked(channel, up_to),
            Event::Filed(letters) => self.filed.extend(letters),
        }
    }

    fn known(&mut self, name: &Name) {
        if !self.effects.contains_key(name)
            && let Some(effects) = self.perhaps.get(name).cloned()
        {
            self.presume(effects);
        }
    }

    fn committed(&mut self, Effects { of, outputs }: Effects) {
        for (name, body) in of {
            self.perhaps.remove(&name);
            if self.effects.insert(name.clone(), body).is_some() {
                self.violations.push(Violation::effect_twice(&name));
            }
        }
        for (name, outputs) in outputs {
            for Sent { name: output, whole, .. } in &outputs {
                if self.decided.insert(output.clone(), *whole).is_some_and(|old| old != *whole) {
                    self.violations.push(Violation::output_changed(output));
                }
            }
            self.outputs_of.insert(name, outputs);
        }
    }

    fn published(&mut self, published: Published, taken: Taken) {
        match published {
            Published::Output { sent, cause } => self.published_output(&sent, cause, taken),
            Published::Retry { copy, queue } => {
                let before = Arrived { attempts: copy.attempts.saturating_sub(1), ..copy.clone() };
                if copy.attempts == 0 || !self.seen.contains(&(queue.clone(), before)) {
                    let retry = Violation::retry_unlike(&queue, &copy.name, copy.attempts);
                    self.violations.push(retry);
                }
                if taken == Taken::Yes {
                    self.retried.insert((queue, copy));
                }
            }
            Published::Letter { copy, queue, reason, .. } => {
                if self.effects.contains_key(&copy.name) && reason == Reason::UnknownOrder.code() {
                    self.violations.push(Violation::claim_kept(&copy.name));
                }
                if !self.seen.contains(&(queue.clone(), copy.clone())) {
                    self.violations.push(Violation::letter_unlike(&queue, &copy.name));
                }
                if taken == Taken::Yes {
                    self.dead.insert(copy.name.clone());
                    self.lettered.insert((queue, copy.name, copy.body));
                }
            }
        }
    }

    fn published_output(&mut self, sent: &Sent, cause: String, taken: Taken) {
        if !self.decided.contains_key(&sent.name) && !self.perhaps_decided(sent) {
            if is_answer_of_a_call(&sent.kind) {
                if taken == Taken::Yes {
                    self.answered.insert(cause);
                    self.answers.insert(sent.name.clone());
                }
                return;
            }
            self.violations.push(Violation::published_uncommitted(&sent.name));
        } else if self.decided.get(&sent.name) != Some(&sent.whole) {
            self.violations.push(Violation::output_changed(&sent.name));
        }
        if taken == Taken::Yes {
            self.confirmed.insert(sent.name.clone());
        }
    }

    /// Whether a transaction that may have been committed had decided it; then it was committed.
    fn perhaps_decided(&mut self, sent: &Sent) -> bool {
        let has_it =
            |effects: &&Effects| effects.outputs.iter().any(|(_, outputs)| outputs.contains(sent));
        let Some(effects) = self.perhaps.values().find(has_it).cloned() else { return false };
        self.presume(effects);
        true
    }

    /// It was committed; whoever committed it has died before saying so, or is about to say so.
    fn presume(&mut self, effects: Effects) {
        self.presumed.push(effects.clone());
        self.committed(effects);
    }

    fn acked(&mut self, channel: Uuid, up_to: u64) {
        let Some(open) = self.channels.get_mut(&channel) else { return };
        let rest = open.split_off(&(up_to + 1));
        let acked = std::mem::replace(open, rest);
        for delivered in acked.into_values() {
            self.judge_ack(&delivered);
        }
    }

    fn judge_ack(&mut self, Delivered { queue, copy, letter }: &Delivered) {
        if let Some(letter) = letter {
            if !self.filed.contains(letter) {
                self.violations.push(Violation::ack_before_filing(&letter.to_string()));
            }
            return;
        }
        let next = Arrived { attempts: copy.attempts + 1, ..copy.clone() };
        let is_settled_apart = self.retried.contains(&(queue.clone(), next))
            || self.lettered.contains(&(queue.clone(), copy.name.clone(), copy.body))
            || (queue == PAYMENT_EFFECTS && self.answered.contains(&copy.name.id));
        if is_settled_apart {
            return;
        }
        match self.effects.get(&copy.name) {
            Some(body) if *body == copy.body => {}
            Some(_) => return self.violations.push(Violation::conflict_swallowed(&copy.name)),
            None => {
                return self.violations.push(Violation::ack_without_effect(queue, &copy.name));
            }
        }
        let outputs = self.outputs_of.get(&copy.name).into_iter().flatten();
        let missing = outputs.filter(|output| !self.confirmed.contains(&output.name));
        let missing: Vec<_> =
            missing.map(|output| Violation::ack_before_outputs(&copy.name, &output.name)).collect();
        self.violations.extend(missing);
    }

    /// What was wrong up to now.
    pub fn violations(&self) -> &[Violation] {
        &self.violations
    }

    /// Whether a message has had its effect or a letter is about it.
    pub fn is_settled(&self, name: &Name) -> bool {
        self.effects.contains_key(name) || self.dead.contains(name)
    }

    /// Everything that was wrong, now that nothing moves any more. `sent` are the messages that
    /// were confirmed to clients.
    pub fn finish(self, sent: &BTreeSet<Name>) -> Vec<Violation> {
        let mut lost: Vec<_> = sent
            .iter()
            .filter(|name| !self.is_settled(name))
            .map(Violation::message_lost)
            .collect();
        for (name, outputs) in &self.outputs_of {
            for output in outputs {
                if !self.confirmed.contains(&output.name) {
                    lost.push(Violation::output_lost(name, &output.name));
                } else if needs_effect(&output.kind) && !self.is_settled(&output.name) {
                    lost.push(Violation::message_lost(&output.name));
                }
            }
        }
        let unknown = self.effects.keys().filter(|name| !self.was_sent(name, sent));
        lost.extend(unknown.map(Violation::message_unknown));
        let mut violations = self.violations;
        violations.extend(lost);
        violations
    }

    fn was_sent(&self, name: &Name, sent: &BTreeSet<Name>) -> bool {
        name.source == TIMER
            || sent.contains(name)
            || self.decided.contains_key(name)
            || self.answers.contains(name)
    }
}

/// Whether it is the call to the outside that decides messages of this `kind`, and no transaction.
fn is_answer_of_a_call(kind: &str) -> bool {
    let Some(route) = route(kind) else { return false };
    let is_ours = |(to, queue)| to == Party::Payment && queue != PAYMENT_EFFECTS;
    route.sender == Party::Payment && route.consumer.is_some_and(is_ours)
}

/// Whether somebody here processes messages of this `kind` in a transaction of their own.
fn needs_effect(kind: &str) -> bool {
    let consumer = route(kind).and_then(|route| route.consumer);
    consumer.is_some_and(|(_, queue)| queue != PAYMENT_EFFECTS)
}

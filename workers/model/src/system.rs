//! The whole system: what can happen at a moment, and the moment after it.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard};

use orderly_contracts::routes::Party;
use orderly_runtime::message::Outgoing;

use crate::configuration::Configuration;
use crate::moment::{Claim, Moment, Number};
use crate::place::{ROWS, TIMERS};
use crate::provider::Outcome;
use crate::rules::{Rule, judge};
use crate::scene::{DECIDED_ANEW, Event, ID_CONFLICT, RECOGNISED};
use crate::service::{Effect, Workers};
use crate::tables::{Content, SCOPE, Tables, To};

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// A worker takes a message.
    Deliver {
        /// The message.
        message: Number,
        /// It comes again: it was published twice, or the worker crashed before it acknowledged.
        stays: bool,
    },
    /// A timer fires.
    Fire {
        /// Its place.
        place: usize,
    },
    /// A worker sees a due timer and is slow to fire it, so that others overtake it.
    See {
        /// The timer's place.
        place: usize,
    },
    /// The effect runner calls the provider.
    Call {
        /// The request.
        message: Number,
        /// How the calls end.
        outcome: Outcome,
        /// It comes again.
        stays: bool,
    },
    /// An inbox is purged of everything.
    Purge {
        /// Whose.
        party: Party,
    },
}

/// The workers, their decisions so far, and all numbers.
struct Known {
    workers: Workers,
    tables: Tables,
    /// What follows from a message where these states are kept. Decisions are pure, so each is
    /// asked for once.
    effects: HashMap<(Number, [Number; SCOPE]), Arc<Effect>>,
    answers: HashMap<(Number, Outcome), Number>,
}

/// A configuration of the whole system.
pub struct System {
    /// How it is set up.
    pub configuration: Configuration,
    known: RwLock<Known>,
    /// Inboxes keep rows that have no say any more.
    is_hoarding: bool,
    /// The scenes that have happened, a bit for each.
    happened: AtomicU32,
    /// Those of them that the checker has been told of.
    told: AtomicU32,
    /// The rules that the checker has been told of.
    broken: AtomicU32,
}

impl System {
    /// A system of these workers.
    pub fn new(configuration: Configuration, workers: Workers) -> Self {
        let known = Known {
            workers,
            tables: Tables::default(),
            effects: HashMap::new(),
            answers: HashMap::new(),
        };
        let [happened, told, broken] = [0; 3].map(AtomicU32::new);
        let known = RwLock::new(known);
        Self { configuration, known, is_hoarding: false, happened, told, broken }
    }

    /// The same with inboxes that keep every row. There are more moments, but nothing else can
    /// happen: what is left out of a moment has no say.
    pub fn hoarding(configuration: Configuration, workers: Workers) -> Self {
        Self { is_hoarding: true, ..Self::new(configuration, workers) }
    }

    fn read(&self) -> RwLockReadGuard<'_, Known> {
        self.known.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Looks things up by their numbers.
    pub fn with_tables<T>(&self, look: impl FnOnce(&Tables) -> T) -> T {
        look(&self.read().tables)
    }

    /// The number of a message that a client sends.
    fn number(&self, sent: &Outgoing) -> Number {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        known.tables.number_message(sent.clone(), "a client")
    }

    /// The moments in which it may begin: articles are in stock, and clients have sent what they
    /// will ever send; it arrives whenever it arrives.
    pub fn beginnings(&self) -> Vec<Moment> {
        let mut opened = Moment::before_everything(self.configuration.left);
        for opening in self.configuration.openings() {
            self.process(&mut opened, self.number(&opening));
        }
        let begin = |sent: &Vec<_>| {
            let mut moment = opened.clone();
            sent.iter().for_each(|one| moment.fly(self.number(one)));
            moment
        };
        self.configuration.starts.iter().map(begin).collect()
    }

    /// Everything that can happen at `moment`.
    pub fn possible(&self, moment: &Moment, actions: &mut Vec<Action>) {
        if moment.broken != 0 {
            return; // The shortest way here is what is asked for.
        }
        let known = self.read();
        let may_stay = moment.left.copies > 0;
        for message in moment.flight.iter().copied() {
            let sent = known.tables.sent(message);
            let again = [false, true].into_iter().filter(|stays| !stays || may_stay);
            match (sent.asks, sent.order) {
                (Some(asked), Some(order)) => {
                    let contrary = self.configuration.contrary;
                    let is_possible =
                        |outcome: &Outcome| outcome.is_possible(asked, moment, order, contrary);
                    for outcome in Outcome::ALL.into_iter().filter(is_possible) {
                        let calls = again.clone();
                        actions.extend(calls.map(|stays| Action::Call { message, outcome, stays }));
                    }
                }
                _ => actions.extend(again.map(|stays| Action::Deliver { message, stays })),
            }
        }
        for place in 0..TIMERS {
            let timer = moment.armed[place];
            if timer != 0 && self.may_fire(&known.tables, moment, timer) {
                actions.push(Action::Fire { place });
                if may_stay && moment.flight.binary_search(&timer).is_err() {
                    actions.push(Action::See { place });
                }
            }
        }
        if moment.left.purges > 0 {
            for party in [Party::Order, Party::Stock, Party::Payment] {
                if moment.claims.iter().any(|claim| is_of(&known.tables, claim, party)) {
                    actions.push(Action::Purge { party });
                }
            }
        }
    }

    /// A deadline may overtake every answer. But for those steps that are never given up, only a
    /// few times; after that it fires when nothing else can help the order.
    fn may_fire(&self, tables: &Tables, moment: &Moment, timer: Number) -> bool {
        let sent = tables.sent(timer);
        let Content::Timer(timer) = &sent.content else { return false };
        match timer.step.as_str() {
            "expire" => self.configuration.expires,
            "compensate" if timer.round >= self.configuration.compensations => {
                let helps = |message: &Number| {
                    let other = tables.sent(*message);
                    other.order == sent.order && !other.is_clients
                };
                !moment.flight.iter().any(helps)
            }
            _ => true,
        }
    }

    /// The moment after `action`.
    pub fn after(&self, moment: &Moment, action: Action) -> Moment {
        let mut next = moment.clone();
        match action {
            Action::Deliver { message, stays } => {
                self.take(&mut next, message, stays);
                self.process(&mut next, message);
            }
            Action::Fire { place } => self.process(&mut next, moment.armed[place]),
            Action::See { place } => {
                next.left.copies -= 1;
                next.fly(moment.armed[place]);
            }
            Action::Call { message, outcome, stays } => {
                self.take(&mut next, message, stays);
                self.call(&mut next, message, outcome);
            }
            Action::Purge { party } => {
                next.left.purges -= 1;
                let known = self.read();
                for claim in &mut next.claims {
                    claim.is_forgotten |= is_of(&known.tables, claim, party);
                }
            }
        }
        let known = self.read();
        if !self.is_hoarding {
            known.forget_what_cannot_come(&mut next);
        }
        judge(&self.configuration, &known.tables, &mut next);
        next
    }

    fn take(&self, moment: &mut Moment, message: Number, stays: bool) {
        if stays {
            moment.left.copies -= 1;
        } else {
            moment.land(message);
        }
    }

    /// A worker processes a message: it looks into the inbox, decides, saves and sends.
    fn process(&self, moment: &mut Moment, message: Number) {
        let known = self.read();
        let key = known.tables.sent(message).claim;
        let claim = moment.claim(key);
        match claim {
            Some(claim) if !claim.is_forgotten && claim.message == message => {
                self.note(RECOGNISED);
                let again = known.tables.list(claim.outputs);
                again.iter().for_each(|output| moment.fly(*output));
                return;
            }
            Some(claim) if !claim.is_forgotten => {
                self.note(ID_CONFLICT);
                return self.file_conflict(moment);
            }
            Some(_) => self.note(DECIDED_ANEW),
            None => {}
        }
        drop(known);
        let effect = self.effect(message, &moment.rows);
        for timer in &mut moment.armed {
            *timer = if *timer == message { 0 } else { *timer };
        }
        for (place, row) in &effect.rows {
            moment.rows[*place] = *row;
        }
        for (place, timer) in &effect.timers {
            moment.armed[*place] = *timer;
        }
        effect.bookings.iter().for_each(|booking| moment.books.enter(*booking));
        effect.broken.iter().for_each(|rule| moment.broken |= rule.bit());
        if effect.is_dead {
            moment.broken |= Rule::NothingDies.bit();
            return;
        }
        moment.put_claim(Claim { key, message, outputs: effect.outputs, is_forgotten: false });
        let known = self.read();
        known.tables.list(effect.outputs).iter().for_each(|output| moment.fly(*output));
    }

    /// A message under the id of another is a dead letter. It takes an inbox that forgets to make
    /// one.
    fn file_conflict(&self, moment: &mut Moment) {
        if self.configuration.left.purges == 0 {
            moment.broken |= Rule::NothingDies.bit();
        }
    }

    /// What the shipped decision is.
    fn effect(&self, message: Number, rows: &[Number; ROWS]) -> Arc<Effect> {
        let known = self.read();
        let mut kept = [0; SCOPE];
        let scope = &known.tables.sent(message).scope;
        kept.iter_mut().zip(scope).for_each(|(kept, place)| *kept = rows[*place]);
        if let Some(effect) = known.effects.get(&(message, kept)) {
            return effect.clone();
        }
        drop(known);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let Known { workers, tables, effects, .. } = &mut *known;
        let To::Worker(party) = tables.sent(message).to else { return Arc::default() };
        let effect = Arc::new(workers.of(party).decide(tables, message, rows));
        effects.insert((message, kept), effect.clone());
        self.witness(&effect.event);
        effect
    }

    /// The effect runner makes its calls for a request, and brings the answer back.
    fn call(&self, moment: &mut Moment, message: Number, outcome: Outcome) {
        let known = self.read();
        let sent = known.tables.sent(message);
        let Content::Message(request, queue) = &sent.content else { return };
        let (Some(asked), Some(order)) = (sent.asks, sent.order) else { return };
        if !outcome.happen(asked, moment, order) {
            moment.broken |= Rule::ProviderAgrees.bit();
        }
        if let Some(answer) = known.answers.get(&(message, outcome)) {
            return moment.fly(*answer);
        }
        let answer = outcome.answer(request, queue);
        drop(known);
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let answer = known.tables.number_message(answer, "the provider");
        known.answers.insert((message, outcome), answer);
        moment.fly(answer);
    }

    fn note(&self, kind: &'static str) {
        let all = (1u32 << self.configuration.scenes.len()) - 1;
        if self.happened.load(Ordering::Relaxed) != all {
            self.witness(&Event { kind, ..Event::default() });
        }
    }

    fn witness(&self, event: &Event) {
        for (number, scene) in self.configuration.scenes.iter().enumerate() {
            if scene.is(event) {
                self.happened.fetch_or(1 << number, Ordering::Relaxed);
            }
        }
    }

    /// Whether the scene with this number has happened, and nobody was told so before.
    pub fn is_news(&self, scene: usize) -> bool {
        let bit = 1 << scene;
        self.happened.load(Ordering::Relaxed) & bit != 0
            && self.told.fetch_or(bit, Ordering::Relaxed) & bit == 0
    }

    /// Whether no moment before broke the rule with this number.
    pub fn is_first_to_break(&self, rule: usize) -> bool {
        self.broken.fetch_or(1 << rule, Ordering::Relaxed) & (1 << rule) == 0
    }

    /// How many decisions were asked of the workers.
    pub fn decisions(&self) -> usize {
        self.read().effects.len()
    }
}

impl Known {
    /// Leaves out inbox rows that have no say any more: a message that is not on its way comes
    /// again only if what caused it does.
    fn forget_what_cannot_come(&self, moment: &mut Moment) {
        if moment.claims.is_empty() {
            return;
        }
        let mut can_come: Vec<Number> = moment.flight.clone();
        can_come.extend(moment.armed.iter().filter(|timer| **timer != 0));
        let mut kept = vec![false; moment.claims.len()];
        while let Some(message) = can_come.pop() {
            let sent = self.tables.sent(message);
            if sent.to == To::Provider {
                let answers = Outcome::ALL.into_iter();
                can_come.extend(answers.filter_map(|o| self.answers.get(&(message, o))));
            }
            let found = moment.claims.binary_search_by_key(&sent.claim, |claim| claim.key);
            if let Ok(at) = found
                && !kept[at]
            {
                kept[at] = true;
                can_come.extend(self.tables.list(moment.claims[at].outputs));
            }
        }
        let mut kept = kept.into_iter();
        moment.claims.retain(|_| kept.next() == Some(true));
    }
}

/// Whether a row stands in the inbox of `party`, and is not purged.
fn is_of(tables: &Tables, claim: &Claim, party: Party) -> bool {
    !claim.is_forgotten && tables.sent(claim.message).to == To::Worker(party)
}

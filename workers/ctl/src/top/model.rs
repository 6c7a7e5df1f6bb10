//! What is known, from everything the sources have told so far. Pure.

use std::collections::{BTreeMap, VecDeque};

use orderly_contracts::routes::Party;
use orderly_runtime::broker::Depth;
use orderly_runtime::topology::{Queue, Role, WORKERS, work_queues};

use super::report::{Away, Doing, Kind, QueueLine, Report, WorkerLine};
use super::snapshot::{Counts, Group, Managed, Tables, Update};
use crate::look::Look;

/// How many seconds are remembered.
const REMEMBERED: usize = 120;

/// What the sources have told.
#[derive(Debug)]
pub(crate) struct Model {
    broker: String,
    topology: Vec<Queue>,
    depths: Option<Look<BTreeMap<String, Depth>>>,
    /// Without an address of the management API, nothing is expected from it.
    has_management: bool,
    managed: Option<Look<Managed>>,
    tables: BTreeMap<Party, Look<Tables>>,
    past: Past,
}

/// Values of the last seconds, the oldest first.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Past {
    queues: BTreeMap<String, VecDeque<u64>>,
    placed: VecDeque<u64>,
    ended: VecDeque<u64>,
    latency_ms: VecDeque<u64>,
}

fn remember(values: &mut VecDeque<u64>, value: u64) {
    if values.len() == REMEMBERED {
        values.pop_front();
    }
    values.push_back(value);
}

impl Past {
    /// Orders placed a second, in tenths.
    pub(crate) fn placed(&self) -> Vec<u64> {
        self.placed.iter().copied().collect()
    }

    /// Orders ended a second, in tenths.
    pub(crate) fn ended(&self) -> Vec<u64> {
        self.ended.iter().copied().collect()
    }

    /// The 95th percentile of the latency.
    pub(crate) fn latency_ms(&self) -> Vec<u64> {
        self.latency_ms.iter().copied().collect()
    }
}

impl Model {
    /// Nothing is known yet about the system at `broker`.
    pub(crate) fn new(broker: String, topology: Vec<Queue>, has_management: bool) -> Self {
        Self {
            broker,
            topology,
            depths: None,
            has_management,
            managed: None,
            tables: BTreeMap::new(),
            past: Past::default(),
        }
    }

    /// Takes news in; whether they are the first of their source.
    pub(crate) fn take(&mut self, update: Update) -> bool {
        match update {
            Update::Depths(look) => self.depths.replace(look).is_none(),
            Update::Managed(look) => self.managed.replace(look).is_none(),
            Update::Tables(party, look) => self.tables.insert(party, look).is_none(),
        }
    }

    /// How many sources have told nothing yet.
    pub(crate) fn unheard(&self) -> usize {
        let is_awaited = self.has_management && self.managed.is_none();
        usize::from(self.depths.is_none())
            + usize::from(is_awaited)
            + (WORKERS.len() - self.tables.len())
    }

    /// A second has passed: remembers how things are.
    pub(crate) fn tick(&mut self) {
        for queue in self.queues() {
            let past = self.past.queues.entry(queue.name).or_default();
            remember(past, queue.ready.unwrap_or_default());
        }
        let orders = self.tables(Party::Order).and_then(|it| it.orders.as_ref());
        // Tenths, for a spark needs whole numbers, and one order in five seconds is something.
        let tenths = |rate: f64| (rate * 10.0).round() as u64;
        let (placed, ended, latency) = orders.map_or((0, 0, 0), |orders| {
            let latency = orders.latency.map_or(0, |latency| latency.p95_ms);
            (tenths(orders.placed_per_second), tenths(orders.ended_per_second()), latency)
        });
        remember(&mut self.past.placed, placed);
        remember(&mut self.past.ended, ended);
        remember(&mut self.past.latency_ms, latency);
    }

    /// The last two minutes.
    pub(crate) fn past(&self) -> &Past {
        &self.past
    }

    /// Everything that is known.
    pub(crate) fn report(&self) -> Report {
        let managed = self.managed();
        let mut groups: Vec<Group> =
            self.tables.values().flatten().flat_map(|tables| tables.groups.clone()).collect();
        groups.sort_by(|one, other| (other.letters, &one.group).cmp(&(one.letters, &other.group)));
        let mut queues = self.queues();
        for queue in &mut queues {
            let past = self.past.queues.get(&queue.name);
            queue.past = past.into_iter().flatten().copied().collect();
        }
        Report {
            broker: self.broker.clone(),
            has_management: self.has_management,
            unheard: self.unheard(),
            away: self.away(),
            alarms: managed.map(|it| it.alarms.clone()).unwrap_or_default(),
            queues,
            workers: WORKERS.map(|party| self.worker(party)).to_vec(),
            orders: self.tables(Party::Order).and_then(|it| it.orders.clone()),
            dead_letters: groups,
        }
    }

    fn managed(&self) -> Option<&Managed> {
        self.managed.as_ref()?.as_ref().ok()
    }

    fn tables(&self, party: Party) -> Option<&Tables> {
        self.tables.get(&party)?.as_ref().ok()
    }

    fn away(&self) -> Vec<Away> {
        let mut away = Vec::new();
        let mut say = |source: String, why: &str| away.push(Away { source, why: why.to_owned() });
        if let Some(Err(why)) = &self.depths {
            say("broker".to_owned(), why);
        }
        if let Some(Err(why)) = &self.managed {
            say("management".to_owned(), why);
        }
        for (party, look) in &self.tables {
            if let Err(why) = look {
                say(format!("{party} database"), why);
            }
        }
        away
    }

    /// Work queues first, worker by worker; then what should be empty.
    fn queues(&self) -> Vec<QueueLine> {
        let mut lines: Vec<QueueLine> = Vec::new();
        for queue in &self.topology {
            let line = self.queue(queue);
            match lines.iter_mut().find(|it| it.name == line.name) {
                Some(whole) => *whole = sum(whole, &line),
                None => lines.push(line),
            }
        }
        lines.sort_by_key(|line| line.kind);
        lines
    }

    fn queue(&self, queue: &Queue) -> QueueLine {
        let depth = self.depths.as_ref().and_then(|it| it.as_ref().ok()?.get(&queue.name));
        let counts: Option<&Counts> = self.managed().and_then(|it| it.queues.get(&queue.name));
        let (name, kind) = match queue.role {
            Role::Work => (queue.name.clone(), Kind::Work),
            Role::Retry { .. } => (format!("{}.retry", queue.party), Kind::Retry),
            Role::Dead => (queue.name.clone(), Kind::Dead),
            Role::Parked => (queue.name.clone(), Kind::Parked),
        };
        QueueLine {
            name,
            kind,
            // AMQP is asked every second; the management API counts every five.
            ready: depth.map(|it| it.ready.into()).or(counts.map(|it| it.ready)),
            consumers: depth.map(|it| it.consumers.into()).or(counts.map(|it| it.consumers)),
            unacked: counts.map(|it| it.unacked),
            in_per_second: counts.map(|it| it.in_per_second),
            out_per_second: counts.map(|it| it.out_per_second),
            past: vec![],
        }
    }

    fn worker(&self, party: Party) -> WorkerLine {
        let tables = self.tables(party);
        let pause = tables.and_then(|it| it.pause.clone());
        let consumers: Vec<(&str, Option<u64>)> = work_queues(party)
            .into_iter()
            .map(|name| {
                let queue = self.topology.iter().find(|queue| queue.name == name);
                (name, queue.and_then(|queue| self.queue(queue).consumers))
            })
            .collect();
        let connected = self
            .managed()
            .and_then(|it| it.replicas.as_ref())
            .map(|all| all.iter().filter(|replica| replica.party == party).count() as u64);
        // A replica consumes each of its queues once, unless it is paused.
        let consuming = consumers.iter().filter_map(|(_, count)| *count).max();
        let replicas = connected.max(consuming);
        let (state, note) = doing(pause.is_some(), &consumers, replicas);
        WorkerLine {
            worker: party,
            state,
            replicas,
            outputs: tables.map(|it| it.outputs.count),
            oldest_output_seconds: tables.map(|it| it.outputs.oldest_seconds),
            due: tables.map(|it| it.due.count),
            oldest_due_seconds: tables.map(|it| it.due.oldest_seconds),
            pause,
            note,
        }
    }
}

/// What a worker is doing whose queues have so many consumers.
fn doing(
    is_paused: bool,
    consumers: &[(&str, Option<u64>)],
    replicas: Option<u64>,
) -> (Doing, Option<String>) {
    if is_paused {
        return (Doing::Paused, None);
    }
    if consumers.iter().any(|(_, count)| count.is_none()) {
        return (Doing::Unknown, None);
    }
    let idle: Vec<&str> =
        consumers.iter().filter(|(_, count)| *count == Some(0)).map(|(name, _)| *name).collect();
    match (idle.len(), replicas) {
        (0, _) => (Doing::Ready, None),
        (count, _) if count < consumers.len() => {
            (Doing::Partly, Some(format!("nobody consumes {}", idle.join(", "))))
        }
        (_, Some(1..)) => {
            (Doing::Waiting, Some("connected, and consumes nothing: see its /readyz".to_owned()))
        }
        _ => (Doing::Away, Some("no replica is there".to_owned())),
    }
}

/// Two queues as one line; what is unknown of one is unknown of both.
fn sum(one: &QueueLine, other: &QueueLine) -> QueueLine {
    let whole = |one: Option<u64>, other: Option<u64>| Some(one? + other?);
    let rate = |one: Option<f64>, other: Option<f64>| Some(one? + other?);
    QueueLine {
        name: one.name.clone(),
        kind: one.kind,
        ready: whole(one.ready, other.ready),
        unacked: whole(one.unacked, other.unacked),
        in_per_second: rate(one.in_per_second, other.in_per_second),
        out_per_second: rate(one.out_per_second, other.out_per_second),
        consumers: whole(one.consumers, other.consumers),
        past: vec![],
    }
}

#[cfg(test)]
mod tests {
    use super::super::sample;
    use super::*;

    fn worker(model: &Model, party: Party) -> WorkerLine {
        model.report().workers.into_iter().find(|line| line.worker == party).unwrap()
    }

    #[test]
    fn the_first_news_of_every_source_make_it_complete() {
        let mut model = sample::unknown();
        let news = sample::news();
        let count = news.len();
        for (place, update) in news.into_iter().enumerate() {
            assert_eq!(model.unheard(), count - place);
            assert!(model.take(update));
        }
        assert_eq!(model.unheard(), 0);
        assert!(!model.take(Update::Depths(Err("away".to_owned()))), "not the first");
    }

    #[test]
    fn rungs_are_one_line_and_amqp_knows_better_than_management() {
        let report = sample::busy().report();
        let names: Vec<_> = report.queues.iter().map(|line| line.name.as_str()).collect();
        assert_eq!(names.len(), 7 + 3 * 3, "{names:?}");
        let find = |name: &str| report.queues.iter().find(|line| line.name == name).unwrap();
        assert_eq!(find("order.new").ready, Some(120), "as AMQP says");
        assert_eq!(find("order.new").unacked, Some(500));
        assert_eq!(find("stock.retry").ready, Some(7), "two rungs");
        assert_eq!((report.queues[0].kind, report.queues[15].kind), (Kind::Work, Kind::Parked));
    }

    #[test]
    fn what_a_worker_does_is_told_from_its_consumers_and_its_pause() {
        let (one, none, unknown) = (Some(1), Some(0), None);
        let table = [
            (true, [none, none], one, Doing::Paused),
            (false, [one, one], one, Doing::Ready),
            (false, [one, none], one, Doing::Partly),
            (false, [none, none], one, Doing::Waiting),
            (false, [none, none], none, Doing::Away),
            (false, [none, none], unknown, Doing::Away),
            (false, [one, unknown], one, Doing::Unknown),
        ];
        for (is_paused, [new, answers], replicas, expected) in table {
            let consumers = [("order.new", new), ("order.answers", answers)];
            let (state, _) = doing(is_paused, &consumers, replicas);
            assert_eq!(state, expected, "{consumers:?}");
        }
        assert_eq!(worker(&sample::busy(), Party::Stock).state, Doing::Paused);
    }

    #[test]
    fn a_source_that_is_away_is_said_and_its_numbers_are_unknown() {
        let mut model = sample::busy();
        model.take(Update::Depths(Err("refused".to_owned())));
        model.take(Update::Managed(Err("no answer".to_owned())));
        model.take(Update::Tables(Party::Order, Err("gone".to_owned())));
        let report = model.report();
        let away: Vec<_> = report.away.iter().map(|it| it.source.as_str()).collect();
        assert_eq!(away, ["broker", "management", "order database"]);
        assert_eq!((report.queues[0].ready, report.orders), (None, None));
        assert_eq!(worker(&model, Party::Payment).state, Doing::Unknown);
        for update in sample::news() {
            model.take(update);
        }
        assert!(model.report().away.is_empty(), "it recovers by itself");
    }

    #[test]
    fn the_past_is_kept_for_two_minutes() {
        let mut model = sample::busy();
        for _ in 0..REMEMBERED + 5 {
            model.tick();
        }
        assert_eq!(model.report().queues[0].past, vec![120; REMEMBERED]);
        assert_eq!(model.past().placed().last(), Some(&1_005), "in tenths");
    }
}

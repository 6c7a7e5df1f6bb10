//! The plan of a simulation: everything that is decided beforehand, derived from a seed alone.

use std::fmt;

use fastrand::Rng;
use orderly_contracts::routes::route;
use orderly_runtime::message::{Outgoing, Properties};
use serde_json::{Value, json};

use crate::sky::{Climate, Strike};
use crate::weather::SQL_POISON;

/// For how long clients send and processes come to harm, in milliseconds of virtual time.
const STORM_MS: u64 = 1_000;
/// The articles that there are.
const ARTICLES: [&str; 2] = ["chair", "lamp"];

/// What happens in a simulation. Two runs of the same plan are the same.
#[derive(Debug, Clone)]
pub struct Plan {
    /// What everything follows from.
    pub seed: u64,
    /// What servers do.
    pub climate: Climate,
    /// How many order, stock and payment workers there are.
    pub replicas: [usize; 3],
    /// The most messages in a batch.
    pub batch_messages: usize,
    /// How long until a step is asked for again, in milliseconds.
    pub ask_again_ms: u64,
    /// After how long a step is given up, in milliseconds.
    pub give_up_ms: u64,
    /// After how long a reservation expires that nobody settles, in milliseconds, if it ever does.
    pub expiry_ms: Option<u64>,
    /// Whether every payment is a call to a provider outside.
    pub pays_outside: bool,
    /// For how long faults happen, in milliseconds.
    pub storm_ms: u64,
    /// What clients send, and when, in milliseconds.
    pub sendings: Vec<(u64, Sending)>,
    /// What happens to processes, and when, in milliseconds.
    pub mishaps: Vec<(u64, Mishap)>,
}

/// A message that a client sends.
#[derive(Clone)]
pub struct Sending(pub Outgoing);

impl fmt::Debug for Sending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Outgoing { routing_key, body, .. } = &self.0;
        write!(f, "{routing_key} {} {}", self.0.id(), String::from_utf8_lossy(body))
    }
}

/// What happens to a process, counted over all of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mishap {
    /// It ends at once, and is started again after so many milliseconds.
    Crash(usize, u64),
    /// It is asked to stop, and is started again when it has.
    Stop(usize),
    /// All connections to the broker are cut: it was restarted.
    CutAll,
}

impl Plan {
    /// The plan that follows from `seed`.
    pub fn new(seed: u64) -> Self {
        let mut rng = Rng::with_seed(seed);
        let replicas = [(); 3].map(|()| if rng.u8(..4) == 0 { 2 } else { 1 });
        let processes: usize = replicas.iter().sum();
        let has_expiry = rng.u8(..8) == 0;
        Self {
            seed,
            climate: climate(&mut rng),
            replicas,
            batch_messages: [1, 2, 5, 500][rng.usize(..4)],
            ask_again_ms: rng.u64(300..900),
            give_up_ms: [1_000, 60_000][rng.usize(..2)],
            expiry_ms: has_expiry.then(|| rng.u64(500..2_000)),
            pays_outside: rng.bool(),
            storm_ms: STORM_MS + rng.u64(..STORM_MS),
            sendings: sendings(&mut rng),
            mishaps: mishaps(&mut rng, processes),
        }
    }
}

/// Some kinds of strikes at a time: all of them at once would hide what only a few can show.
fn climate(rng: &mut Rng) -> Climate {
    let some = Strike::ALL.iter().filter(|_| rng.bool()).copied().collect::<Vec<_>>();
    let often = |strike| match strike {
        Strike::ProviderFails | Strike::ProviderHangs => [50, 300, 800],
        _ => [5, 20, 60],
    };
    Climate {
        often: some.into_iter().map(|strike| (strike, often(strike)[rng.usize(..3)])).collect(),
        slow_percent: [5, 20, 40][rng.usize(..3)],
        delay_max_ms: [3, 15, 60][rng.usize(..3)],
        counts_returns: rng.bool(),
    }
}

fn mishaps(rng: &mut Rng, processes: usize) -> Vec<(u64, Mishap)> {
    let count = rng.usize(..6);
    let mut mishaps: Vec<_> = (0..count)
        .map(|_| {
            let process = rng.usize(..processes);
            let mishap = match rng.u8(..8) {
                0 => Mishap::CutAll,
                1 | 2 => Mishap::Stop(process),
                3 => Mishap::Crash(process, rng.u64(..2_000)),
                _ => Mishap::Crash(process, rng.u64(..300)),
            };
            (rng.u64(..STORM_MS), mishap)
        })
        .collect();
    mishaps.sort_by_key(|(at, _)| *at);
    mishaps
}

fn one_of(rng: &mut Rng, numbers: &[i64]) -> i64 {
    numbers[rng.usize(..numbers.len())]
}

/// A message of `kind` under `id`.
pub fn message(kind: &str, id: &str, body: &Value) -> Outgoing {
    raw(kind, id, body.to_string().into_bytes())
}

fn raw(kind: &str, id: &str, body: Vec<u8>) -> Outgoing {
    Outgoing {
        exchange: route(kind).expect("it is a message of the contract").exchange.to_owned(),
        routing_key: kind.to_owned(),
        mandatory: true,
        properties: Properties::of(kind, id),
        body,
    }
}

fn sendings(rng: &mut Rng) -> Vec<(u64, Sending)> {
    let mut all = Vec::new();
    for sku in ARTICLES {
        let body = json!({ "adjustment_id": format!("in-{sku}"), "sku": sku,
                           "delta": one_of(rng, &[2, 8, 100]) });
        all.push((0, message("stock.adjust.v1", &format!("in-{sku}"), &body)));
    }
    for n in 0..rng.usize(2..=5) {
        order(rng, &format!("o{n}"), &mut all);
    }
    strangers(rng, &mut all);
    // What is sent twice is the same message, now or later.
    let again: Vec<_> = all.iter().filter(|_| rng.u8(..6) == 0).cloned().collect();
    all.extend(again.into_iter().map(|(at, message)| (at + rng.u64(..STORM_MS), message)));
    all.sort_by_key(|(at, _)| *at);
    all.into_iter().map(|(at, message)| (at, Sending(message))).collect()
}

fn order(rng: &mut Rng, id: &str, all: &mut Vec<(u64, Outgoing)>) {
    let at = rng.u64(..STORM_MS / 2);
    let tokens = ["tok_visa", "tok_visa", "tok_visa", "tok_decline", "tok_flaky", "tok_hang"];
    let token = tokens[rng.usize(..tokens.len())];
    let lines: Vec<Value> = (0..rng.usize(1..=2))
        .map(|_| {
            json!({ "sku": ARTICLES[rng.usize(..2)], "quantity": rng.i64(1..=3),
                    "unit_price": one_of(rng, &[0, 250, 250, 250]),
                    "service": rng.u8(..10) == 0 })
        })
        .collect();
    let place = |lines: &[Value]| json!({ "order_id": id, "lines": lines, "currency": "GBP", "payment_token": token });
    all.push((at, message("order.place.v1", &format!("place-{id}"), &place(&lines))));
    if rng.u8(..4) == 0 {
        let at = rng.u64(..STORM_MS);
        let cancel = json!({ "order_id": id });
        all.push((at, message("order.cancel.v1", &format!("cancel-{id}"), &cancel)));
    }
    let other = json!({ "sku": ARTICLES[0], "quantity": 1, "unit_price": 99 });
    match rng.u8(..12) {
        0 => {
            let again = message("order.place.v1", &format!("again-{id}"), &place(&lines));
            all.push((rng.u64(..STORM_MS), again));
        }
        1 => {
            let content = place(&[other]);
            let otherwise = message("order.place.v1", &format!("otherwise-{id}"), &content);
            all.push((rng.u64(..STORM_MS), otherwise));
        }
        2 => {
            let content = place(&[other]);
            let conflict = message("order.place.v1", &format!("place-{id}"), &content);
            all.push((rng.u64(..STORM_MS), conflict));
        }
        _ => {}
    }
}

/// Messages that nothing good can come of, among the others.
fn strangers(rng: &mut Rng, all: &mut Vec<(u64, Outgoing)>) {
    if rng.u8(..3) == 0 {
        let body = b"{\"order_id\":".to_vec();
        all.push((rng.u64(..STORM_MS), raw("order.place.v1", "unreadable", body)));
    }
    if rng.u8(..4) == 0 {
        let body = json!({ "adjustment_id": "poison", "sku": ARTICLES[0], "delta": 1 });
        all.push((rng.u64(..STORM_MS), message("stock.adjust.v1", SQL_POISON, &body)));
    }
    if rng.u8(..6) == 0 {
        let body = json!({ "order_id": "nobodys", "amount": 100, "currency": "GBP" });
        all.push((rng.u64(..STORM_MS), message("payment.charged.v1", "stranger", &body)));
    }
}

//! How the system may be set up: what clients send, what may go wrong, and how often.

use std::time::Duration;

use orderly_order::{Deadlines, Order};
use orderly_payment::Payment;
use orderly_runtime::message::Outgoing;
use orderly_stock::Stock;

use crate::client;
use crate::moment::Left;
use crate::place::{ADJUSTMENTS, ITEMS, SKUS};
use crate::scene::Scene;
use crate::service::{Service, Workers};

/// How the system is set up.
#[derive(Debug, Clone)]
pub struct Configuration {
    /// What it is called.
    pub name: &'static str,
    /// What it is about.
    pub about: &'static str,
    /// What clients send, for each way in which it may begin.
    pub starts: Vec<Vec<Outgoing>>,
    /// The pieces of each article at the beginning.
    pub stock: [i64; ITEMS],
    /// How often a step forward is asked for before it is given up.
    pub asks: u32,
    /// How often a compensation may be asked for again while it is on its way.
    pub compensations: u32,
    /// What may go wrong, and how often.
    pub left: Left,
    /// Reservations may expire.
    pub expires: bool,
    /// Charges are calls to the provider.
    pub calls: bool,
    /// The provider may contradict itself.
    pub contrary: bool,
    /// What has to happen somewhere.
    pub scenes: Vec<Scene>,
}

impl Configuration {
    /// The least that a configuration can be: nothing is sent, and nothing goes wrong.
    pub fn new(name: &'static str, about: &'static str) -> Self {
        Self {
            name,
            about,
            starts: vec![],
            stock: [0; ITEMS],
            asks: 1,
            compensations: 0,
            left: Left { copies: 0, failures: 0, purges: 0 },
            expires: false,
            calls: false,
            contrary: false,
            scenes: vec![],
        }
    }

    /// How the articles come into stock.
    pub fn openings(&self) -> Vec<Outgoing> {
        let articles = SKUS.into_iter().zip(ADJUSTMENTS).zip(self.stock);
        let stocked = articles.filter(|(_, pieces)| *pieces > 0);
        stocked.map(|((sku, id), pieces)| client::adjust(id, sku, pieces)).collect()
    }

    /// No order may ask more often than this.
    pub fn rounds_max(&self) -> u32 {
        let failures = u32::from(self.left.failures);
        self.asks.max(self.compensations) + failures + 1
    }

    /// When the order worker gives up: after so many rounds of a second each.
    pub fn deadlines(&self) -> Deadlines {
        let second = Duration::from_secs(1);
        Deadlines { ask_again: second, longest_wait: second, give_up: second * self.asks }
    }

    /// The workers as they ship.
    pub fn shipped(&self) -> Workers {
        Workers {
            order: Box::new(Service::new(Order { policy: self.deadlines() })),
            stock: Box::new(Service::new(Stock::default())),
            payment: Box::new(Service::new(Payment::default())),
        }
    }
}

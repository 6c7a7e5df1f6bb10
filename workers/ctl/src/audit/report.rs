//! The result of an audit: tables for people, one document for programs.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;
use serde::Serialize;

use crate::audit::arrivals::Arrivals;
use crate::audit::articles::Articles;
use crate::audit::tally::{Listed, MoneySum, NamedViolation, OpenOrder, Tally};
use crate::audit::waiting::{Outbox, QueueDepth, QueueKind, Waiting};
use crate::output::{self, Side};

/// How many open orders people are shown by name.
const SHOWN: usize = 20;

/// The result, with stable names.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// `violated`, `open` or `clean`.
    verdict: &'static str,
    orders: Orders,
    violations: Listed<NamedViolation>,
    open: Listed<OpenOrder>,
    articles: Articles,
    money: Vec<Money>,
    queues: Vec<QueueDepth>,
    outboxes: Vec<Outbox>,
    receipts: Option<Arrivals>,
    /// Suspects beyond those that are read again; their verdict is that of one reading.
    judged_by_one_reading: u64,
    seconds: f64,
    reading_seconds: f64,
    orders_per_second: f64,
}

#[derive(Debug, Serialize)]
struct Orders {
    total: u64,
    clean: BTreeMap<&'static str, u64>,
    open: BTreeMap<&'static str, u64>,
    violated: u64,
}

/// What all orders of a currency come to, in minor units.
#[derive(Debug, Serialize)]
struct Money {
    currency: String,
    captured: i128,
    refunded: i128,
    confirmed: i128,
    open: i128,
}

/// How long the audit took.
pub(crate) struct Times {
    /// Until every order had been read once.
    pub(crate) reading: Duration,
    /// Until everything had settled.
    pub(crate) total: Duration,
}

impl Report {
    /// Sums everything up.
    pub(crate) fn new(
        tally: Tally,
        articles: Articles,
        waiting: Waiting,
        receipts: Option<Arrivals>,
        judged_by_one_reading: u64,
        times: &Times,
    ) -> Self {
        let is_open =
            tally.open_orders.total > 0 || receipts.as_ref().is_some_and(|it| it.queued > 0);
        let total = tally.orders();
        let reading_seconds = times.reading.as_secs_f64();
        let money = tally.money.into_iter().map(|(currency, sum)| Money::new(currency, sum));
        Self {
            verdict: match tally.violations.total {
                0 if is_open => "open",
                0 => "clean",
                _ => "violated",
            },
            money: money.collect(),
            orders: Orders {
                total,
                clean: tally.clean.into_iter().map(|(it, count)| (it.word(), count)).collect(),
                open: tally.open,
                violated: tally.violated,
            },
            violations: tally.violations,
            open: tally.open_orders,
            articles,
            queues: waiting.queues,
            outboxes: waiting.outboxes,
            receipts,
            judged_by_one_reading,
            seconds: times.total.as_secs_f64(),
            reading_seconds,
            orders_per_second: total as f64 / reading_seconds.max(1e-6),
        }
    }

    /// Whether anything is violated.
    pub(crate) fn is_violated(&self) -> bool {
        self.violations.total > 0
    }

    /// Writes the result for people.
    pub(crate) fn show(&self) -> Result<()> {
        self.show_open()?;
        self.show_orders()?;
        self.show_sums()?;
        self.show_waiting()?;
        if self.judged_by_one_reading > 0 {
            output::line(format!(
                "{} beyond the first 100,000 were judged by one reading alone; \
                 audit again when the system is calm.",
                output::count(self.judged_by_one_reading, "suspect")
            ))?;
        }
        output::line(format!(
            "{} read in {:.1} s ({:.0} a second), settled after {:.1} s.",
            output::count(self.orders.total, "order"),
            self.reading_seconds,
            self.orders_per_second,
            self.seconds,
        ))?;
        output::line(match self.verdict {
            "clean" => "Verdict: clean. Nothing is lost and nothing is double.".to_owned(),
            "open" => "Verdict: nothing is violated; what is open has a reason.".to_owned(),
            _ => format!("Verdict: {}.", output::count(self.violations.total, "violation")),
        })
    }

    fn show_open(&self) -> Result<()> {
        for OpenOrder { order_id, reason, text } in self.open.list.iter().take(SHOWN) {
            output::line(format!("open: order {order_id}: {text} [{reason}]"))?;
        }
        let more = self.open.total.saturating_sub(SHOWN as u64);
        if more > 0 {
            output::line(format!("open: {more} more (--json names up to --limit of them)"))?;
        }
        Ok(())
    }

    fn show_orders(&self) -> Result<()> {
        let mut table = output::table(&[("orders", Side::Left), ("count", Side::Right)]);
        for (outcome, count) in &self.orders.clean {
            table.add_row([(*outcome).to_owned(), count.to_string()]);
        }
        for (reason, count) in &self.orders.open {
            table.add_row([format!("open: {reason}"), count.to_string()]);
        }
        table.add_row(["violated".to_owned(), self.orders.violated.to_string()]);
        output::show(&table, "no orders")
    }

    fn show_sums(&self) -> Result<()> {
        for sum in &self.money {
            let money = |minor_units| match i64::try_from(minor_units) {
                Ok(minor_units) => output::money(minor_units, &sum.currency),
                Err(_) => format!("{minor_units} minor units of {}", sum.currency),
            };
            output::line(format!(
                "Money: captured {}, refunded {}, confirmed orders cost {}, in open orders {}.",
                money(sum.captured),
                money(sum.refunded),
                money(sum.confirmed),
                money(sum.open),
            ))?;
        }
        let articles = &self.articles;
        output::line(format!(
            "Stock: {} with {} on hand and {} reserved, held against {} of the ledger.",
            output::count(articles.articles, "article"),
            articles.on_hand,
            articles.reserved,
            entries(articles.ledger_entries),
        ))?;
        if let Some(it) = &self.receipts {
            output::line(format!(
                "Receipts: {}: {} received, {} dead letters, {} perhaps still queued, {} lost.",
                it.receipts, it.received, it.dead_letters, it.queued, it.lost
            ))?;
        }
        Ok(())
    }

    fn show_waiting(&self) -> Result<()> {
        let sum = |kind| -> u64 {
            let queues = self.queues.iter().filter(|queue| queue.kind == kind);
            queues.map(|queue| u64::from(queue.ready)).sum()
        };
        let full = self.queues.iter().filter(|queue| queue.ready > 0);
        let names: Vec<String> =
            full.map(|queue| format!("{} {}", queue.name, queue.ready)).collect();
        let names = match names.as_slice() {
            [] => String::new(),
            names => format!(" ({})", names.join(", ")),
        };
        output::line(format!(
            "Queues: {} waiting for work, {} for another attempt, {} dead and not filed{names}.",
            sum(QueueKind::Work),
            sum(QueueKind::Retry),
            sum(QueueKind::Dead),
        ))?;
        for it in self.outboxes.iter().filter(|it| it.unsent_batches > 0) {
            output::line(format!(
                "Outbox of {}: {} batches not known to be published, the oldest for {} s.",
                it.party, it.unsent_batches, it.oldest_seconds
            ))?;
        }
        Ok(())
    }
}

impl Money {
    fn new(currency: String, sum: MoneySum) -> Self {
        let MoneySum { captured, refunded, confirmed, open } = sum;
        Self { currency, captured, refunded, confirmed, open }
    }
}

fn entries(number: i64) -> String {
    let plural = if number == 1 { "entry" } else { "entries" };
    format!("{number} {plural}")
}

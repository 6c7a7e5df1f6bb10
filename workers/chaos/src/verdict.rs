//! The verdict after a drill: everything has come to rest, nothing is lost, nothing is double.

mod ids;
mod rest;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use orderly_e2e::Databases;
use orderly_faults::trace::checker::{Certainty, Checker};
use orderly_faults::trace::file::TraceFile;
use orderly_faults::trace::{Name, Violation};
use orderly_runtime::topology::WORKERS;
use serde_json::json;

use crate::load::Book;
use crate::story::articles;
use crate::target::Target;

/// What the ids of the first stock begin with.
const GOODS_IN: &str = "goods-in-";
/// How often the system may be found moving after everybody had said that it rests.
const TRIES: u32 = 5;

/// What was found.
#[derive(Debug, Default)]
pub struct Verdict {
    /// Orders placed, by how they ended.
    pub outcomes: BTreeMap<String, i64>,
    /// Messages confirmed to the publisher.
    pub messages: usize,
    /// Dead letters that were meant to be.
    pub letters: usize,
    /// Messages that were given up because of the faults, and sent again by the operator's command.
    pub replayed: usize,
    /// Events of the trace.
    pub events: usize,
    /// How long it took to come to rest.
    pub rest: Duration,
    /// What is wrong.
    pub violations: Vec<String>,
    /// Where the trace is kept, if something is wrong with it.
    pub trace: Option<PathBuf>,
}

impl Verdict {
    /// Fails with everything that is wrong.
    pub fn expect_clean(self) -> Result<Self> {
        let shown: Vec<_> = self.violations.iter().take(30).map(String::as_str).collect();
        let count = self.violations.len();
        let kept = self.trace.as_ref().map(|path| format!("\ntrace: {}", path.display()));
        let kept = kept.unwrap_or_default();
        ensure!(count == 0, "{count} violations:\n{}{kept}", shown.join("\n"));
        Ok(self)
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let outcomes: Vec<_> =
            self.outcomes.iter().map(|(status, count)| format!("{count} {status}")).collect();
        write!(
            f,
            "{}; {} messages, {} letters, {} replayed, {} events, at rest after {:.1?}; \
             {} violations",
            outcomes.join(", "),
            self.messages,
            self.letters,
            self.replayed,
            self.events,
            self.rest,
            self.violations.len()
        )
    }
}

/// Waits until the system has come to rest, ends its workers, and judges what they have left.
pub async fn judge(target: &mut Target, book: &Book, limit: Duration) -> Result<Verdict> {
    let mut verdict = Verdict { messages: book.receipts.len(), ..Verdict::default() };
    let begun = Instant::now();
    come_to_rest(target, book, limit, &mut verdict).await?;
    verdict.rest = begun.elapsed();
    let databases = target.databases().await?;
    verdict.outcomes = databases.outcomes().await?;
    ids::judge(&databases, book, &mut verdict).await?;
    judge_ends(&databases, book, &mut verdict).await?;
    if let Err(broken) = databases.expect_conserved().await {
        verdict.violations.push(format!("{broken:#}"));
    }
    audit(target, book, &mut verdict)?;
    judge_trace(target.trace(), book, &mut verdict)?;
    Ok(verdict)
}

/// Ends the workers at a moment at which nothing moves: then nothing is in anybody's hands.
async fn come_to_rest(
    target: &mut Target,
    book: &Book,
    limit: Duration,
    verdict: &mut Verdict,
) -> Result<()> {
    for _ in 0..TRIES {
        verdict.replayed += rest::wait(target, book, limit).await?;
        target.dismiss_all().await?;
        if rest::queued(target).await?.is_empty() {
            return Ok(());
        }
        target.employ_all().await?;
    }
    bail!("the system does not come to rest: {:?}", rest::queued(target).await?)
}

/// Each order ended as it had to, and there is no other.
async fn judge_ends(databases: &Databases, book: &Book, verdict: &mut Verdict) -> Result<()> {
    let rows = databases.order.query("SELECT order_id, status FROM orders", &[]).await?;
    let found: BTreeMap<String, String> = rows.iter().map(|row| (row.get(0), row.get(1))).collect();
    for (order, ends) in &book.orders {
        match found.get(order) {
            Some(status) if ends.contains(&status.as_str()) => {}
            other => verdict.violations.push(format!("{order} is {other:?} instead of {ends:?}")),
        }
    }
    let strangers = found.keys().filter(|order| !book.orders.contains_key(*order));
    verdict.violations.extend(strangers.map(|order| format!("nobody placed {order}")));
    Ok(())
}

/// `orderly audit` with the receipts of the load.
fn audit(target: &Target, book: &Book, verdict: &mut Verdict) -> Result<()> {
    let mut receipts = tempfile::NamedTempFile::new()?;
    for (id, (kind, order)) in &book.receipts {
        let order = book.orders.contains_key(order).then_some(order);
        let line = json!({ "type": kind, "message_id": id, "order_id": order });
        writeln!(receipts, "{line}")?;
    }
    receipts.flush()?;
    let path = receipts.path().to_str().context("a path of ours is UTF-8")?;
    let arguments = ["audit", "--receipts", path, "--settle", "0s", "--sweep-after", "1s"];
    let (is_clean, said) = target.system().orderly(&arguments)?;
    if !is_clean {
        verdict.violations.push(format!("the audit is not clean:\n{said}"));
    }
    Ok(())
}

/// The trace of all workers, through the checker.
fn judge_trace(path: &Path, book: &Book, verdict: &mut Verdict) -> Result<()> {
    let mut checker = Checker::new(Certainty::Killed);
    let events = TraceFile::read(path)?;
    verdict.events = events.len();
    ensure!(verdict.events > 0, "the workers have left no trace");
    for event in events {
        checker.note(event);
    }
    let goods_in = articles().into_iter().map(|(sku, _)| format!("{GOODS_IN}{sku}"));
    let goods_in = goods_in.map(|id| Name::of("stock.adjust.v1", &id));
    let orders = book.receipts.iter().map(|(id, (kind, _))| Name::of(kind, id));
    let sent: BTreeSet<Name> = orders.chain(goods_in).collect();
    let said = checker.finish(&sent).iter().map(Violation::to_string).collect::<Vec<_>>();
    if !said.is_empty() {
        let kept = std::env::temp_dir().join(format!("orderly-trace-{}.jsonl", std::process::id()));
        std::fs::copy(path, &kept)?;
        verdict.trace = Some(kept);
    }
    verdict.violations.extend(said.into_iter().map(|said| format!("trace: {said}")));
    Ok(())
}

/// The database of each worker.
fn each(databases: &Databases) -> [(&'static str, &tokio_postgres::Client); 3] {
    let [order, stock, payment] = WORKERS.map(orderly_contracts::routes::Party::name);
    [(order, &databases.order), (stock, &databases.stock), (payment, &databases.payment)]
}

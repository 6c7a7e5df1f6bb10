//! The audit's judgement over what workers keep, wherever they keep it: for systems in memory.
//!
//! The rules are those of [`judge`]; only the facts come from the domains' own types, not from SQL.

use std::collections::BTreeMap;
use std::time::Duration;

use orderly_contracts::order;
use orderly_contracts::text::{OrderId, Sku};
use orderly_order::domain::{Entry, Saga};
use orderly_order::saga::Stage;
use orderly_payment::state as payment;
use orderly_runtime::clock::Micros;
use orderly_runtime::domain::Timer;
use orderly_stock::state as stock;

use crate::audit::articles::{Article, judge_article};
use crate::audit::facts::{
    Content, Deadline, Facts, Goods, History, Money, Moves, Order, Payment, PaymentSide,
    Reservation,
};
use crate::audit::verdict::{Verdict, judge};
use crate::audit::waiting::Waiting;

/// Something that is not as it should be: the audit's code, and its words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The code of the violation, or `open` for an order that has not come to rest.
    pub code: &'static str,
    /// What it is about, and what is wrong.
    pub text: String,
}

/// Everything that three workers keep.
#[derive(Debug, Clone, Copy)]
pub struct Books<'a> {
    /// The orders.
    pub orders: &'a BTreeMap<OrderId, Saga>,
    /// Their history.
    pub history: &'a [Entry],
    /// Their timers, by order id, and when each is due.
    pub timers: &'a BTreeMap<String, (Timer, Micros)>,
    /// Reservations, articles and adjustments.
    pub stock: &'a BTreeMap<stock::Key, stock::State>,
    /// The ledger of the stock.
    pub stock_ledger: &'a [stock::Posting],
    /// The payments.
    pub payments: &'a BTreeMap<OrderId, payment::State>,
    /// The ledger of the money.
    pub payment_ledger: &'a [payment::Posting],
}

/// Everything that is wrong in the books of a system at rest.
pub fn audit(books: Books<'_>) -> Vec<Finding> {
    let mut facts: BTreeMap<&str, Facts> = BTreeMap::new();
    for (id, saga) in books.orders {
        let timer = books.timers.get(id.as_str());
        of(&mut facts, id.as_str()).order.order = Some(order_of(saga, timer));
    }
    for entry in books.history {
        note(&mut of(&mut facts, entry.order_id.as_str()).order.history, entry);
    }
    for (key, state) in books.stock {
        if let (stock::Key::Reservation(id), stock::State::Reservation(it)) = (key, state) {
            of(&mut facts, id.as_str()).stock.reservation = Some(Reservation {
                status: it.status.word().to_owned(),
                lines: goods(it.goods.iter().map(|(sku, pieces)| (sku, *pieces))),
            });
        }
    }
    for posting in books.stock_ledger {
        if let Some(id) = posting.origin.order() {
            let moves = &mut of(&mut facts, id).stock.moves;
            add(moves.entry(posting.sku.to_string()).or_default(), posting);
        }
    }
    for (id, state) in books.payments {
        of(&mut facts, id.as_str()).payment.payment = Some(payment_of(state));
    }
    for posting in books.payment_ledger {
        count(&mut of(&mut facts, posting.order.as_str()).payment, posting);
    }
    let orders = facts.values().flat_map(findings);
    orders.chain(articles(books)).collect()
}

fn of<'f, 'a>(facts: &'f mut BTreeMap<&'a str, Facts>, id: &'a str) -> &'f mut Facts {
    let fresh = || Facts { order_id: id.to_owned(), ..Facts::default() };
    facts.entry(id).or_insert_with(fresh)
}

fn findings(facts: &Facts) -> Vec<Finding> {
    let about = &facts.order_id;
    match judge(facts, &Waiting::default()) {
        Verdict::Clean(_) => vec![],
        Verdict::Open(reason) => {
            vec![Finding { code: "open", text: format!("order {about}: {reason:?}") }]
        }
        Verdict::Violated(violations) => violations
            .into_iter()
            .map(|it| Finding { code: it.code(), text: format!("order {about}: {it}") })
            .collect(),
    }
}

fn order_of(saga: &Saga, timer: Option<&(Timer, Micros)>) -> Order {
    let (owes_release, owes_refund) = match saga.stage {
        Stage::Cancelling(undoing) => (undoing.owed.release, undoing.owed.refund),
        _ => (false, false),
    };
    let content = saga.placement.as_deref().map(|placed| {
        let lines = placed.lines.iter().filter(|line| !line.service);
        Content {
            goods: goods(lines.map(|line| (&line.sku, line.quantity.get()))),
            total: placed.total.get(),
            sum_of_lines: placed.lines.iter().map(cost).sum(),
            currency: placed.currency.to_string(),
        }
    });
    Order {
        status: saga.stage.status(),
        version: saga.version,
        content,
        owes_release,
        owes_refund,
        unchanged_for: Duration::ZERO,
        deadline: timer.map(|(timer, _)| Deadline {
            step: timer.step.clone(),
            round: i32::try_from(timer.round).unwrap_or(i32::MAX),
            due_in_seconds: 0,
        }),
    }
}

fn cost(line: &order::OrderLine) -> i128 {
    i128::from(line.quantity.get()) * i128::from(line.unit_price.get())
}

fn goods<'a>(lines: impl Iterator<Item = (&'a Sku, i64)>) -> Goods {
    let mut goods = Goods::new();
    for (sku, pieces) in lines {
        *goods.entry(sku.to_string()).or_default() += pieces;
    }
    goods
}

fn note(history: &mut History, entry: &Entry) {
    let is_first = history.entries == 0;
    history.entries += 1;
    history.first_version =
        if is_first { entry.version } else { history.first_version.min(entry.version) };
    // Versions rise one by one or the count of distinct ones falls behind that of entries.
    history.distinct_versions += i64::from(entry.version == history.last_version + 1);
    history.last_version = history.last_version.max(entry.version);
    history.terminal += i64::from(entry.to.is_final());
    history.last_status = entry.to.as_str().to_owned();
}

fn add(moves: &mut Moves, posting: &stock::Posting) {
    match posting.operation {
        stock::Operation::Adjust => {}
        stock::Operation::Reserve => moves.reserved += posting.pieces,
        stock::Operation::Release => moves.released += posting.pieces,
        stock::Operation::Expire => moves.expired += posting.pieces,
        stock::Operation::Commit => moves.committed += posting.pieces,
    }
}

fn payment_of(state: &payment::State) -> Payment {
    let charge = state.charge();
    Payment {
        status: state.word().to_owned(),
        amount: charge.map(|charge| charge.amount.get()),
        currency: charge.map(|charge| charge.currency.to_string()),
    }
}

fn count(side: &mut PaymentSide, posting: &payment::Posting) {
    let Money { captured, refunded, captures, refunds, capture_balance, refund_balance, .. } =
        &mut side.money;
    let is_ours = posting.account == payment::Account::Provider;
    match posting.movement {
        payment::Movement::Capture => {
            *capture_balance += posting.amount;
            *captures += i64::from(is_ours);
            *captured += if is_ours { posting.amount } else { 0 };
        }
        payment::Movement::Refund => {
            *refund_balance += posting.amount;
            *refunds += i64::from(is_ours);
            *refunded -= if is_ours { posting.amount } else { 0 };
        }
    }
    let currency = posting.currency.to_string();
    if !side.money.currencies.contains(&currency) {
        side.money.currencies.push(currency);
        side.money.currencies.sort();
    }
}

/// Every article against its ledger and its adjustments.
fn articles(books: Books<'_>) -> Vec<Finding> {
    let mut articles: BTreeMap<&Sku, Article> = BTreeMap::new();
    for state in books.stock {
        match state {
            (stock::Key::Item(sku), stock::State::Item(item)) => {
                articles.entry(sku).or_default().counts = Some((item.on_hand, item.reserved));
            }
            (stock::Key::Adjustment(_), stock::State::Adjustment(made)) => {
                if let stock::Outcome::Adjusted(_) = made.outcome {
                    let article = articles.entry(&made.sku).or_default();
                    article.made.0 += 1;
                    article.made.1 += made.delta.get();
                }
            }
            _ => {}
        }
    }
    for posting in books.stock_ledger {
        let article = articles.entry(&posting.sku).or_default();
        article.entries += 1;
        let (on_hand, reserved) = effect(posting);
        article.ledger.0 += on_hand;
        article.ledger.1 += reserved;
        if posting.operation == stock::Operation::Adjust {
            article.posted.0 += 1;
            article.posted.1 += posting.pieces;
        }
    }
    let judged = articles.into_iter().map(|(sku, article)| (sku, judge_article(&article)));
    judged
        .flat_map(|(sku, violations)| {
            violations
                .into_iter()
                .map(move |it| Finding { code: it.code(), text: format!("article {sku}: {it}") })
        })
        .collect()
}

/// What a line of the ledger adds to what is on hand, and to what is reserved.
fn effect(posting: &stock::Posting) -> (i64, i64) {
    let after = stock::Item::default().after(posting.operation, posting.pieces);
    (after.on_hand, after.reserved)
}

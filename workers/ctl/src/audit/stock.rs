//! The stock of an order: the reservation against its ledger, and both against the order.

use orderly_contracts::order::OrderStatus;

use crate::audit::facts::{Facts, Goods, Moves, Order, Reservation, StockSide};
use crate::audit::verdict::{Finding, Step, final_finding};
use crate::audit::violation::Violation;

/// What is wrong with a reservation and its ledger alone.
pub(crate) fn stock_against_itself(side: &StockSide) -> Vec<Violation> {
    if let Some(what) = &side.unreadable {
        return vec![Violation::Unreadable { what: what.clone() }];
    }
    let Some(reservation) = &side.reservation else {
        let lost = |(sku, moves): (&String, &Moves)| Violation::ReservationLost {
            sku: sku.clone(),
            held: moves.held(),
            committed: moves.committed,
        };
        return side.moves.iter().map(lost).collect();
    };
    let articles = side.articles().into_iter();
    articles.filter_map(|sku| ledger_of(sku, reservation, side)).collect()
}

fn ledger_of(sku: &str, reservation: &Reservation, side: &StockSide) -> Option<Violation> {
    let moves = side.moves.get(sku).copied().unwrap_or_default();
    let pieces = pieces_of(&reservation.lines, sku);
    let (should_hold, should_commit) = match reservation.status.as_str() {
        "reserved" => (pieces, 0),
        "committed" => (0, pieces),
        _ => (0, 0),
    };
    let (held, committed) = (moves.held(), moves.committed);
    if (held, committed) == (should_hold, should_commit) {
        return None;
    }
    if committed > should_commit && should_commit > 0 {
        return Some(Violation::CommittedTwice { sku: sku.to_owned(), committed, ordered: pieces });
    }
    Some(Violation::StockLedgerWrong {
        status: reservation.status.clone(),
        sku: sku.to_owned(),
        held,
        committed,
        should_hold,
        should_commit,
    })
}

/// What is wrong with the stock of an order, given where the order stands.
pub(crate) fn stock_of_the_order(facts: &Facts) -> Vec<Finding> {
    let reservation = facts.stock.reservation.as_ref();
    let Some(order) = &facts.order.order else {
        let unknown = reservation.filter(|_| facts.stock.has_effect());
        return unknown
            .map(|it| Violation::StockWithoutOrder { reservation: it.status.clone() })
            .map(final_finding)
            .into_iter()
            .collect();
    };
    match order.status {
        OrderStatus::Confirmed => of_confirmed(order, reservation),
        OrderStatus::Rejected | OrderStatus::Cancelled => of_ended(order, &facts.stock),
        OrderStatus::Pending | OrderStatus::Reserved | OrderStatus::Cancelling => {
            of_open(order, reservation)
        }
    }
}

fn of_confirmed(order: &Order, reservation: Option<&Reservation>) -> Vec<Finding> {
    let goods = goods_of(order);
    match reservation {
        // A lack of goods that is on record has been reported, and people deal with it.
        Some(it) if it.status == "committed" || it.status == "short" => differences(order, it),
        // Whatever became of the reservation: on `order.confirmed` the stock takes the goods.
        _ if !goods.is_empty() => {
            vec![(Violation::CommitMissing { reservation: word(reservation) }, Some(Step::Commit))]
        }
        Some(it) if it.status == "reserved" => differences(order, it),
        _ => vec![],
    }
}

fn of_ended(order: &Order, side: &StockSide) -> Vec<Finding> {
    if let Some(it) = committed(side.reservation.as_ref()) {
        return vec![final_finding(unconfirmed(order, it))];
    }
    let held = side.moves.iter().filter(|(_, moves)| moves.held() != 0);
    held.map(|(sku, moves)| {
        let violation = Violation::HeldAfterEnd {
            status: order.status.as_str(),
            sku: sku.clone(),
            held: moves.held(),
        };
        (violation, Some(Step::Release))
    })
    .collect()
}

fn of_open(order: &Order, reservation: Option<&Reservation>) -> Vec<Finding> {
    if let Some(it) = committed(reservation) {
        return vec![final_finding(unconfirmed(order, it))];
    }
    let had_goods = order.status == OrderStatus::Reserved && !goods_of(order).is_empty();
    match reservation {
        Some(it) if it.status == "reserved" => differences(order, it),
        Some(it) if had_goods && it.status == "rejected" => vec![missing(reservation)],
        None if had_goods => vec![missing(reservation)],
        _ => vec![],
    }
}

fn committed(reservation: Option<&Reservation>) -> Option<&Reservation> {
    reservation.filter(|it| it.status == "committed" || it.status == "short")
}

fn unconfirmed(order: &Order, reservation: &Reservation) -> Violation {
    Violation::CommittedUnconfirmed {
        status: order.status.as_str(),
        reservation: reservation.status.clone(),
    }
}

fn missing(reservation: Option<&Reservation>) -> Finding {
    final_finding(Violation::ReservationMissing { reservation: word(reservation) })
}

/// Articles of which something else is reserved than was ordered.
fn differences(order: &Order, reservation: &Reservation) -> Vec<Finding> {
    let goods = goods_of(order);
    let mut articles: Vec<&String> = goods.keys().chain(reservation.lines.keys()).collect();
    articles.sort_unstable();
    articles.dedup();
    articles
        .into_iter()
        .map(|sku| (sku, pieces_of(goods, sku), pieces_of(&reservation.lines, sku)))
        .filter(|(_, ordered, reserved)| ordered != reserved)
        .map(|(sku, ordered, reserved)| Violation::GoodsDiffer {
            sku: sku.clone(),
            ordered,
            reserved,
        })
        .map(final_finding)
        .collect()
}

fn pieces_of(goods: &Goods, sku: &str) -> i64 {
    goods.get(sku).copied().unwrap_or_default()
}

fn goods_of(order: &Order) -> &Goods {
    const NONE: &Goods = &Goods::new();
    order.content.as_ref().map_or(NONE, |content| &content.goods)
}

fn word(reservation: Option<&Reservation>) -> String {
    reservation.map_or_else(|| "missing".to_owned(), |it| it.status.clone())
}

//! What the three databases say about one order: the facts that a verdict rests on.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use orderly_contracts::order::OrderStatus;

/// Pieces by article.
pub(crate) type Goods = BTreeMap<String, i64>;

/// Everything that is known about one order. What a database knows nothing of is `None` or empty.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Facts {
    pub(crate) order_id: String,
    pub(crate) order: OrderSide,
    pub(crate) stock: StockSide,
    pub(crate) payment: PaymentSide,
    /// Dead letters about the order. Only the last reading looks for them.
    pub(crate) letters: Vec<DeadLetter>,
    /// Whether the order changed while stock and payment were read, so that the three don't
    /// belong together.
    pub(crate) has_moved: bool,
}

/// What the order database says, read in one statement.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct OrderSide {
    pub(crate) order: Option<Order>,
    pub(crate) history: History,
    /// What can't be read.
    pub(crate) unreadable: Option<String>,
}

/// A row of `orders`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Order {
    pub(crate) status: OrderStatus,
    pub(crate) version: i64,
    /// What was ordered; an order that was cancelled before it was placed has none.
    pub(crate) content: Option<Content>,
    pub(crate) owes_release: bool,
    pub(crate) owes_refund: bool,
    /// For how long it has been as it is.
    pub(crate) unchanged_for: Duration,
    pub(crate) deadline: Option<Deadline>,
}

/// What was ordered.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Content {
    /// The sum of its lines by article, without services.
    pub(crate) goods: Goods,
    /// What the row says it costs.
    pub(crate) total: i64,
    /// What its lines add up to.
    pub(crate) sum_of_lines: i128,
    pub(crate) currency: String,
}

/// The timer of an open order.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Deadline {
    pub(crate) step: String,
    /// How often the step was asked for again.
    pub(crate) round: i32,
    /// How long from now until it is due; negative if it is overdue.
    pub(crate) due_in_seconds: i64,
}

/// The rows of `order_history`, summed up.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct History {
    pub(crate) entries: i64,
    pub(crate) first_version: i64,
    pub(crate) last_version: i64,
    pub(crate) distinct_versions: i64,
    /// Entries that end the order.
    pub(crate) terminal: i64,
    /// Where the last entry leaves the order.
    pub(crate) last_status: String,
}

/// What the stock database says, read in one statement.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct StockSide {
    pub(crate) reservation: Option<Reservation>,
    pub(crate) moves: BTreeMap<String, Moves>,
    /// What can't be read.
    pub(crate) unreadable: Option<String>,
}

/// A row of `reservations`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Reservation {
    pub(crate) status: String,
    pub(crate) lines: Goods,
}

/// The ledger of one article for one order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Moves {
    pub(crate) reserved: i64,
    pub(crate) released: i64,
    pub(crate) expired: i64,
    pub(crate) committed: i64,
}

impl Moves {
    /// Pieces that are set aside by now.
    pub(crate) fn held(self) -> i64 {
        self.reserved - self.released - self.expired - self.committed
    }
}

impl StockSide {
    /// Whether anything is set aside or handed over.
    pub(crate) fn has_effect(&self) -> bool {
        self.moves.values().any(|moves| moves.held() != 0 || moves.committed != 0)
    }

    /// All articles that the reservation or the ledger names.
    pub(crate) fn articles(&self) -> BTreeSet<&str> {
        let lines = self.reservation.iter().flat_map(|it| it.lines.keys());
        lines.chain(self.moves.keys()).map(String::as_str).collect()
    }
}

/// What the payment database says, read in one statement.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct PaymentSide {
    pub(crate) payment: Option<Payment>,
    pub(crate) money: Money,
}

/// A row of `payments`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Payment {
    pub(crate) status: String,
    /// Nothing, where the refund came before the charge.
    pub(crate) amount: Option<i64>,
    pub(crate) currency: Option<String>,
}

/// The rows of `payment_ledger` for one order, summed up.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Money {
    /// What came to us.
    pub(crate) captured: i64,
    /// What was given back.
    pub(crate) refunded: i64,
    /// How many captures there are.
    pub(crate) captures: i64,
    /// How many refunds there are.
    pub(crate) refunds: i64,
    /// Both sides of all captures together.
    pub(crate) capture_balance: i64,
    /// Both sides of all refunds together.
    pub(crate) refund_balance: i64,
    /// The currencies of the entries, in order.
    pub(crate) currencies: Vec<String>,
}

impl Money {
    /// What is ours by now.
    pub(crate) fn net(&self) -> i64 {
        self.captured - self.refunded
    }
}

/// A message about the order that was given up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct DeadLetter {
    pub(crate) id: String,
    pub(crate) reason: String,
    pub(crate) worker: &'static str,
}

//! Everything that can be wrong, as a closed list: a stable code and a text with names and figures.

use std::fmt;

/// Defines the violations: a variant, its code, and its text.
macro_rules! violations {
    ($($(#[doc = $doc:literal])* $name:ident { $($field:ident: $type:ty),* $(,)? }
        => $code:literal, $text:literal;)*) => {
        /// Something that must never be.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub(crate) enum Violation {
            $($(#[doc = $doc])* $name { $($field: $type),* },)*
        }

        impl Violation {
            /// The code that programs know it by; it never changes.
            pub(crate) const fn code(&self) -> &'static str {
                match self {
                    $(Self::$name { .. } => $code,)*
                }
            }

            /// All codes, for the tests to see that each of them is provoked.
            #[cfg(test)]
            pub(crate) const CODES: &'static [&'static str] = &[$($code),*];
        }

        impl fmt::Display for Violation {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                match self {
                    $(Self::$name { $($field),* } => write!(f, $text),)*
                }
            }
        }
    };
}

violations! {
    /// The history of an order is there, the order is not.
    OrderLost { entries: i64 } => "order_lost",
        "there is no order, but {entries} entries in its history";
    /// A row holds what nobody can read.
    Unreadable { what: String } => "unreadable",
        "{what}";
    /// The lines of an order don't add up to its total.
    TotalWrong { total: i64, lines: i128 } => "total_wrong",
        "the total is {total}, but the lines add up to {lines}";
    /// The history of an order is not there.
    HistoryLost { version: i64 } => "history_lost",
        "the order has version {version}, but no history";
    /// The versions in the history are not 1, 2, 3 up to the order's own.
    HistoryBroken { version: i64, entries: i64, first: i64, last: i64 } => "history_broken",
        "the order has version {version}, but its history has {entries} entries, from {first} \
         to {last}";
    /// The history ends elsewhere than the order stands.
    HistoryDisagrees { status: &'static str, last: String } => "history_disagrees",
        "the order is {status}, but its history ends with {last}";
    /// The order has ended, and its history does not say so.
    EndMissing { status: &'static str } => "end_missing",
        "the order is {status}, but nothing in its history ends it";
    /// The order has ended more than once.
    EndedTwice { ends: i64 } => "ended_twice",
        "the history ends the order {ends} times";
    /// The order goes on after its end.
    EndedAndOpen { status: &'static str } => "ended_and_open",
        "the order is {status}, though its history has ended it";
    /// The order is open, and nothing will ever ask for the answer again.
    DeadlineLost { status: &'static str } => "deadline_lost",
        "the order is {status} and has no deadline: a lost answer is never asked for again";
    /// There is a ledger of an order's stock, but no reservation.
    ReservationLost { sku: String, held: i64, committed: i64 } => "reservation_lost",
        "there is no reservation, but the ledger of {sku} holds {held} and commits {committed}";
    /// The ledger of an order's stock is not what its reservation says.
    StockLedgerWrong { status: String, sku: String, held: i64, committed: i64, should_hold: i64,
        should_commit: i64 } => "stock_ledger_wrong",
        "the reservation is {status}, so of {sku} {should_hold} should be held and {should_commit} \
         committed, but {held} are held and {committed} committed";
    /// More was handed over than was ordered.
    CommittedTwice { sku: String, committed: i64, ordered: i64 } => "committed_twice",
        "{committed} of {sku} are committed, {ordered} were reserved";
    /// What is reserved or committed is not what was ordered.
    GoodsDiffer { sku: String, ordered: i64, reserved: i64 } => "goods_differ",
        "{ordered} of {sku} were ordered, but the reservation says {reserved}";
    /// The order is confirmed, and its goods never became its own.
    CommitMissing { reservation: String } => "commit_missing",
        "the order is confirmed, but its reservation is {reservation} instead of committed";
    /// Goods became an order's own that is not confirmed.
    CommittedUnconfirmed { status: &'static str, reservation: String } => "committed_unconfirmed",
        "the order is {status}, but its reservation is {reservation}";
    /// The order has ended without its goods, and they are still set aside.
    HeldAfterEnd { status: &'static str, sku: String, held: i64 } => "held_after_end",
        "the order is {status}, but {held} of {sku} are still reserved for it";
    /// The order says that its goods are reserved, and they never were.
    ReservationMissing { reservation: String } => "reservation_missing",
        "the order is reserved, but its reservation is {reservation}";
    /// Stock was reserved for an order that nobody knows.
    StockWithoutOrder { reservation: String } => "stock_without_order",
        "there is no order, but a reservation that is {reservation}";
    /// There are entries of money, but no payment.
    PaymentLost { captured: i64, refunded: i64 } => "payment_lost",
        "there is no payment, but {captured} are captured and {refunded} refunded in the ledger";
    /// The ledger of an order's money is not what its payment says.
    MoneyLedgerWrong { status: String, captured: i64, refunded: i64, should_capture: i64,
        should_refund: i64 } => "money_ledger_wrong",
        "the payment is {status}, so {should_capture} should be captured and {should_refund} \
         refunded, but the ledger has {captured} captured and {refunded} refunded";
    /// The two sides of a movement of money don't cancel out.
    MoneyUnbalanced { operation: &'static str, balance: i64 } => "money_unbalanced",
        "the two sides of the {operation} add up to {balance} instead of zero";
    /// Money was taken more than once.
    CapturedTwice { captures: i64, captured: i64 } => "captured_twice",
        "the order was charged {captures} times, {captured} together";
    /// Money was given back more than once.
    RefundedTwice { refunds: i64, refunded: i64 } => "refunded_twice",
        "the order was refunded {refunds} times, {refunded} together";
    /// Money was moved in another currency than was ordered in.
    CurrencyDiffers { ordered: String, charged: String } => "currency_differs",
        "the order is in {ordered}, but the money in {charged}";
    /// The order is confirmed, and nobody has paid.
    CaptureMissing { total: i64, payment: String } => "capture_missing",
        "the order is confirmed and costs {total}, but its payment is {payment}";
    /// Something else was charged than was ordered.
    AmountDiffers { total: i64, amount: i64 } => "amount_differs",
        "the order costs {total}, but {amount} are charged";
    /// Money was taken for an order that costs nothing.
    ChargedForNothing { captured: i64 } => "charged_for_nothing",
        "the order costs nothing, but {captured} are captured";
    /// Money was taken before the order asked for it.
    CapturedTooEarly { captured: i64 } => "captured_too_early",
        "the order is pending, but {captured} are captured already";
    /// The order has ended unpaid, and the money is still ours.
    KeptAfterEnd { status: &'static str, kept: i64, payment: String } => "kept_after_end",
        "the order is {status}, but {kept} are kept and its payment is {payment}";
    /// The order has ended, and its payment has not.
    PaymentUnsettled { status: &'static str, payment: String } => "payment_unsettled",
        "the order is {status}, but its payment is still {payment}";
    /// Money was taken for an order that nobody knows.
    PaymentWithoutOrder { payment: String, kept: i64 } => "payment_without_order",
        "there is no order, but a payment that is {payment} with {kept} kept";
    /// There is a ledger of an article, but no article.
    ArticleLost { entries: i64 } => "article_lost",
        "there is no such article, but {entries} entries in its ledger";
    /// The count of an article is not the sum of its ledger.
    OnHandWrong { on_hand: i64, ledger: i64 } => "on_hand_wrong",
        "{on_hand} are on hand, but the ledger adds up to {ledger}";
    /// The reserved count of an article is not the sum of its ledger.
    ReservedWrong { reserved: i64, ledger: i64 } => "reserved_wrong",
        "{reserved} are reserved, but the ledger adds up to {ledger}";
    /// A count is impossible.
    StockImpossible { on_hand: i64, reserved: i64 } => "stock_impossible",
        "{on_hand} are on hand and {reserved} reserved, which cannot be";
    /// An adjustment is missing in the ledger, or there twice.
    AdjustmentsWrong { made: i64, made_sum: i64, posted: i64, posted_sum: i64 }
        => "adjustments_wrong",
        "{made} adjustments come to {made_sum}, but {posted} entries of the ledger to {posted_sum}";
    /// What was captured and kept is not what confirmed orders cost.
    MoneySumWrong { kept: i128, confirmed: i128, open: i128 } => "money_sum_wrong",
        "{kept} are kept, but confirmed orders cost {confirmed} and open ones account for {open}";
    /// A living worker does not publish what it has decided.
    OutboxStuck { batches: i64, seconds: i64 } => "outbox_stuck",
        "{batches} batches are not known to be published, the oldest for {seconds} s, \
         and its worker is running";
    /// A message that the broker had confirmed is nowhere.
    MessageLost { kind: String, message_id: String } => "message_lost",
        "{kind} {message_id} was confirmed to its publisher, but nobody has received it";
}

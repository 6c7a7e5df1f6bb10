//! Scenes: what has to happen somewhere in a configuration, or its rules were held by nobody
//! trying to break them.

/// What a decision was, in words.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Event {
    /// What was taken.
    pub kind: &'static str,
    /// How what it is about stood before, in the service that decided.
    pub from: String,
    /// How it stands since.
    pub to: String,
    /// The kinds of what is sent.
    pub sends: Vec<&'static str>,
}

/// A message came again, and the inbox knew it.
pub const RECOGNISED: &str = "recognised";
/// A message came again, and the inbox had been purged.
pub const DECIDED_ANEW: &str = "decided anew";
/// A message came under an id of another: it becomes a dead letter.
pub const ID_CONFLICT: &str = "id conflict";

/// What has to happen somewhere. An empty word leaves open what it could say.
#[derive(Debug, Clone, Copy)]
pub struct Scene {
    /// What it is called.
    pub name: &'static str,
    /// What is taken.
    pub kind: &'static str,
    /// A word of how what it is about stood before.
    pub from: &'static str,
    /// A word of how it stands since.
    pub to: &'static str,
    /// Something that is sent.
    pub sends: &'static str,
}

impl Scene {
    /// Whether `event` is this scene.
    pub fn is(&self, event: &Event) -> bool {
        (self.kind.is_empty() || self.kind == event.kind)
            && event.from.contains(self.from)
            && event.to.contains(self.to)
            && (self.sends.is_empty() || event.sends.contains(&self.sends))
    }
}

const fn scene(
    name: &'static str,
    kind: &'static str,
    from: &'static str,
    to: &'static str,
    sends: &'static str,
) -> Scene {
    Scene { name, kind, from, to, sends }
}

#[rustfmt::skip] // Rows and columns.
#[allow(missing_docs)] // The first column says it.
mod table {
    use super::{DECIDED_ANEW, ID_CONFLICT, RECOGNISED, Scene, scene};

    pub const CONFIRMED: Scene = scene("an order is confirmed", "", "", "confirmed", "order.confirmed.v1");
    pub const REJECTED: Scene = scene("an order is rejected", "stock.rejected.v1", "pending", "rejected", "order.rejected.v1");
    pub const CANCELLED: Scene = scene("an order is cancelled", "", "", "cancelled", "order.cancelled.v1");
    pub const DECLINED: Scene = scene("a declined order is undone", "payment.declined.v1", "reserved", "cancelling payment_declined", "stock.release.v1");
    pub const CANCELLED_RESERVED: Scene = scene("a client cancels what is reserved", "order.cancel.v1", "reserved", "cancelling", "payment.refund.v1");
    pub const CANCELLED_PENDING: Scene = scene("a client cancels what is pending", "order.cancel.v1", "pending", "cancelling", "stock.release.v1");
    pub const CANCELLED_UNSEEN: Scene = scene("a cancellation overtakes its order", "order.place.v1", "unplaced", "unplaced", "order.unchanged.v1");
    pub const CANCEL_REFUSED: Scene = scene("a cancellation comes too late", "order.cancel.v1", "confirmed", "confirmed", "order.cancel-refused.v1");
    pub const STOCK_GIVEN_UP: Scene = scene("the stock is given up", "timer", "pending", "cancelling stock_timeout", "");
    pub const PAYMENT_GIVEN_UP: Scene = scene("the payment is given up", "timer", "reserved", "cancelling payment_timeout", "");
    pub const UNDONE_AGAIN: Scene = scene("a compensation is asked for again", "timer", "cancelling", "cancelling", "");
    pub const STALE_TIMER: Scene = scene("a timer fires too late", "timer", "confirmed", "confirmed", "");
    pub const LATE_CHARGE: Scene = scene("a charge comes too late and is refunded", "payment.charged.v1", "cancelled", "cancelled", "payment.refund.v1");
    pub const LATE_RESERVED: Scene = scene("goods are reserved too late and released", "stock.reserved.v1", "cancelled", "cancelled", "stock.release.v1");
    pub const RESERVE_REFUSED: Scene = scene("a reservation meets its release", "stock.reserve.v1", "released", "released", "stock.rejected.v1");
    pub const CHARGE_REFUSED: Scene = scene("a charge meets its refund", "payment.charge.v1", "voided", "voided", "payment.declined.v1");
    pub const REFUNDED: Scene = scene("a captured charge is refunded", "payment.refund.v1", "captured", "refunded", "payment.refunded.v1");
    pub const SHORT_OF_GOODS: Scene = scene("goods are short", "stock.reserve.v1", "none", "rejected", "stock.rejected.v1");
    pub const CONFLICTED: Scene = scene("an order id is used for other content", "order.place.v1", "", "", "order.conflicted.v1");
    pub const UNCHANGED: Scene = scene("an order is placed again", "order.place.v1", "pending", "pending", "order.unchanged.v1");
    pub const EXPIRED: Scene = scene("a reservation expires", "timer", "reserved", "expired", "stock.expired.v1");
    pub const EXPIRED_RESERVED: Scene = scene("an order loses its reservation", "stock.expired.v1", "reserved", "cancelling reservation_expired", "payment.refund.v1");
    pub const TAKEN_UNRESERVED: Scene = scene("goods are taken without a reservation", "order.confirmed.v1", "expired", "committed", "");
    pub const SHORTFALL: Scene = scene("a paid order lacks goods", "order.confirmed.v1", "expired", "short", "stock.shortfall.v1");
    pub const UNKNOWN: Scene = scene("the outcome of a charge is unknown", "payment.executed.v1", "requested", "unknown", "");
    pub const RESOLVED: Scene = scene("an unknown charge turns out to be approved", "payment.executed.v1", "unknown", "captured", "payment.charged.v1");
    pub const REFUND_WANTED: Scene = scene("a refund waits for its charge", "payment.refund.v1", "requested", "requested refund wanted", "payment.execute.v1");
    pub const WANTED_APPROVED: Scene = scene("a charge with its refund waiting is approved", "payment.executed.v1", "refund wanted", "refunding", "payment.execute.v1");
    pub const WANTED_DECLINED: Scene = scene("a charge with its refund waiting is declined", "payment.executed.v1", "refund wanted", "voided", "payment.refunded.v1");
    pub const CONTRADICTED_VOID: Scene = scene("the provider contradicts itself after a refund", "payment.executed.v1", "voided", "refunding", "payment.execute.v1");
    pub const CONTRADICTED: Scene = scene("the provider contradicts itself", "payment.executed.v1", "declined", "refunding", "payment.execute.v1");
    pub const KNOWN_AGAIN: Scene = scene("a duplicate is recognised", RECOGNISED, "", "", "");
    pub const NEW_AGAIN: Scene = scene("a duplicate is decided anew", DECIDED_ANEW, "", "", "");
    pub const ID_TAKEN: Scene = scene("an id is in conflict", ID_CONFLICT, "", "", "");
    pub const ADJUSTED: Scene = scene("stock is corrected", "stock.adjust.v1", "", "", "stock.adjusted.v1");
}

pub use table::*;

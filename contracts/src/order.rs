//! Messages of the order service: commands to place and cancel, and events with the public state.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::message::Message;
use crate::number::{Amount, EXACT_MAX, Quantity, UnitPrice};
use crate::object::objects;
use crate::text::{Currency, CustomerId, MessageId, Note, OrderId, PaymentToken, Sku};

/// The most lines an order may have. The largest real order known to us has 1,114.
pub const LINES_MAX: usize = 2_000;

/// Places an order. The same content under the same id is the same order, for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PlaceOrder {
    /// Names the order; chosen by the sender.
    pub order_id: OrderId,
    /// Who orders; absent for an anonymous customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<CustomerId>,
    /// What is ordered. An article may stand on several lines.
    #[serde(deserialize_with = "objects")]
    #[schemars(length(min = 1, max = 2000))]
    pub lines: Vec<OrderLine>,
    /// The currency of all prices.
    pub currency: Currency,
    /// What the payment provider knows the means of payment by.
    pub payment_token: PaymentToken,
}

/// One line of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderLine {
    /// The article.
    pub sku: Sku,
    /// How many pieces.
    pub quantity: Quantity,
    /// The price of one piece, in minor units.
    pub unit_price: UnitPrice,
    /// A service (postage, a charge) has a price and no stock: it is paid for, never reserved.
    #[serde(default, skip_serializing_if = "is_false")]
    pub service: bool,
}

fn is_false(flag: &bool) -> bool {
    !flag
}

/// What all lines together cost, or `None` above 2^53 - 1 minor units.
pub fn total(lines: &[OrderLine]) -> Option<Amount> {
    let sum = lines.iter().try_fold(0i64, |sum, line| {
        let price = line.quantity.get().checked_mul(line.unit_price.get())?;
        sum.checked_add(price).filter(|sum| *sum <= EXACT_MAX)
    })?;
    Amount::new(sum).ok()
}

impl Message for PlaceOrder {
    const KIND: &'static str = "order.place.v1";

    fn validate(&self) -> Result<(), String> {
        match self.lines.len() {
            0 => return Err("lines: an order needs at least one line".to_owned()),
            1..=LINES_MAX => {}
            count => {
                return Err(format!("lines: {count} lines, at most {LINES_MAX} are allowed"));
            }
        }
        match total(&self.lines) {
            Some(_) => Ok(()),
            None => Err(format!("lines: the total exceeds {EXACT_MAX} minor units")),
        }
    }

    fn correlation(&self) -> &str {
        self.order_id.as_str()
    }
}

/// Cancels an order, also one that has not been seen yet. Refused once it is confirmed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct CancelOrder {
    /// The order to cancel.
    pub order_id: OrderId,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Note>,
}

impl Message for CancelOrder {
    const KIND: &'static str = "order.cancel.v1";

    fn correlation(&self) -> &str {
        self.order_id.as_str()
    }
}

/// Where an order stands. It ends in exactly one of confirmed, rejected and cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum OrderStatus {
    /// Placed; the stock has been asked to reserve.
    Pending,
    /// Reserved; the payment has been asked to charge.
    Reserved,
    /// Given up or called off; compensations are under way.
    Cancelling,
    /// Paid for and committed. Final.
    Confirmed,
    /// Refused by the stock before anything was charged. Final.
    Rejected,
    /// Undone, every compensation answered. Final.
    Cancelled,
}

impl OrderStatus {
    /// All states, in order.
    pub const ALL: [Self; 6] = [
        Self::Pending,
        Self::Reserved,
        Self::Cancelling,
        Self::Confirmed,
        Self::Rejected,
        Self::Cancelled,
    ];

    /// The word on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Reserved => "reserved",
            Self::Cancelling => "cancelling",
            Self::Confirmed => "confirmed",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
        }
    }

    /// The state with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == word)
    }

    /// Whether an order in this state has ended.
    pub const fn is_final(self) -> bool {
        matches!(self, Self::Confirmed | Self::Rejected | Self::Cancelled)
    }
}

/// Why an order was rejected, called off or given up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum EndReason {
    /// Not every article was available.
    OutOfStock,
    /// The payment was declined.
    PaymentDeclined,
    /// Somebody cancelled it.
    CancelRequested,
    /// The stock service gave no answer within the time allowed.
    StockTimeout,
    /// The payment service gave no answer within the time allowed.
    PaymentTimeout,
    /// The reservation expired before the order was paid.
    ReservationExpired,
}

impl EndReason {
    /// All reasons, in order.
    pub const ALL: [Self; 6] = [
        Self::OutOfStock,
        Self::PaymentDeclined,
        Self::CancelRequested,
        Self::StockTimeout,
        Self::PaymentTimeout,
        Self::ReservationExpired,
    ];

    /// The word on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OutOfStock => "out_of_stock",
            Self::PaymentDeclined => "payment_declined",
            Self::CancelRequested => "cancel_requested",
            Self::StockTimeout => "stock_timeout",
            Self::PaymentTimeout => "payment_timeout",
            Self::ReservationExpired => "reservation_expired",
        }
    }

    /// The reason with this word.
    pub fn from_word(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == word)
    }
}

/// The public state of an order: enough to build a read side from events alone.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderState {
    /// The order.
    pub order_id: OrderId,
    /// Counts the changes of the order, from 1. A higher version is newer.
    #[schemars(range(min = 1, max = EXACT_MAX))]
    pub version: i64,
    /// Where it stands.
    pub status: OrderStatus,
    /// Why it was rejected or cancelled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<EndReason>,
    /// Who ordered; absent for an anonymous customer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub customer_id: Option<CustomerId>,
    /// What was ordered; empty if the order was cancelled before it was placed.
    #[serde(deserialize_with = "objects")]
    pub lines: Vec<OrderLine>,
    /// The currency; absent if the order was cancelled before it was placed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
    /// What all lines together cost, in minor units.
    pub total: Amount,
}

macro_rules! order_event {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        #[serde(transparent)]
        pub struct $name(pub OrderState);

        impl Message for $name {
            const KIND: &'static str = $kind;

            fn validate(&self) -> Result<(), String> {
                match self.0.version {
                    1..=EXACT_MAX => Ok(()),
                    version => Err(format!("version: {version}, allowed are 1 to {EXACT_MAX}")),
                }
            }

            fn correlation(&self) -> &str {
                self.0.order_id.as_str()
            }
        }
    };
}

order_event!(
    /// The order is paid and its stock is its own. The stock service commits on this fact.
    OrderConfirmed, "order.confirmed.v1"
);
order_event!(
    /// The order was refused for lack of stock; nothing was charged.
    OrderRejected, "order.rejected.v1"
);
order_event!(
    /// The order is undone: what was reserved is released, what was charged is refunded.
    OrderCancelled, "order.cancelled.v1"
);
order_event!(
    /// The answer to a command that changed nothing: the order as it stands.
    OrderUnchanged, "order.unchanged.v1"
);
order_event!(
    /// The order was confirmed or rejected before it could be cancelled.
    OrderCancelRefused, "order.cancel-refused.v1"
);

/// An order id was used again for other content. The first order is not touched.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderConflicted {
    /// The order that stands.
    pub order_id: OrderId,
    /// The message that was refused.
    pub refused_message_id: MessageId,
}

impl Message for OrderConflicted {
    const KIND: &'static str = "order.conflicted.v1";

    fn correlation(&self) -> &str {
        self.order_id.as_str()
    }
}

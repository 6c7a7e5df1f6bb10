//! Messages of the stock service: reserve, release and adjust, and what came of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::message::Message;
use crate::number::{Delta, Pieces};
use crate::object::objects;
use crate::order::LINES_MAX;
use crate::text::{AdjustmentId, Note, OrderId, Sku};

/// Reserves the goods of an order, all of them or none.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReserveStock {
    /// The order that the reservation belongs to; one reservation an order.
    pub order_id: OrderId,
    /// What to reserve, each article once.
    #[serde(deserialize_with = "objects")]
    #[schemars(length(min = 1, max = 2000))]
    pub lines: Vec<StockLine>,
}

/// Pieces of one article.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StockLine {
    /// The article.
    pub sku: Sku,
    /// How many pieces; the sum where an order names the article on several lines.
    pub pieces: Pieces,
}

impl Message for ReserveStock {
    const KIND: &'static str = "stock.reserve.v1";

    fn validate(&self) -> Result<(), String> {
        match self.lines.len() {
            0 => Err("lines: a reservation needs at least one line".to_owned()),
            1..=LINES_MAX => Ok(()),
            count => Err(format!("lines: {count} lines, at most {LINES_MAX} are allowed")),
        }
    }

    fn correlation(&self) -> &str {
        self.order_id.as_str()
    }
}

/// Gives back what an order has reserved, also if the reservation has not been seen yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReleaseStock {
    /// The order whose reservation ends.
    pub order_id: OrderId,
}

impl Message for ReleaseStock {
    const KIND: &'static str = "stock.release.v1";

    fn correlation(&self) -> &str {
        self.order_id.as_str()
    }
}

/// Corrects the stock of an article: goods received, breakage, a count.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct AdjustStock {
    /// Names the correction, so that it counts once.
    pub adjustment_id: AdjustmentId,
    /// The article; a new one begins to exist with its first adjustment.
    pub sku: Sku,
    /// How many pieces come in (above zero) or go out (below).
    #[schemars(extend("not" = { "const": 0 }))]
    pub delta: Delta,
    /// Why, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Note>,
}

impl Message for AdjustStock {
    const KIND: &'static str = "stock.adjust.v1";

    fn validate(&self) -> Result<(), String> {
        if self.delta.get() == 0 {
            return Err("delta: an adjustment by 0 changes nothing".to_owned());
        }
        Ok(())
    }

    fn correlation(&self) -> &str {
        self.adjustment_id.as_str()
    }
}

/// An article that an order asked for more of than there was.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Shortage {
    /// The article.
    pub sku: Sku,
    /// How many pieces were asked for.
    pub requested: Pieces,
    /// How many were available.
    pub available: Pieces,
}

/// Why the stock refused to reserve.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StockRefusal {
    /// Not every article was available in full.
    OutOfStock,
    /// The order's reservation had been released before.
    Released,
    /// The order's reservation had expired before.
    Expired,
}

macro_rules! stock_event {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        pub struct $name {
            /// The order that the reservation belongs to.
            pub order_id: OrderId,
        }

        impl Message for $name {
            const KIND: &'static str = $kind;

            fn correlation(&self) -> &str {
                self.order_id.as_str()
            }
        }
    };
}

stock_event!(
    /// Everything the order asked for is reserved.
    StockReserved, "stock.reserved.v1"
);
stock_event!(
    /// Nothing is reserved for the order any more, and nothing will be.
    StockReleased, "stock.released.v1"
);
stock_event!(
    /// The reservation was never settled and has expired; its goods are available again.
    StockExpired, "stock.expired.v1"
);

/// Nothing was reserved for the order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StockRejected {
    /// The order that asked.
    pub order_id: OrderId,
    /// Why.
    pub reason: StockRefusal,
    /// Which articles were short; only when out of stock.
    #[serde(default, deserialize_with = "objects", skip_serializing_if = "Vec::is_empty")]
    pub shortages: Vec<Shortage>,
}

impl Message for StockRejected {
    const KIND: &'static str = "stock.rejected.v1";

    fn correlation(&self) -> &str {
        self.order_id.as_str()
    }
}

/// An order was confirmed whose reservation had expired, and the goods are gone: people must act.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StockShortfall {
    /// The confirmed order.
    pub order_id: OrderId,
    /// Which articles are missing.
    #[serde(deserialize_with = "objects")]
    pub shortages: Vec<Shortage>,
}

impl Message for StockShortfall {
    const KIND: &'static str = "stock.shortfall.v1";

    fn correlation(&self) -> &str {
        self.order_id.as_str()
    }
}

/// The stock of an article was corrected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StockAdjusted {
    /// The correction.
    pub adjustment_id: AdjustmentId,
    /// The article.
    pub sku: Sku,
    /// By how much it changed.
    pub delta: Delta,
    /// How many pieces are there after the correction, reserved ones included.
    pub on_hand: Pieces,
    /// How many of them were reserved at that moment.
    pub reserved: Pieces,
}

impl Message for StockAdjusted {
    const KIND: &'static str = "stock.adjusted.v1";

    fn correlation(&self) -> &str {
        self.adjustment_id.as_str()
    }
}

/// Why a correction was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum AdjustRefusal {
    /// It would take away more than is available.
    BelowReserved,
    /// It would exceed the largest number of pieces.
    AboveLimit,
    /// The same adjustment id was used for another correction.
    Conflict,
}

/// The stock of an article was not corrected.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StockAdjustRefused {
    /// The correction.
    pub adjustment_id: AdjustmentId,
    /// The article.
    pub sku: Sku,
    /// By how much it should have changed.
    pub delta: Delta,
    /// Why it did not.
    pub reason: AdjustRefusal,
}

impl Message for StockAdjustRefused {
    const KIND: &'static str = "stock.adjust-refused.v1";

    fn correlation(&self) -> &str {
        self.adjustment_id.as_str()
    }
}

//! Messages of the payment service: charge and refund, and the calls to the provider.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::message::Message;
use crate::number::Amount;
use crate::text::{Currency, Note, OrderId, PaymentToken};

/// Charges an order, at most once however often it is asked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ChargePayment {
    /// The order to charge; one charge an order.
    pub order_id: OrderId,
    /// How much, in minor units, above zero.
    #[schemars(extend("minimum" = 1))]
    pub amount: Amount,
    /// In which currency.
    pub currency: Currency,
    /// What the provider knows the means of payment by.
    pub payment_token: PaymentToken,
}

impl Message for ChargePayment {
    const KIND: &'static str = "payment.charge.v1";

    fn validate(&self) -> Result<(), String> {
        if self.amount == Amount::ZERO {
            return Err("amount: nothing to charge".to_owned());
        }
        Ok(())
    }

    fn correlation(&self) -> &str {
        self.order_id.as_str()
    }
}

/// Gives back whatever was charged for an order, also if the charge has not been seen yet.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RefundPayment {
    /// The order to refund.
    pub order_id: OrderId,
}

impl Message for RefundPayment {
    const KIND: &'static str = "payment.refund.v1";

    fn correlation(&self) -> &str {
        self.order_id.as_str()
    }
}

/// What the provider is asked to do.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum Operation {
    /// Take the money.
    Charge,
    /// Give it back.
    Refund,
}

impl Operation {
    /// The word on the wire and in the database.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Charge => "charge",
            Self::Refund => "refund",
        }
    }
}

/// Calls the provider: sent by the payment worker to itself, outside every transaction.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ExecutePayment {
    /// The order concerned.
    pub order_id: OrderId,
    /// What to do.
    pub operation: Operation,
    /// Under this key the provider does it once, however often it is asked.
    pub idempotency_key: Note,
    /// How much, in minor units.
    pub amount: Amount,
    /// In which currency.
    pub currency: Currency,
    /// What the provider knows the means of payment by.
    pub payment_token: PaymentToken,
}

impl Message for ExecutePayment {
    const KIND: &'static str = "payment.execute.v1";

    fn correlation(&self) -> &str {
        self.order_id.as_str()
    }
}

/// How a call to the provider ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ExecutionOutcome {
    /// The provider did it.
    Approved,
    /// The provider refused it for good.
    Declined,
    /// Every attempt failed; whether it was done is not known.
    Unknown,
}

/// The provider's answer, brought back by the effect runner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PaymentExecuted {
    /// The order concerned.
    pub order_id: OrderId,
    /// What was to be done.
    pub operation: Operation,
    /// How it ended.
    pub outcome: ExecutionOutcome,
    /// The provider's words, if it said any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Note>,
}

impl Message for PaymentExecuted {
    const KIND: &'static str = "payment.executed.v1";

    fn correlation(&self) -> &str {
        self.order_id.as_str()
    }
}

/// The order is paid.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PaymentCharged {
    /// The order.
    pub order_id: OrderId,
    /// How much was taken, in minor units.
    pub amount: Amount,
    /// In which currency.
    pub currency: Currency,
}

impl Message for PaymentCharged {
    const KIND: &'static str = "payment.charged.v1";

    fn correlation(&self) -> &str {
        self.order_id.as_str()
    }
}

/// Why a charge was declined.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeclineReason {
    /// The provider refused.
    Provider,
    /// The order had been refunded before the charge arrived.
    Refunded,
}

/// The order is not paid, and will not be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PaymentDeclined {
    /// The order.
    pub order_id: OrderId,
    /// Why.
    pub reason: DeclineReason,
    /// The provider's words, if it said any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<Note>,
}

impl Message for PaymentDeclined {
    const KIND: &'static str = "payment.declined.v1";

    fn correlation(&self) -> &str {
        self.order_id.as_str()
    }
}

/// Nothing is charged for the order any more, and nothing will be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct PaymentRefunded {
    /// The order.
    pub order_id: OrderId,
    /// How much was given back, in minor units; zero if nothing had been charged.
    pub amount: Amount,
}

impl Message for PaymentRefunded {
    const KIND: &'static str = "payment.refunded.v1";

    fn correlation(&self) -> &str {
        self.order_id.as_str()
    }
}

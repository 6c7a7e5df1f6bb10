//! One example of every message, with every field in use; together they tell of a few orders.

use crate::catalogue::Example;
use crate::number::{Amount, Delta, Pieces, Quantity, UnitPrice};
use crate::order::{
    CancelOrder, EndReason, OrderCancelRefused, OrderCancelled, OrderConfirmed, OrderConflicted,
    OrderLine, OrderRejected, OrderState, OrderStatus, OrderUnchanged, PlaceOrder,
};
use crate::payment::{
    ChargePayment, DeclineReason, ExecutePayment, ExecutionOutcome, Operation, PaymentCharged,
    PaymentDeclined, PaymentExecuted, PaymentRefunded, RefundPayment,
};
use crate::stock::{
    AdjustRefusal, AdjustStock, ReleaseStock, ReserveStock, Shortage, StockAdjustRefused,
    StockAdjusted, StockExpired, StockLine, StockRefusal, StockRejected, StockReleased,
    StockReserved, StockShortfall,
};
use crate::text::Currency;

/// The order that succeeds in the examples.
const SOLD: &str = "536365";
/// The order that finds too little stock.
const SHORT: &str = "536366";
/// The order that is called off.
const CALLED_OFF: &str = "536367";

/// A text of the type that the field asks for.
fn text<T: TryFrom<String>>(text: &str) -> T {
    T::try_from(text.to_owned()).ok().expect("the text follows the rules of its type")
}

/// A number of the type that the field asks for.
fn number<T: TryFrom<i64>>(number: i64) -> T {
    T::try_from(number).ok().expect("the number lies within the bounds of its type")
}

fn gbp() -> Currency {
    text("GBP")
}

fn lines() -> Vec<OrderLine> {
    let line = |sku, quantity, unit_price, service| OrderLine {
        sku: text(sku),
        quantity: number::<Quantity>(quantity),
        unit_price: number::<UnitPrice>(unit_price),
        service,
    };
    vec![line("85123A", 6, 255, false), line("BANK CHARGES", 1, 1500, true)]
}

/// What `lines` cost: six at 2.55 and a service at 15.00.
fn total() -> Amount {
    number(3030)
}

fn shortages() -> Vec<Shortage> {
    vec![Shortage {
        sku: text("85123A"),
        requested: number::<Pieces>(6),
        available: number::<Pieces>(2),
    }]
}

fn state(order: &str, version: i64, status: OrderStatus, reason: Option<EndReason>) -> OrderState {
    OrderState {
        order_id: text(order),
        version,
        status,
        reason,
        customer_id: Some(text("17850")),
        lines: lines(),
        currency: Some(gbp()),
        total: total(),
    }
}

macro_rules! example {
    ($($message:ident: $example:expr;)*) => {
        $(impl Example for $message {
            fn example() -> Self {
                $example
            }
        })*
    };
}

example! {
    PlaceOrder: Self {
        order_id: text(SOLD),
        customer_id: Some(text("17850")),
        lines: lines(),
        currency: gbp(),
        payment_token: text("tok_visa"),
    };
    CancelOrder: Self {
        order_id: text(CALLED_OFF),
        reason: Some(text("The customer called; “ordered twice”.")),
    };
    OrderConfirmed: Self(state(SOLD, 3, OrderStatus::Confirmed, None));
    OrderRejected: Self(state(SHORT, 2, OrderStatus::Rejected, Some(EndReason::OutOfStock)));
    OrderCancelled: Self(
        state(CALLED_OFF, 4, OrderStatus::Cancelled, Some(EndReason::CancelRequested))
    );
    OrderUnchanged: Self(state(SOLD, 2, OrderStatus::Reserved, None));
    OrderCancelRefused: Self(state(SOLD, 3, OrderStatus::Confirmed, None));
    OrderConflicted: Self {
        order_id: text(SOLD),
        refused_message_id: text("0190f5c2-7d1e-7b3a-9c55-3f0b6a2d4e11"),
    };
}

example! {
    ReserveStock: Self {
        order_id: text(SOLD),
        lines: vec![StockLine { sku: text("85123A"), pieces: number(6) }],
    };
    ReleaseStock: Self { order_id: text(CALLED_OFF) };
    AdjustStock: Self {
        adjustment_id: text("count-2010-12-01:85123A"),
        sku: text("85123A"),
        delta: number(-4),
        note: Some(text("four were broken")),
    };
    StockReserved: Self { order_id: text(SOLD) };
    StockRejected: Self {
        order_id: text(SHORT),
        reason: StockRefusal::OutOfStock,
        shortages: shortages(),
    };
    StockReleased: Self { order_id: text(CALLED_OFF) };
    StockExpired: Self { order_id: text(CALLED_OFF) };
    StockShortfall: Self { order_id: text(SOLD), shortages: shortages() };
    StockAdjusted: Self {
        adjustment_id: text("count-2010-12-01:85123A"),
        sku: text("85123A"),
        delta: number::<Delta>(-4),
        on_hand: number(96),
        reserved: number(6),
    };
    StockAdjustRefused: Self {
        adjustment_id: text("count-2010-12-01:85123A"),
        sku: text("85123A"),
        delta: number::<Delta>(-200),
        reason: AdjustRefusal::BelowReserved,
    };
}

example! {
    ChargePayment: Self {
        order_id: text(SOLD),
        amount: total(),
        currency: gbp(),
        payment_token: text("tok_visa"),
    };
    RefundPayment: Self { order_id: text(CALLED_OFF) };
    ExecutePayment: Self {
        order_id: text(SOLD),
        operation: Operation::Charge,
        idempotency_key: text("536365:charge"),
        amount: total(),
        currency: gbp(),
        payment_token: text("tok_visa"),
    };
    PaymentExecuted: Self {
        order_id: text(SOLD),
        operation: Operation::Charge,
        outcome: ExecutionOutcome::Declined,
        detail: Some(text("insufficient funds")),
    };
    PaymentCharged: Self { order_id: text(SOLD), amount: total(), currency: gbp() };
    PaymentDeclined: Self {
        order_id: text(CALLED_OFF),
        reason: DeclineReason::Provider,
        detail: Some(text("insufficient funds")),
    };
    PaymentRefunded: Self { order_id: text(CALLED_OFF), amount: total() };
}

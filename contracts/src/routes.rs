//! The one routing table: who sends each message, who consumes it, and where it travels.

use std::fmt;

use crate::message::Message;
use crate::order::{
    CancelOrder, OrderCancelRefused, OrderCancelled, OrderConfirmed, OrderConflicted,
    OrderRejected, OrderUnchanged, PlaceOrder,
};
use crate::payment::{
    ChargePayment, ExecutePayment, PaymentCharged, PaymentDeclined, PaymentExecuted,
    PaymentRefunded, RefundPayment,
};
use crate::stock::{
    AdjustStock, ReleaseStock, ReserveStock, StockAdjustRefused, StockAdjusted, StockExpired,
    StockRejected, StockReleased, StockReserved, StockShortfall,
};

/// The topic exchange of all commands.
pub const COMMANDS: &str = "orderly.commands";
/// The topic exchange of all events.
pub const EVENTS: &str = "orderly.events";

/// New orders. A queue of its own, so that a flood of them never delays the started ones.
pub const ORDER_NEW: &str = "order.new";
/// Answers to the order's saga, and cancellations.
pub const ORDER_ANSWERS: &str = "order.answers";
/// Reservations and adjustments.
pub const STOCK_COMMANDS: &str = "stock.commands";
/// Releases and confirmations: what ends a reservation goes before what begins one.
pub const STOCK_SETTLE: &str = "stock.settle";
/// Charges.
pub const PAYMENT_COMMANDS: &str = "payment.commands";
/// Refunds and the provider's answers: what ends a payment goes before what begins one.
pub const PAYMENT_SETTLE: &str = "payment.settle";
/// Calls to the payment provider, taken by the effect runner.
pub const PAYMENT_EFFECTS: &str = "payment.effects";

/// Whoever sends or consumes messages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Party {
    /// Anybody outside: a shop, an operator.
    Client,
    /// The order worker.
    Order,
    /// The stock worker.
    Stock,
    /// The payment worker.
    Payment,
}

impl Party {
    /// The party's name, which is the source of its messages in every inbox.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Client => "client",
            Self::Order => "order",
            Self::Stock => "stock",
            Self::Payment => "payment",
        }
    }
}

impl fmt::Display for Party {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One message's way. The routing key is the message's kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Route {
    /// The message's type and routing key.
    pub kind: &'static str,
    /// The exchange it is published to.
    pub exchange: &'static str,
    /// Who sends it.
    pub sender: Party,
    /// Who consumes it, and from which queue; `None` for a public event nobody here needs.
    pub consumer: Option<(Party, &'static str)>,
    /// What it means, in one sentence.
    pub summary: &'static str,
}

impl Route {
    /// Whether the system needs a consumer for it: then it is published as mandatory, and a
    /// return means that the topology is broken.
    pub const fn is_required(&self) -> bool {
        self.consumer.is_some()
    }
}

const fn command<M: Message>(
    sender: Party,
    consumer: Party,
    queue: &'static str,
    summary: &'static str,
) -> Route {
    Route { kind: M::KIND, exchange: COMMANDS, sender, consumer: Some((consumer, queue)), summary }
}

const fn answer<M: Message>(
    sender: Party,
    consumer: Party,
    queue: &'static str,
    summary: &'static str,
) -> Route {
    Route { kind: M::KIND, exchange: EVENTS, sender, consumer: Some((consumer, queue)), summary }
}

const fn public<M: Message>(sender: Party, summary: &'static str) -> Route {
    Route { kind: M::KIND, exchange: EVENTS, sender, consumer: None, summary }
}

use Party::{Client, Order, Payment, Stock};

/// Every message of the system.
pub const ROUTES: &[Route] = &[
    command::<PlaceOrder>(Client, Order, ORDER_NEW, "Places an order."),
    command::<CancelOrder>(Client, Order, ORDER_ANSWERS, "Cancels an order."),
    answer::<OrderConfirmed>(Order, Stock, STOCK_SETTLE, "The order is paid; commit its stock."),
    public::<OrderRejected>(Order, "The order was refused for lack of stock."),
    public::<OrderCancelled>(Order, "The order is undone, every compensation answered."),
    public::<OrderUnchanged>(Order, "A command changed nothing; the order as it stands."),
    public::<OrderCancelRefused>(Order, "The order had ended before it could be cancelled."),
    public::<OrderConflicted>(Order, "An order id was used again for other content."),
    command::<ReserveStock>(Order, Stock, STOCK_COMMANDS, "Reserves an order's goods, or none."),
    command::<ReleaseStock>(Order, Stock, STOCK_SETTLE, "Gives an order's goods back."),
    command::<AdjustStock>(Client, Stock, STOCK_COMMANDS, "Corrects the stock of an article."),
    answer::<StockReserved>(Stock, Order, ORDER_ANSWERS, "An order's goods are reserved."),
    answer::<StockRejected>(Stock, Order, ORDER_ANSWERS, "Nothing was reserved for an order."),
    answer::<StockReleased>(Stock, Order, ORDER_ANSWERS, "Nothing is reserved any more."),
    answer::<StockExpired>(Stock, Order, ORDER_ANSWERS, "A reservation expired unsettled."),
    public::<StockShortfall>(Stock, "A confirmed order lacks goods; people must act."),
    public::<StockAdjusted>(Stock, "The stock of an article was corrected."),
    public::<StockAdjustRefused>(Stock, "The stock of an article was not corrected."),
    command::<ChargePayment>(Order, Payment, PAYMENT_COMMANDS, "Charges an order."),
    command::<RefundPayment>(Order, Payment, PAYMENT_SETTLE, "Refunds whatever was charged."),
    command::<ExecutePayment>(Payment, Payment, PAYMENT_EFFECTS, "Calls the payment provider."),
    answer::<PaymentExecuted>(Payment, Payment, PAYMENT_SETTLE, "What the provider answered."),
    answer::<PaymentCharged>(Payment, Order, ORDER_ANSWERS, "The order is paid."),
    answer::<PaymentDeclined>(Payment, Order, ORDER_ANSWERS, "The order is not paid."),
    answer::<PaymentRefunded>(Payment, Order, ORDER_ANSWERS, "Nothing is charged any more."),
];

/// The way of the message with this kind.
pub fn route(kind: &str) -> Option<&'static Route> {
    ROUTES.iter().find(|route| route.kind == kind)
}

/// The kinds that arrive in `queue`.
pub fn kinds_in(queue: &str) -> impl Iterator<Item = &'static Route> {
    ROUTES.iter().filter(move |route| route.consumer.is_some_and(|(_, name)| name == queue))
}

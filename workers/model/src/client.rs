//! What clients send.

use orderly_contracts::number::{Delta, Quantity, UnitPrice};
use orderly_contracts::order::{CancelOrder, OrderLine, PlaceOrder};
use orderly_contracts::routes::{COMMANDS, Party, route};
use orderly_contracts::stock::AdjustStock;
use orderly_contracts::text::{AdjustmentId, Currency, OrderId, PaymentToken, Sku};
use orderly_runtime::domain::Output;
use orderly_runtime::message::{Outgoing, Properties};

/// A line of an order: pieces, article, price of a piece.
pub type Line = (i64, &'static str, i64);

/// Something that is paid for and has no stock.
pub const SERVICE: &str = "postage";

/// Somebody places `order`; `id` names the message.
pub fn place(id: &str, order: &str, lines: &[Line], token: &str) -> Outgoing {
    let line = |(quantity, sku, price): &Line| OrderLine {
        sku: Sku::new(*sku).expect("a valid article"),
        quantity: Quantity::new(*quantity).expect("a valid quantity"),
        unit_price: UnitPrice::new(*price).expect("a valid price"),
        service: *sku == SERVICE,
    };
    let place = PlaceOrder {
        order_id: OrderId::new(order).expect("a valid id"),
        customer_id: None,
        lines: lines.iter().map(line).collect(),
        currency: Currency::new("GBP").expect("a valid currency"),
        payment_token: PaymentToken::new(token).expect("a valid token"),
    };
    publish(id, Output::of(&place))
}

/// Somebody calls `order` off.
pub fn cancel(order: &str) -> Outgoing {
    let order_id = OrderId::new(order).expect("a valid id");
    publish(&format!("cancel-{order}"), Output::of(&CancelOrder { order_id, reason: None }))
}

/// Somebody corrects the stock of an article.
pub fn adjust(id: &str, sku: &str, delta: i64) -> Outgoing {
    let adjust = AdjustStock {
        adjustment_id: AdjustmentId::new(id).expect("a valid id"),
        sku: Sku::new(sku).expect("a valid article"),
        delta: Delta::new(delta).expect("a valid delta"),
        note: None,
    };
    publish(&format!("adjust-{id}"), Output::of(&adjust))
}

fn publish(id: &str, output: Output) -> Outgoing {
    let Output { kind, correlation, body } = output;
    assert_eq!(route(kind).map(|route| route.sender), Some(Party::Client), "{kind}");
    let properties = Properties { correlation_id: Some(correlation), ..Properties::of(kind, id) };
    let (exchange, routing_key) = (COMMANDS.to_owned(), kind.to_owned());
    Outgoing { exchange, routing_key, mandatory: true, properties, body }
}

//! One invoice: its rows, and the order they make, or the reason why they make none.

use orderly_contracts::Message;
use orderly_contracts::number::{Quantity, UnitPrice};
use orderly_contracts::order::{LINES_MAX, OrderLine, PlaceOrder};
use orderly_contracts::text::{Currency, CustomerId, OrderId, PaymentToken, Sku};
use sha2::{Digest, Sha256};

use super::{Imported, minor_units};
use crate::publish::record::Refused;

/// Codes that stand for postage, charges, fees and discounts: paid for, never reserved.
const SERVICES: [&str; 10] =
    ["POST", "DOT", "M", "C2", "BANK CHARGES", "D", "CRUK", "AMAZONFEE", "S", "PADS"];

/// Whether a stock code is a service rather than goods.
pub fn is_service(sku: &str) -> bool {
    SERVICES.iter().any(|service| service.eq_ignore_ascii_case(sku))
}

/// The means of payment of an order, so that every outcome of a payment occurs, and the same one
/// each time: of 100 values of a hash of the order's id, 0 to 4 are `tok_decline` (1 order in 20,
/// declined), 5 and 6 are `tok_flaky_1` (1 in 50, paid at the second attempt), and all others
/// `tok_visa`. The hash is the first 8 bytes of SHA-256, most significant first, modulo 100.
pub fn payment_token(order_id: &str) -> &'static str {
    match stable_hash(order_id) % 100 {
        0..=4 => "tok_decline",
        5..=6 => "tok_flaky_1",
        _ => "tok_visa",
    }
}

/// A number that follows from a text alone, on every machine and in every version.
pub(crate) fn stable_hash(text: &str) -> u64 {
    let digest = Sha256::digest(text);
    let first: [u8; 8] = digest[..8].try_into().expect("a digest has 32 bytes");
    u64::from_be_bytes(first)
}

/// A row, as it stands in the file.
pub(super) struct Row {
    pub(super) line: u64,
    pub(super) sku: String,
    pub(super) quantity: String,
    pub(super) price: String,
    pub(super) customer: String,
}

/// The rows of one invoice.
pub(super) struct Invoice {
    file: String,
    pub(super) number: String,
    rows: Vec<Row>,
    count: usize,
}

impl Invoice {
    pub(super) fn new(file: &str, number: String, first: Row) -> Self {
        let file = file.to_owned();
        Self { file, number, rows: vec![first], count: 1 }
    }

    /// Adds a row. What no order can hold is counted and forgotten: memory stays bounded.
    pub(super) fn push(&mut self, row: Row) {
        self.count += 1;
        if self.count <= LINES_MAX {
            self.rows.push(row);
        }
    }

    /// A refusal of the whole invoice.
    pub(super) fn refused(&self, reason: &str, text: impl Into<String>) -> Refused {
        self.refused_at(self.rows[0].line, reason, text)
    }

    fn refused_at(&self, line: u64, reason: &str, text: impl Into<String>) -> Refused {
        Refused::new(&self.file, line, reason, text).of(&self.number)
    }

    /// The order, which obeys the contract.
    pub(super) fn into_order(self) -> Imported {
        if self.number.starts_with('C') {
            return Err(self.refused("cancellation", "the invoice cancels an earlier one"));
        }
        if self.count > LINES_MAX {
            let text = format!("{} rows, an order has at most {LINES_MAX}", self.count);
            return Err(self.refused("too_many_lines", text));
        }
        let quantities = self.quantities()?;
        let mut lines = Vec::with_capacity(self.rows.len());
        for (row, quantity) in self.rows.iter().zip(quantities) {
            lines.push(self.line(row, quantity)?);
        }
        let breach = |text: String| self.refused("contract", text);
        let token = payment_token(&self.number);
        let order = PlaceOrder {
            order_id: OrderId::new(self.number.as_str()).map_err(|e| breach(e.to_string()))?,
            customer_id: self.customer()?,
            lines,
            currency: Currency::new("GBP").map_err(|e| breach(e.to_string()))?,
            payment_token: PaymentToken::new(token).map_err(|e| breach(e.to_string()))?,
        };
        order.validate().map_err(breach)?;
        Ok(order)
    }

    /// All quantities, or why one of them can't be delivered.
    fn quantities(&self) -> Result<Vec<i64>, Refused> {
        let mut quantities = Vec::with_capacity(self.rows.len());
        for row in &self.rows {
            let quantity = row.quantity.parse::<i64>().map_err(|_| {
                let text = format!("Quantity {:?} is no whole number", row.quantity);
                self.refused_at(row.line, "quantity_unreadable", text)
            })?;
            quantities.push(quantity);
        }
        let Some(worst) = quantities.iter().position(|quantity| *quantity <= 0) else {
            return Ok(quantities);
        };
        if quantities.iter().all(|quantity| *quantity <= 0) {
            let text = "no quantity is above zero: a correction of the books, not an order";
            return Err(self.refused("negative_quantities", text));
        }
        let text = format!("Quantity {} is not above zero", quantities[worst]);
        Err(self.refused_at(self.rows[worst].line, "negative_quantity", text))
    }

    fn line(&self, row: &Row, quantity: i64) -> Result<OrderLine, Refused> {
        let breach = |text: String| self.refused_at(row.line, "contract", text);
        let price = minor_units(&row.price).map_err(|error| {
            let text = format!("UnitPrice {:?} {error}", row.price);
            self.refused_at(row.line, error.code(), text)
        })?;
        Ok(OrderLine {
            sku: Sku::new(row.sku.as_str()).map_err(|e| breach(e.to_string()))?,
            quantity: Quantity::new(quantity).map_err(|e| breach(e.to_string()))?,
            unit_price: UnitPrice::new(price).map_err(|e| breach(e.to_string()))?,
            service: is_service(&row.sku),
        })
    }

    /// The one customer of all rows, if there is one.
    fn customer(&self) -> Result<Option<CustomerId>, Refused> {
        let first = self.rows[0].customer.as_str();
        if let Some(other) = self.rows.iter().find(|row| row.customer != first) {
            let text = format!("the customer changes from {first:?} to {:?}", other.customer);
            return Err(self.refused_at(other.line, "customers_differ", text));
        }
        if first.is_empty() {
            return Ok(None);
        }
        // The data's publisher let a spreadsheet turn ids into decimal numbers.
        let whole = first.strip_suffix(".0").unwrap_or(first);
        let id = CustomerId::new(whole);
        id.map(Some).map_err(|error| self.refused("contract", error.to_string()))
    }
}

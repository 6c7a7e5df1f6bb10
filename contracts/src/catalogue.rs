//! Every message in one typed list: its way, its JSON Schema, its example and its reader.

use std::fmt;

use schemars::generate::SchemaSettings;
use schemars::{JsonSchema, Schema, SchemaGenerator};

use crate::message::{Message, decode};
use crate::order::{
    CancelOrder, OrderCancelRefused, OrderCancelled, OrderConfirmed, OrderConflicted,
    OrderRejected, OrderUnchanged, PlaceOrder,
};
use crate::payment::{
    ChargePayment, ExecutePayment, PaymentCharged, PaymentDeclined, PaymentExecuted,
    PaymentRefunded, RefundPayment,
};
use crate::refusal::Refusal;
use crate::stock::{
    AdjustStock, ReleaseStock, ReserveStock, StockAdjustRefused, StockAdjusted, StockExpired,
    StockRejected, StockReleased, StockReserved, StockShortfall,
};

/// A message with an example that uses every field.
pub(crate) trait Example: Message + JsonSchema + PartialEq {
    /// The example. Its bytes are frozen as the message's golden file.
    fn example() -> Self;
}

/// A body that was read as its message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// The message as we would write it: known fields alone, in their order, without spaces.
    pub wire: Vec<u8>,
    /// What belongs into the AMQP property `correlation_id`.
    pub correlation: String,
    /// Whether it equals the example, value by value.
    pub is_example: bool,
}

/// One message of the catalogue.
#[derive(Clone, Copy)]
pub struct Entry {
    /// The message's type and routing key.
    pub kind: &'static str,
    /// The name of the Rust type, which is the title of the schema too.
    pub name: &'static str,
    schema: fn(&mut SchemaGenerator) -> Schema,
    standalone: fn(SchemaGenerator) -> Schema,
    example: fn() -> Vec<u8>,
    read: fn(&[u8]) -> Result<Reading, Refusal>,
}

impl Entry {
    /// The JSON Schema of the body (draft 2020-12), complete in itself.
    pub fn schema(&self) -> Schema {
        (self.standalone)(SchemaSettings::draft2020_12().into_generator())
    }

    /// The body's schema as `generator` writes it; what it refers to stays in the generator.
    pub fn schema_in(&self, generator: &mut SchemaGenerator) -> Schema {
        (self.schema)(generator)
    }

    /// The example in its wire form.
    pub fn example(&self) -> Vec<u8> {
        (self.example)()
    }

    /// Reads a body as this message; the refusal is the one that the message's consumer gives.
    pub fn read(&self, body: &[u8]) -> Result<Reading, Refusal> {
        (self.read)(body)
    }
}

impl fmt::Debug for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.kind)
    }
}

fn wire<M: Message>(message: &M) -> Vec<u8> {
    serde_json::to_vec(message).expect("a message has text keys and whole numbers, which JSON has")
}

const fn entry<M: Example>(name: &'static str) -> Entry {
    Entry {
        kind: M::KIND,
        name,
        schema: |generator| generator.subschema_for::<M>(),
        standalone: |generator| generator.into_root_schema_for::<M>(),
        example: || wire(&M::example()),
        read: |body| {
            let message = decode::<M>(body)?;
            Ok(Reading {
                wire: wire(&message),
                correlation: message.correlation().to_owned(),
                is_example: message == M::example(),
            })
        },
    }
}

macro_rules! catalogue {
    ($($message:ident),* $(,)?) => { &[$(entry::<$message>(stringify!($message))),*] };
}

/// Every message of the system, in the order of [`crate::routes::ROUTES`].
pub const CATALOGUE: &[Entry] = catalogue![
    PlaceOrder,
    CancelOrder,
    OrderConfirmed,
    OrderRejected,
    OrderCancelled,
    OrderUnchanged,
    OrderCancelRefused,
    OrderConflicted,
    ReserveStock,
    ReleaseStock,
    AdjustStock,
    StockReserved,
    StockRejected,
    StockReleased,
    StockExpired,
    StockShortfall,
    StockAdjusted,
    StockAdjustRefused,
    ChargePayment,
    RefundPayment,
    ExecutePayment,
    PaymentExecuted,
    PaymentCharged,
    PaymentDeclined,
    PaymentRefunded,
];

/// The message with this kind.
pub fn entry_of(kind: &str) -> Option<&'static Entry> {
    CATALOGUE.iter().find(|entry| entry.kind == kind)
}

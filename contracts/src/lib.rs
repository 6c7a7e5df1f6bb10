//! What crosses a wire between Orderly and anybody else, and nothing besides.
//!
//! Read in this order: [`order`], [`stock`] and [`payment`] hold the messages; [`routes`] says who
//! sends each of them, who consumes it and where it travels; [`envelope`] names the AMQP
//! properties and headers around a body; [`refusal`] lists why a message is refused. Texts and
//! numbers are parsed once, into [`text`] and [`number`], and valid from then on. [`catalogue`]
//! lists every message with its JSON Schema and its example; what is published of them stands in
//! the folders beside `src`.

pub mod catalogue;
pub mod envelope;
mod examples;
pub mod message;
pub mod number;
mod object;
pub mod order;
pub mod payment;
pub mod refusal;
pub mod routes;
pub mod stock;
pub mod text;

pub use message::{Message, decode};
pub use refusal::{Reason, Refusal};

//! The broker on RabbitMQ, by way of lapin: the only folder that knows that library.

pub mod broker;
pub mod connect;
pub mod convert;
pub mod declare;

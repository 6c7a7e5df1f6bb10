//! The operator's command `orderly`: one room a command, and what the commands share.
//!
//! [`cli`] lists the commands; each is a module of its own. [`settings`], [`connections`] and
//! `management` say where everything is and open the ways there, `look` bounds a look at a server, [`output`] is how values look,
//! [`exit`] how a command ends. [`online_retail`] turns the real data into orders.

pub mod audit;
pub mod cli;
pub mod connections;
pub mod dead;
pub mod deadlines;
pub mod doctor;
pub mod exit;
mod look;
mod management;
pub mod migrate;
pub mod online_retail;
pub mod operator;
pub mod order;
pub mod output;
pub mod pause;
pub mod payment;
pub mod publish;
pub mod receipts;
pub mod settings;
pub mod setup;
pub mod stock;
pub mod top;

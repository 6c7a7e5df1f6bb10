//! The judgement of an order and of an article, as tables: what is changed, and what is found.

mod articles;
mod clean;
mod open;
mod violated;
mod world;

//! The saga and its participants as a model: every order of messages, duplicates and timeouts.
//!
//! The decisions that are explored are those that ship: a message goes through
//! [`Reception`](orderly_runtime::reception::Reception), [`fold`](orderly_runtime::fold::fold) and
//! the `decide` of its worker, and what comes out goes on its way. Around them everything happens
//! that may happen: messages overtake each other, come twice, lie for ever; workers crash between
//! commit and acknowledgement; timers fire at any moment; calls to the provider fail; inboxes are
//! purged. A [`Configuration`](configuration::Configuration) says what clients send and how often
//! each of these may happen; [`explore`](explore::explore) then goes every way there is, to its
//! end.
//!
//! Read in this order: [`moment`] is what is told apart, [`system`] what can happen, [`rules`] what
//! must hold, [`scene`] what has to happen somewhere, [`catalogue`] the configurations.
//!
//! What it can't see: batches of more than one message, for which there are property tests;
//! transactions that overlap, for the database makes them one after the other; and everything
//! below the seams, for which there are tests with real servers.

pub mod books;
pub mod catalogue;
pub mod client;
pub mod configuration;
pub mod explore;
pub mod fact;
pub mod model;
mod modelled;
pub mod moment;
pub mod place;
pub mod provider;
pub mod rules;
pub mod scene;
pub mod service;
pub mod system;
pub mod tables;

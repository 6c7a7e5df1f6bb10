//! The saga and its participants as a model: every order of messages, duplicates, losses and crashes.

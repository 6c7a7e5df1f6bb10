//! The migrations of the payment database, embedded.

mod embedded {
    refinery::embed_migrations!("../../migrations/payment");
}

/// The migrations of the worker's own tables, in order.
pub fn migrations() -> refinery::Runner {
    embedded::migrations::runner()
}

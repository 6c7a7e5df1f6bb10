//! The migrations of the order database, embedded.

mod embedded {
    refinery::embed_migrations!("../../migrations/order");
}

/// The migrations of the worker's own tables, in order.
pub fn migrations() -> refinery::Runner {
    embedded::migrations::runner()
}

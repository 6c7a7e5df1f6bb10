//! The migrations of the stock database, embedded.

mod embedded {
    refinery::embed_migrations!("../../migrations/stock");
}

/// The migrations of the worker's own tables, in order.
pub fn migrations() -> refinery::Runner {
    embedded::migrations::runner()
}

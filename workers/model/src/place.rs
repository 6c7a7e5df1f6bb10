//! Where everything is kept in a moment: fixed places, so that a moment is small and quick to tell
//! from another.

/// The most orders in a configuration.
pub const ORDERS: usize = 2;
/// The most articles in a configuration.
pub const ITEMS: usize = 2;
/// How many states the three services keep together at most.
pub const ROWS: usize = 3 * ORDERS + ITEMS + ADJUSTMENTS.len();
/// How many timers the services keep together at most.
pub const TIMERS: usize = 2 * ORDERS;

/// The ids of the orders.
pub const ORDER_IDS: [&str; ORDERS] = ["a", "b"];
/// The articles.
pub const SKUS: [&str; ITEMS] = ["cup", "jug"];
/// The ids of the corrections of stock.
pub const ADJUSTMENTS: [&str; 3] = ["opening-cup", "opening-jug", "correction"];

/// The number of the order with this id, if there is one.
pub fn order(id: &str) -> Option<usize> {
    ORDER_IDS.iter().position(|known| *known == id)
}

/// The number of this article.
///
/// # Panics
/// If no configuration knows it.
pub fn item(sku: &str) -> usize {
    SKUS.iter().position(|known| *known == sku).expect("an article of the configuration")
}

/// Where the order service keeps an order.
pub const fn saga(order: usize) -> usize {
    order
}

/// Where the stock service keeps the reservation of an order.
pub const fn reservation(order: usize) -> usize {
    ORDERS + order
}

/// Where the payment service keeps the payment of an order.
pub const fn payment(order: usize) -> usize {
    2 * ORDERS + order
}

/// Where the stock service keeps an article.
pub const fn article(item: usize) -> usize {
    3 * ORDERS + item
}

/// Where the stock service keeps the correction with this id.
///
/// # Panics
/// If no configuration knows it.
pub fn adjustment(id: &str) -> usize {
    let number = ADJUSTMENTS.iter().position(|known| *known == id);
    3 * ORDERS + ITEMS + number.expect("a correction of the configuration")
}

/// Where the timer of an order is kept.
pub const fn order_timer(order: usize) -> usize {
    order
}

/// Where the timer of an order's reservation is kept.
pub const fn stock_timer(order: usize) -> usize {
    ORDERS + order
}

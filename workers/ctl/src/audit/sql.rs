//! The statements of the audit. They only read, and each gives sorted rows from one snapshot.

use orderly_contracts::routes::Party;

/// What every connection is set to. Bounds differ from page to page, so plans are made for the
/// values at hand, and compiling a statement costs more than a page takes.
pub(crate) const SESSION: &str = "
    SET default_transaction_read_only = on;
    SET plan_cache_mode = force_custom_plan;
    SET jit = off;
    SET statement_timeout = '10min'";

/// The condition for a range of keys, given as `$1` and `$2`.
pub(crate) const IN_RANGE: &str = "@ > $1 AND @ <= $2";
/// The condition for given keys, a list in `$1`.
pub(crate) const BY_ID: &str = "@ = ANY ($1)";

/// The last of the next `$2` orders after `$1`, and how many there are.
pub(crate) const BOUND: &str = "
    SELECT max(order_id), count(*)
    FROM (SELECT order_id FROM orders WHERE order_id > $1 ORDER BY order_id LIMIT $2) AS page";

/// The versions of orders.
pub(crate) const VERSIONS: &str = "SELECT order_id, version FROM orders WHERE order_id = ANY ($1)";

/// Dead letters about orders that explain why something is unfinished: all but the resolved ones,
/// whose message, or an edited one, has gone its way since.
pub(crate) const LETTERS: &str = "
    SELECT correlation_id, id::text, reason
    FROM dead_letters WHERE correlation_id = ANY ($1) AND status <> 'resolved'
    ORDER BY last_at";

const ORDER: &str = "
    SELECT order_id, o.status, o.version, o.lines, o.total, o.currency,
           o.owes_release, o.owes_refund, o.unchanged_for,
           t.step, t.round, EXTRACT(epoch FROM t.due_at - now())::bigint,
           h.entries, h.first_version, h.last_version, h.distinct_versions, h.terminal,
           h.last_status
    FROM (
        SELECT order_id, status, version, lines::text, total, currency, owes_release, owes_refund,
               EXTRACT(epoch FROM now() - updated_at)::bigint AS unchanged_for
        FROM orders WHERE {order_id}
    ) AS o
    FULL JOIN (
        SELECT order_id, count(*) AS entries, min(version) AS first_version,
               max(version) AS last_version, count(DISTINCT version) AS distinct_versions,
               count(*) FILTER (WHERE to_status IN ('confirmed', 'rejected', 'cancelled'))
                   AS terminal,
               (array_agg(to_status ORDER BY version DESC))[1] AS last_status
        FROM order_history WHERE {order_id} GROUP BY order_id
    ) AS h USING (order_id)
    LEFT JOIN (SELECT owner, step, round, due_at FROM timers WHERE {owner}) AS t
        ON t.owner = order_id
    ORDER BY order_id";

const STOCK: &str = "
    SELECT order_id, r.status, r.lines, l.skus, l.operations, l.pieces
    FROM (SELECT order_id, status, lines::text FROM reservations WHERE {order_id}) AS r
    FULL JOIN (
        SELECT order_id, array_agg(sku) AS skus, array_agg(operation) AS operations,
               array_agg(pieces) AS pieces
        FROM stock_ledger WHERE order_id IS NOT NULL AND {order_id} GROUP BY order_id
    ) AS l USING (order_id)
    ORDER BY order_id";

const PAYMENT: &str = "
    SELECT order_id, p.status, p.amount, p.currency,
           l.captured, l.refunded, l.captures, l.refunds, l.capture_balance, l.refund_balance,
           l.currencies
    FROM (SELECT order_id, status, amount, currency FROM payments WHERE {order_id}) AS p
    FULL JOIN (
        SELECT order_id,
               sum(amount) FILTER (WHERE operation = 'capture' AND account = 'provider')::bigint
                   AS captured,
               -sum(amount) FILTER (WHERE operation = 'refund' AND account = 'provider')::bigint
                   AS refunded,
               count(*) FILTER (WHERE operation = 'capture' AND account = 'provider') AS captures,
               count(*) FILTER (WHERE operation = 'refund' AND account = 'provider') AS refunds,
               sum(amount) FILTER (WHERE operation = 'capture')::bigint AS capture_balance,
               sum(amount) FILTER (WHERE operation = 'refund')::bigint AS refund_balance,
               array_agg(DISTINCT currency) AS currencies
        FROM payment_ledger WHERE {order_id} GROUP BY order_id
    ) AS l USING (order_id)
    ORDER BY order_id";

/// The last of the next `$2` articles after `$1`, and how many there are.
pub(crate) const ARTICLE_BOUND: &str = "
    SELECT max(sku), count(*)
    FROM (SELECT sku FROM items WHERE sku > $1 ORDER BY sku LIMIT $2) AS page";

/// Articles, with the sums of their ledger and of their adjustments.
pub(crate) const ARTICLES: &str = "
    SELECT sku, i.on_hand, i.reserved, l.entries, l.on_hand, l.reserved,
           l.adjustments, l.adjusted, a.made, a.made_sum
    FROM (SELECT sku, on_hand, reserved FROM items WHERE sku > $1 AND sku <= $2) AS i
    FULL JOIN (
        SELECT sku, count(*) AS entries,
               sum(CASE operation WHEN 'adjust' THEN pieces WHEN 'commit' THEN -pieces
                   ELSE 0 END)::bigint AS on_hand,
               sum(CASE operation WHEN 'adjust' THEN 0 WHEN 'reserve' THEN pieces
                   ELSE -pieces END)::bigint AS reserved,
               count(*) FILTER (WHERE operation = 'adjust') AS adjustments,
               sum(pieces) FILTER (WHERE operation = 'adjust')::bigint AS adjusted
        FROM stock_ledger WHERE sku > $1 AND sku <= $2 GROUP BY sku
    ) AS l USING (sku)
    FULL JOIN (
        SELECT sku, count(*) AS made, sum(delta)::bigint AS made_sum
        FROM adjustments WHERE refusal IS NULL AND sku > $1 AND sku <= $2 GROUP BY sku
    ) AS a USING (sku)
    ORDER BY sku";

/// Which of the messages in `$1` have had their effect.
pub(crate) const RECEIVED: &str =
    "SELECT message_id FROM inbox WHERE source = 'client' AND message_id = ANY ($1)";
/// Which of the messages in `$1` were given up; an edited one never arrives under its own id.
pub(crate) const GIVEN_UP: &str = "SELECT message_id FROM dead_letters WHERE message_id = ANY ($1)";

/// The statement for the side of `party`, under a condition on the order's id.
pub(crate) fn side(party: Party, condition: &str) -> String {
    let statement = match party {
        Party::Stock => STOCK,
        Party::Payment => PAYMENT,
        Party::Order | Party::Client => ORDER,
    };
    statement
        .replace("{order_id}", &condition.replace('@', "order_id"))
        .replace("{owner}", &condition.replace('@', "owner"))
}

-- What the order worker kept of old orders: all of them were confirmed.

INSERT INTO orders (order_id, customer_id, currency, payment_token, lines, total, placed_at,
                    status, version, reason, round, owes_release, owes_refund, refunded,
                    ended_at, updated_at)
SELECT order_id, NULL, 'GBP', 'tok_visa',
       jsonb_build_array(jsonb_build_object('sku', sku, 'quantity', 1, 'unit_price', 250)),
       250, placed_at,
       'confirmed', 3, NULL, 0, false, false, false,
       pg_temp.at(placed_at, 5), pg_temp.at(placed_at, 5)
FROM old_orders
ORDER BY n;

INSERT INTO order_history (order_id, version, at, from_status, to_status, reason, cause_source,
                           cause_id, kind, note)
SELECT order_id, version, at, from_status, to_status, NULL, sender, message_id, kind, NULL
FROM old_messages JOIN (
    VALUES (1, 1, NULL, 'pending'), (3, 2, 'pending', 'reserved'), (5, 3, 'reserved', 'confirmed')
) AS change (step, version, from_status, to_status) USING (step)
ORDER BY n, version;

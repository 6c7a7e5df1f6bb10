-- What the stock worker kept of old orders: their goods are gone. The articles have to be there,
-- with enough of each.

INSERT INTO reservations (order_id, status, lines, shortages, created_at, updated_at)
SELECT order_id, 'committed', jsonb_build_object(sku, 1), '[]',
       pg_temp.at(placed_at, 2), pg_temp.at(placed_at, 6)
FROM old_orders
ORDER BY n;

-- Its identity is given out in this order.
INSERT INTO stock_ledger (sku, order_id, adjustment_id, operation, pieces, at)
SELECT sku, order_id, NULL, operation, 1, pg_temp.at(placed_at, step)
FROM old_orders CROSS JOIN (VALUES (2, 'reserve'), (6, 'commit')) AS posting (step, operation)
ORDER BY n, step;

UPDATE items SET on_hand = on_hand - sold.pieces
FROM (SELECT sku, count(*) AS pieces FROM old_orders GROUP BY sku) AS sold
WHERE items.sku = sold.sku;

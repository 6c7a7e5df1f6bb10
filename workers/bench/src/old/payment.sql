-- What the payment worker kept of old orders: their money was captured.

INSERT INTO payments (order_id, status, amount, currency, payment_token, refund_wanted, detail,
                      created_at, updated_at)
SELECT order_id, 'captured', 250, 'GBP', 'tok_visa', false, NULL,
       pg_temp.at(placed_at, 4), pg_temp.at(placed_at, 4)
FROM old_orders
ORDER BY n;

INSERT INTO payment_ledger (order_id, operation, account, amount, currency, at)
SELECT order_id, 'capture', account, amount, 'GBP', pg_temp.at(placed_at, 4)
FROM old_orders CROSS JOIN (VALUES ('provider', 250), ('sales', -250)) AS entry (account, amount)
ORDER BY n, account;

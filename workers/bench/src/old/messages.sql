-- The old orders and their messages, as they were: what the files beside this one are made from.
-- `old.first` and `old.last` are the orders at hand, `old.count` is how many there are in all, and
-- `old.begin` is when the first of them was placed. The last was placed a day ago: as old as what
-- is still in every inbox.

-- All single lines, over the hundred articles that new orders name as well.
CREATE TEMP VIEW old_orders AS
SELECT n,
       'old-' || lpad(n::text, 8, '0') AS order_id,
       'article-' || lpad((n * 7919 % 100)::text, 5, '0') AS sku,
       current_setting('old.begin')::timestamptz
           + interval '12 days' * (n::float8 / current_setting('old.count')::float8) AS placed_at
FROM generate_series(current_setting('old.first')::bigint, current_setting('old.last')::bigint) AS n;

-- These functions are called for every row, and are taken into the statements that call them, which
-- PostgreSQL does with none that calls itself more constant than what it is made of.

-- A step of the saga comes 10 ms after the one before it.
CREATE FUNCTION pg_temp.at(placed_at timestamptz, step integer) RETURNS timestamptz
LANGUAGE sql STABLE AS $$ SELECT placed_at + step * interval '10 milliseconds' $$;

-- Ids look as if derived; those of a shop are its own.
CREATE FUNCTION pg_temp.message_id(order_id text, step integer) RETURNS text
LANGUAGE sql STABLE AS $$
    SELECT CASE step WHEN 1 THEN 'place-' || order_id
                     ELSE md5(order_id || '/' || step)::uuid::text END $$;

-- A hundred orders went through each step in one batch.
CREATE FUNCTION pg_temp.batch(n bigint, step integer) RETURNS uuid
LANGUAGE sql STABLE AS $$ SELECT md5('batch/' || (n - 1) / 100 || '/' || step)::uuid $$;

-- What each step publishes, and who takes it. The body is about an order and an article.
CREATE TEMP VIEW old_steps (step, sender, receiver, exchange, kind, body) AS
VALUES
    (1, 'client', 'order', 'orderly.commands', 'order.place.v1',
     '{"order_id":"%1$s","lines":[{"sku":"%2$s","quantity":1,"unit_price":250}],"currency":"GBP","payment_token":"tok_visa"}'),
    (2, 'order', 'stock', 'orderly.commands', 'stock.reserve.v1',
     '{"order_id":"%1$s","lines":[{"sku":"%2$s","pieces":1}]}'),
    (3, 'stock', 'order', 'orderly.events', 'stock.reserved.v1',
     '{"order_id":"%1$s"}'),
    (4, 'order', 'payment', 'orderly.commands', 'payment.charge.v1',
     '{"order_id":"%1$s","amount":250,"currency":"GBP","payment_token":"tok_visa"}'),
    (5, 'payment', 'order', 'orderly.events', 'payment.charged.v1',
     '{"order_id":"%1$s","amount":250,"currency":"GBP"}'),
    (6, 'order', 'stock', 'orderly.events', 'order.confirmed.v1',
     '{"order_id":"%1$s","version":3,"status":"confirmed","lines":[{"sku":"%2$s","quantity":1,"unit_price":250}],"currency":"GBP","total":250}');

CREATE TEMP VIEW old_messages AS
SELECT n, step, sender, receiver, exchange, kind, order_id, placed_at,
       -- The message that led to it; nothing of ours led to the first one.
       cause_source,
       pg_temp.message_id(order_id, step - 1) AS cause_id,
       pg_temp.at(placed_at, step) AS at,
       pg_temp.message_id(order_id, step) AS message_id,
       convert_to(format(body, order_id, sku), 'UTF8') AS body
FROM old_orders CROSS JOIN (
    SELECT *, lag(sender) OVER (ORDER BY step) AS cause_source FROM old_steps
) AS message;

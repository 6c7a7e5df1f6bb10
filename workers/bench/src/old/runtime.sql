-- What the runtime of the worker `old.worker` kept of old orders.

INSERT INTO inbox (source, message_id, kind, body_hash, batch, at)
SELECT sender, message_id, kind, sha256(body), pg_temp.batch(n, step), at
FROM old_messages WHERE receiver = current_setting('old.worker')
ORDER BY n, step;

-- A batch without outputs leaves no row.
INSERT INTO batches (id, at, sent, leased_until)
SELECT pg_temp.batch(n, step - 1), min(at), true, NULL
FROM old_messages WHERE sender = current_setting('old.worker')
GROUP BY pg_temp.batch(n, step - 1)
ORDER BY min(at);

INSERT INTO outbox (batch, ordinal, source, message_id, exchange, routing_key, mandatory,
                    properties, body)
SELECT pg_temp.batch(n, step - 1), (n - 1) % 100, cause_source, cause_id, exchange, kind, true,
       format('{"content_type":"application/json","headers":{"causation-id":{"text":"%s"},'
              '"placed-at-us":{"i64":%s},"sent-at-us":{"i64":%s}},"delivery_mode":2,'
              '"correlation_id":"%s","message_id":"%s","timestamp":%s,"type":"%s",'
              '"app_id":"orderly-%s"}',
              cause_id, (extract(epoch FROM placed_at) * 1000000)::bigint,
              (extract(epoch FROM at) * 1000000)::bigint, order_id, message_id,
              floor(extract(epoch FROM at))::bigint, kind, sender),
       body
FROM old_messages WHERE sender = current_setting('old.worker')
ORDER BY n, step;

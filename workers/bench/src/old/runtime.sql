-- What the runtime of the worker `old.worker` kept of old orders.

INSERT INTO inbox (source, message_id, kind, body_hash, batch, at)
SELECT sender, message_id, kind, sha256(body), pg_temp.batch(n, step), at
FROM old_messages WHERE receiver = current_setting('old.worker')
ORDER BY n, step;

-- A batch without outputs leaves no row.
INSERT INTO batches (id, at, sent, leased_until, outputs)
SELECT pg_temp.batch(n, step - 1), min(at), true, NULL,
       '[' || string_agg(
           format('{"source":"%1$s","cause":"%2$s","exchange":"%3$s","routing_key":"%4$s",'
                  '"mandatory":true,"properties":{"content_type":"application/json",'
                  '"headers":{"causation-id":{"text":"%2$s"},"placed-at-us":{"i64":%5$s},'
                  '"sent-at-us":{"i64":%6$s}},"delivery_mode":2,"correlation_id":"%7$s",'
                  '"message_id":"%8$s","timestamp":%9$s,"type":"%4$s","app_id":"orderly-%10$s"},'
                  '"body":%11$s}',
                  cause_source, cause_id, exchange, kind,
                  (extract(epoch FROM placed_at) * 1000000)::bigint,
                  (extract(epoch FROM at) * 1000000)::bigint, order_id, message_id,
                  floor(extract(epoch FROM at))::bigint, sender,
                  to_json(convert_from(body, 'UTF8'))),
           ',' ORDER BY n) || ']'
FROM old_messages WHERE sender = current_setting('old.worker')
GROUP BY pg_temp.batch(n, step - 1)
ORDER BY min(at);

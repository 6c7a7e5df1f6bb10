-- The outputs of a batch are written and read together, so they are one value of its row: a list of
-- JSON objects in the order in which they are published, each body as a string. Kept as text, because
-- a header may hold U+0000, which jsonb refuses.
ALTER TABLE batches ADD COLUMN outputs text;

UPDATE batches SET outputs = (
    SELECT '[' || string_agg(
        '{"source":' || to_json(source::text) || ',"cause":' || to_json(message_id::text)
        || ',"exchange":' || to_json(exchange) || ',"routing_key":' || to_json(routing_key)
        || ',"mandatory":' || mandatory || ',"properties":' || properties
        || ',"body":' || to_json(convert_from(body, 'UTF8')) || '}',
        ',' ORDER BY ordinal) || ']'
    FROM outbox WHERE batch = batches.id);
DELETE FROM batches WHERE outputs IS NULL;

ALTER TABLE batches ALTER COLUMN outputs SET NOT NULL;
DROP TABLE outbox;

-- An order changes as often as its saga steps, so its row has room beside it and no index on what changes:
-- then an update touches one page and no index. What is open is told by the timers.
DROP INDEX orders_open;
ALTER TABLE orders SET (fillfactor = 70);

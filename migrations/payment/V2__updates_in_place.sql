-- A payment is written when it is asked for and again when it is answered. With room beside its row and no
-- index on what changes, the second touches one page and no index. Nothing ever looked for payments by age.
DROP INDEX payments_at_provider;
ALTER TABLE payments SET (fillfactor = 70);

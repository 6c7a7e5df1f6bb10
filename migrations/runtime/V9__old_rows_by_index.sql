-- What is old is looked for every few seconds. A block range is no help once what was forgotten has made room and
-- new rows have come to lie where old ones did: each range then seems to hold old rows, and all of them are read.
CREATE INDEX inbox_by_age ON inbox (at);
CREATE INDEX batches_by_age ON batches (at);
-- Last, for nobody can read these tables from here on until this is committed.
DROP INDEX inbox_at;
DROP INDEX batches_at;

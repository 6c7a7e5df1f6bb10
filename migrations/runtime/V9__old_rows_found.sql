-- What no summary covers yet is read whenever old rows are looked for, every few seconds. Summaries that wait for
-- a VACUUM leave a fifth of a table uncovered, however large it is; now a minute's rows at most.
ALTER INDEX inbox_at SET (autosummarize = on);
ALTER INDEX batches_at SET (autosummarize = on);

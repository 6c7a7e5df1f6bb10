-- How many letters are open, by reason: a gauge reads it every few seconds.
CREATE INDEX dead_letters_open ON dead_letters (reason) WHERE status = 'open';

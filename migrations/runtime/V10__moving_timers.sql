-- What is moving is counted ten times a second, and is little. What is stuck must not be read along with it: after
-- an outage of hours there may be any number of those.
CREATE INDEX timers_moving ON timers (due_at) WHERE round = 0;

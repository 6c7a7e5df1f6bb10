-- Every pause that an operator gave this worker, all replicas of it; at most one has not ended.
CREATE TABLE pauses (
    id       bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    began_at timestamptz NOT NULL DEFAULT now(),
    began_by text        NOT NULL,
    why      text,
    ended_at timestamptz,
    ended_by text,
    CONSTRAINT pauses_end_by_somebody CHECK ((ended_at IS NULL) = (ended_by IS NULL))
);
CREATE UNIQUE INDEX pauses_one_at_a_time ON pauses ((true)) WHERE ended_at IS NULL;

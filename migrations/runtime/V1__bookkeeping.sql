-- The runtime's own tables, the same in every worker's database.

-- One row for every message that has had its effect. The primary key is what makes it once.
CREATE TABLE inbox (
    source     text COLLATE "C" NOT NULL,
    message_id text COLLATE "C" NOT NULL,
    kind       text             NOT NULL,
    body_hash  bytea            NOT NULL,
    batch      uuid             NOT NULL,
    at         timestamptz      NOT NULL DEFAULT now(),
    PRIMARY KEY (source, message_id)
);
-- Rows arrive in the order of time, so a block range index finds the old ones and costs nothing.
CREATE INDEX inbox_at ON inbox USING brin (at);

-- One row for every batch with outputs: whether they are out is noted here, once for all of them.
CREATE TABLE batches (
    id           uuid        PRIMARY KEY,
    at           timestamptz NOT NULL DEFAULT now(),
    sent         boolean     NOT NULL DEFAULT false,
    leased_until timestamptz
);
CREATE INDEX batches_unsent ON batches (at) WHERE NOT sent;
CREATE INDEX batches_at ON batches USING brin (at);

-- What each message decided to publish, exactly as it is to be sent.
CREATE TABLE outbox (
    batch       uuid             NOT NULL,
    ordinal     integer          NOT NULL,
    source      text COLLATE "C" NOT NULL,
    message_id  text COLLATE "C" NOT NULL,
    exchange    text             NOT NULL,
    routing_key text             NOT NULL,
    mandatory   boolean          NOT NULL,
    properties  text             NOT NULL,
    body        bytea            NOT NULL,
    PRIMARY KEY (batch, ordinal)
);

-- Deadlines. An owner has one at most; listed, moved and cancelled as rows.
CREATE TABLE timers (
    owner  text COLLATE "C" PRIMARY KEY,
    step   text        NOT NULL,
    round  integer     NOT NULL CHECK (round >= 0),
    due_at timestamptz NOT NULL
);
CREATE INDEX timers_due ON timers (due_at);

-- Messages that were in hand when a process died, with how often.
CREATE TABLE suspects (
    source     text COLLATE "C" NOT NULL,
    message_id text COLLATE "C" NOT NULL,
    deaths     integer          NOT NULL,
    PRIMARY KEY (source, message_id)
);

-- Messages that were given up, each explaining itself. `properties` is JSON kept as text, because
-- a header may hold U+0000, which jsonb refuses.
CREATE TABLE dead_letters (
    id             uuid        PRIMARY KEY,
    reason         text        NOT NULL,
    explanation    text        NOT NULL,
    attempts       integer     NOT NULL,
    queue          text        NOT NULL,
    exchange       text        NOT NULL,
    routing_key    text        NOT NULL,
    kind           text,
    message_id     text,
    correlation_id text,
    worker         text        NOT NULL,
    first_at       timestamptz NOT NULL,
    last_at        timestamptz NOT NULL,
    occurrences    bigint      NOT NULL DEFAULT 1,
    properties     text        NOT NULL,
    body           bytea       NOT NULL,
    filed_at       timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX dead_letters_last ON dead_letters (last_at, id);

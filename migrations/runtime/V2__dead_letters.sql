-- What becomes of dead letters: their state, replays, edits, and who did what.

ALTER TABLE dead_letters
    -- A replayed letter may be out; the inbox tells when it is resolved, a new death when it is not.
    ADD COLUMN status          text        NOT NULL DEFAULT 'open'
        CHECK (status IN ('open', 'replayed', 'resolved', 'archived')),
    ADD COLUMN status_at       timestamptz NOT NULL DEFAULT now(),
    -- What the body was, where it was too long to be kept whole; null where it is all here.
    ADD COLUMN whole_bytes     bigint,
    ADD COLUMN whole_sha256    text,
    -- Names the cause. Null in rows of before: `orderly dead` fills it in when it looks.
    ADD COLUMN fingerprint     text,
    ADD COLUMN replay          uuid,
    ADD COLUMN replays         integer     NOT NULL DEFAULT 0,
    ADD COLUMN replayed_at     timestamptz,
    ADD COLUMN failed_again_at timestamptz,
    -- The inbox row that will show that the replayed message has had its effect.
    ADD COLUMN done_source     text COLLATE "C",
    ADD COLUMN done_id         text COLLATE "C",
    ADD COLUMN done_hash       bytea,
    -- The letter whose edited copy this one is about, and the message that went out instead.
    ADD COLUMN edit_of         uuid,
    ADD COLUMN edited_as       text,
    ADD COLUMN note            text;

CREATE INDEX dead_letters_group ON dead_letters (fingerprint, last_at);
CREATE INDEX dead_letters_correlation ON dead_letters (correlation_id);
CREATE INDEX dead_letters_message ON dead_letters (message_id);
CREATE INDEX dead_letters_replay ON dead_letters (replay) WHERE replay IS NOT NULL;
CREATE INDEX dead_letters_unnamed ON dead_letters (id) WHERE fingerprint IS NULL;
CREATE INDEX dead_letters_out ON dead_letters (status_at) WHERE status = 'replayed';
CREATE INDEX dead_letters_over ON dead_letters (status_at) WHERE status IN ('resolved', 'archived');

-- A replay is a set of letters, recorded before the first of them is sent. It may have letters in
-- several databases: it is `recording` until all of them know their part.
CREATE TABLE dead_replays (
    id        uuid        PRIMARY KEY,
    at        timestamptz NOT NULL DEFAULT now(),
    operator  text        NOT NULL,
    selection text        NOT NULL,
    status    text        NOT NULL DEFAULT 'recording'
        CHECK (status IN ('recording', 'running', 'stopped', 'done')),
    ended_at  timestamptz
);
CREATE INDEX dead_replays_running ON dead_replays (at) WHERE status = 'running';

CREATE TABLE dead_replay_letters (
    replay uuid    NOT NULL REFERENCES dead_replays (id) ON DELETE CASCADE,
    place  integer NOT NULL,
    letter uuid    NOT NULL REFERENCES dead_letters (id) ON DELETE CASCADE,
    state  text    NOT NULL DEFAULT 'waiting'
        CHECK (state IN ('waiting', 'sending', 'sent', 'skipped')),
    why    text,
    PRIMARY KEY (replay, place),
    UNIQUE (replay, letter)
);
CREATE INDEX dead_replay_letters_letter ON dead_replay_letters (letter);
CREATE INDEX dead_replay_letters_left ON dead_replay_letters (replay, place)
    WHERE state IN ('waiting', 'sending');

-- The message that is sent in place of a letter's own, kept until the letter is forgotten.
CREATE TABLE dead_edits (
    letter     uuid        PRIMARY KEY REFERENCES dead_letters (id) ON DELETE CASCADE,
    at         timestamptz NOT NULL DEFAULT now(),
    operator   text        NOT NULL,
    message_id text        NOT NULL,
    properties text        NOT NULL,
    body       bytea       NOT NULL
);

-- The audit trail. It outlives the letters, and nobody changes it.
CREATE TABLE dead_actions (
    id       bigint      GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    at       timestamptz NOT NULL DEFAULT now(),
    operator text        NOT NULL,
    action   text        NOT NULL CHECK (action IN
        ('replay', 'edit', 'archive', 'restore', 'resolved', 'failed_again', 'stop')),
    letter   uuid,
    replay   uuid,
    details  text
);
CREATE INDEX dead_actions_letter ON dead_actions (letter, id);
CREATE INDEX dead_actions_outcome ON dead_actions (replay, letter, id)
    WHERE action IN ('resolved', 'failed_again');

CREATE FUNCTION dead_actions_are_final() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the audit trail of dead letters is only ever added to';
END $$;
CREATE TRIGGER dead_actions_are_final BEFORE UPDATE OR DELETE OR TRUNCATE ON dead_actions
    FOR EACH STATEMENT EXECUTE FUNCTION dead_actions_are_final();

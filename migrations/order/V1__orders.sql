-- One row an order: what was ordered, written once, and how far its saga has come. An order that
-- was cancelled before it was placed is a row too, without content, for the place may still come.
CREATE TABLE orders (
    order_id      text COLLATE "C" PRIMARY KEY,

    customer_id   text,
    currency      text,
    payment_token text,
    lines         jsonb,
    total         bigint CHECK (total >= 0),
    placed_at     timestamptz,

    status        text        NOT NULL CHECK (status IN
        ('pending', 'reserved', 'cancelling', 'confirmed', 'rejected', 'cancelled')),
    version       bigint      NOT NULL CHECK (version > 0),
    reason        text        CHECK (reason IN
        ('out_of_stock', 'payment_declined', 'cancel_requested',
         'stock_timeout', 'payment_timeout', 'reservation_expired')),
    round         integer     NOT NULL CHECK (round >= 0),
    owes_release  boolean     NOT NULL,
    owes_refund   boolean     NOT NULL,
    refunded      boolean     NOT NULL,
    ended_at      timestamptz,
    updated_at    timestamptz NOT NULL DEFAULT now(),

    CONSTRAINT orders_content_whole_or_absent
        CHECK (num_nulls(currency, payment_token, lines, total, placed_at) IN (0, 5)
            AND (customer_id IS NULL OR lines IS NOT NULL)),
    CONSTRAINT orders_without_content_are_cancelled
        CHECK (lines IS NOT NULL OR status = 'cancelled'),
    CONSTRAINT orders_end_once_final
        CHECK ((ended_at IS NOT NULL) = (status IN ('confirmed', 'rejected', 'cancelled'))),
    CONSTRAINT orders_fail_for_a_reason
        CHECK ((reason IS NOT NULL) = (status IN ('cancelling', 'rejected', 'cancelled'))),
    CONSTRAINT orders_owe_while_cancelling
        CHECK ((owes_release OR owes_refund) = (status = 'cancelling')),
    CONSTRAINT orders_refund_once
        CHECK (NOT refunded OR (status = 'cancelling' AND NOT owes_refund)),
    CONSTRAINT orders_wait_only_while_open
        CHECK (round = 0 OR ended_at IS NULL)
);
-- The open orders by their last progress: what is in progress, and what is stuck.
CREATE INDEX orders_open ON orders (updated_at) WHERE ended_at IS NULL;

-- Every change of every order, with its time and cause. Rows are only ever added; that a version
-- has one row is guarded by the key, which finds the history of an order as well.
CREATE TABLE order_history (
    order_id     text COLLATE "C" NOT NULL,
    version      bigint           NOT NULL,
    at           timestamptz      NOT NULL,
    from_status  text,
    to_status    text             NOT NULL,
    reason       text,
    cause_source text             NOT NULL,
    cause_id     text             NOT NULL,
    kind         text             NOT NULL,
    note         text,
    PRIMARY KEY (order_id, version),
    CONSTRAINT order_history_begins_somewhere CHECK ((from_status IS NULL) = (version = 1))
);

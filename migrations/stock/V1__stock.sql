-- The stock service's own tables. The bookkeeping tables of the runtime stand beside them.

-- Every article, as the sum of its ledger. Kept, because a decision can't wait for a sum.
-- Half of each page stays free, so that an article changes in place (a HOT update) even when every
-- batch changes it.
CREATE TABLE items (
    sku      text COLLATE "C" PRIMARY KEY,
    on_hand  bigint NOT NULL,
    reserved bigint NOT NULL,
    CONSTRAINT items_on_hand_never_below_zero CHECK (on_hand >= 0),
    CONSTRAINT items_on_hand_exact_in_json CHECK (on_hand <= 9007199254740991),
    CONSTRAINT items_reserved_never_below_zero CHECK (reserved >= 0),
    CONSTRAINT items_reserved_is_on_hand CHECK (reserved <= on_hand)
) WITH (fillfactor = 50);

-- What every order has asked for and what came of it; a release or a confirmation that comes first
-- leaves its row too. The rows stay, so that asking again gives the same answer for ever.
-- `lines` maps articles to pieces. There is no index beside the key: a reservation is found by its
-- order, and an index on its status would cost every change of it.
CREATE TABLE reservations (
    order_id   text COLLATE "C" PRIMARY KEY,
    status     text        NOT NULL,
    lines      jsonb       NOT NULL,
    shortages  jsonb       NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now(),
    updated_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT reservations_status CHECK (
        status IN ('reserved', 'rejected', 'released', 'expired', 'committed', 'short')
    ),
    CONSTRAINT reservations_lines CHECK (jsonb_typeof(lines) = 'object'),
    CONSTRAINT reservations_shortages CHECK (
        jsonb_typeof(shortages) = 'array'
        AND (jsonb_array_length(shortages) > 0) = (status IN ('rejected', 'short'))
    )
) WITH (fillfactor = 60);

-- Every correction of an article and what came of it: how the article stood after it, or why it was
-- refused. The rows stay, so that the same correction counts once for ever.
CREATE TABLE adjustments (
    adjustment_id text COLLATE "C" PRIMARY KEY,
    sku           text COLLATE "C" NOT NULL,
    delta         bigint           NOT NULL CHECK (delta <> 0),
    note          text,
    refusal       text             CHECK (refusal IN ('below_reserved', 'above_limit')),
    on_hand       bigint,
    reserved      bigint,
    at            timestamptz      NOT NULL DEFAULT now(),
    CONSTRAINT adjustments_outcome CHECK (
        (refusal IS NULL) = (on_hand IS NOT NULL) AND (refusal IS NULL) = (reserved IS NOT NULL)
    )
);

-- Every change of every article, only ever appended to. Of each article
--   on_hand  = sum(adjust) - sum(commit)
--   reserved = sum(reserve) - sum(release) - sum(expire) - sum(commit)
-- which the audit proves. The key begins with the article, so that it serves "what happened to this
-- article" as well and no second index is needed for it.
CREATE TABLE stock_ledger (
    id            bigint GENERATED ALWAYS AS IDENTITY,
    sku           text COLLATE "C" NOT NULL,
    order_id      text COLLATE "C",
    adjustment_id text COLLATE "C",
    operation     text             NOT NULL,
    pieces        bigint           NOT NULL,
    at            timestamptz      NOT NULL,
    PRIMARY KEY (sku, id),
    CONSTRAINT stock_ledger_operation CHECK (
        operation IN ('adjust', 'reserve', 'release', 'expire', 'commit')
    ),
    CONSTRAINT stock_ledger_pieces CHECK (
        CASE operation WHEN 'adjust' THEN pieces <> 0 ELSE pieces > 0 END
    ),
    CONSTRAINT stock_ledger_origin CHECK (
        CASE operation
            WHEN 'adjust' THEN adjustment_id IS NOT NULL AND order_id IS NULL
            ELSE order_id IS NOT NULL AND adjustment_id IS NULL
        END
    )
);
-- What happened to the goods of an order.
CREATE INDEX stock_ledger_order ON stock_ledger (order_id) WHERE order_id IS NOT NULL;

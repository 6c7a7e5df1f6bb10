-- The payment service's own tables. The bookkeeping tables of the runtime stand beside them.

-- The payment of every order. The row is there before the provider is called for the first time,
-- and its key is what the provider knows the call by (`<order_id>/charge`, `<order_id>/refund`).
-- A refund that comes before the charge leaves its row too, without an amount. The rows stay, so
-- that asking again gives the same answer for ever.
CREATE TABLE payments (
    order_id      text COLLATE "C" PRIMARY KEY,
    status        text        NOT NULL,
    amount        bigint,
    currency      text,
    payment_token text,
    refund_wanted boolean     NOT NULL,
    detail        text,
    created_at    timestamptz NOT NULL DEFAULT now(),
    updated_at    timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT payments_status CHECK (
        status IN (
            'requested', 'unknown', 'captured', 'declined', 'refunding', 'refunded', 'voided'
        )
    ),
    CONSTRAINT payments_amount CHECK (amount BETWEEN 1 AND 9007199254740991),
    CONSTRAINT payments_currency CHECK (currency ~ '^[A-Z]{3}$'),
    CONSTRAINT payments_charge_is_whole CHECK (
        num_nonnulls(amount, currency, payment_token) IN (0, 3)
    ),
    CONSTRAINT payments_only_voided_without_charge CHECK (
        amount IS NOT NULL OR status = 'voided'
    ),
    CONSTRAINT payments_refund_wanted_while_open CHECK (
        NOT refund_wanted OR status IN ('requested', 'unknown')
    ),
    CONSTRAINT payments_detail_of_declined CHECK (detail IS NULL OR status = 'declined')
);
-- Payments that wait for the provider: few, and the first thing to look at when money hangs.
CREATE INDEX payments_at_provider ON payments (updated_at)
    WHERE status IN ('requested', 'unknown', 'refunding');

-- Every movement of money, as double entry: a row for each account it touches, adding up to zero.
-- Only ever appended to. The primary key makes a second capture of an order impossible, whatever
-- the code says. `id` tells the order of entry; it needs no index.
CREATE TABLE payment_ledger (
    id        bigint GENERATED ALWAYS AS IDENTITY,
    order_id  text COLLATE "C" NOT NULL,
    operation text             NOT NULL,
    account   text             NOT NULL,
    amount    bigint           NOT NULL,
    currency  text             NOT NULL,
    at        timestamptz      NOT NULL,
    PRIMARY KEY (order_id, operation, account),
    CONSTRAINT payment_ledger_operation CHECK (operation IN ('capture', 'refund')),
    CONSTRAINT payment_ledger_account CHECK (account IN ('provider', 'sales')),
    CONSTRAINT payment_ledger_side CHECK (
        CASE WHEN (operation = 'capture') = (account = 'provider') THEN amount > 0
        ELSE amount < 0 END
    ),
    CONSTRAINT payment_ledger_currency CHECK (currency ~ '^[A-Z]{3}$')
);

-- No check sees more than one row, so the sums are checked once a statement, over its new rows.
CREATE FUNCTION payment_ledger_is_balanced() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    unbalanced text;
BEGIN
    SELECT order_id INTO unbalanced FROM entered
    GROUP BY order_id, operation, currency HAVING sum(amount) <> 0 LIMIT 1;
    IF FOUND THEN
        RAISE check_violation USING
            MESSAGE = format('the entries of order %s do not add up to zero', unbalanced);
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER payment_ledger_is_balanced AFTER INSERT ON payment_ledger
    REFERENCING NEW TABLE AS entered
    FOR EACH STATEMENT EXECUTE FUNCTION payment_ledger_is_balanced();

-- A batch's changes and its COMMIT are sent together, so the server must see for itself that a statement
-- touched all the rows that it was meant to. If it did not, somebody else was faster: nothing is
-- committed, and the batch is tried again.
CREATE FUNCTION expect_all(touched bigint, expected integer) RETURNS void LANGUAGE plpgsql AS $$
BEGIN
    IF touched <> expected THEN
        RAISE serialization_failure
            USING MESSAGE = format('%s of %s rows touched', touched, expected);
    END IF;
END $$;

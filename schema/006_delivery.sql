-- What leaves the hub (outbox: receipts to vendors, reports upward) and what could not be stored (quarantine).

CREATE TABLE onemap.outbox (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    created_at  timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    destination text NOT NULL DEFAULT 'mqtt' CHECK (destination ~ '^[a-z][a-z0-9_]*$'),
    topic       text NOT NULL,
    payload     text NOT NULL,
    sent_at     timestamptz,
    attempts    int NOT NULL DEFAULT 0,
    last_error  text,
    retry_at    timestamptz
);
COMMENT ON TABLE onemap.outbox IS
    'Messages to send, written in the transaction that causes them; sent_at: when the other side confirmed; retry_at: not before, as it was refused';
CREATE INDEX outbox_unsent ON onemap.outbox (destination, id) WHERE sent_at IS NULL;
CREATE INDEX outbox_sent ON onemap.outbox (sent_at) WHERE sent_at IS NOT NULL;
GRANT INSERT ON onemap.outbox TO cityhub_hub;

CREATE FUNCTION onemap.outbox_sent(ids bigint[]) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    UPDATE onemap.outbox o SET sent_at = clock_timestamp(), attempts = o.attempts + 1, last_error = NULL, retry_at = NULL
    WHERE o.id = ANY (ids)
$$;
COMMENT ON FUNCTION onemap.outbox_sent(bigint[]) IS 'Marks outbox messages as confirmed by the other side';
GRANT EXECUTE ON FUNCTION onemap.outbox_sent(bigint[]) TO cityhub_hub;

CREATE FUNCTION onemap.outbox_failed(ids bigint[], error text) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    UPDATE onemap.outbox o SET attempts = o.attempts + 1, last_error = error,
        retry_at = clock_timestamp() + least(interval '1 minute' * 2 ^ least(o.attempts, 10), interval '1 hour')
    WHERE o.id = ANY (ids) AND o.sent_at IS NULL
$$;
COMMENT ON FUNCTION onemap.outbox_failed(bigint[], text) IS
    'Notes that the other side refused outbox messages, and why; they are sent again after a minute, then two, four, at most an hour';
GRANT EXECUTE ON FUNCTION onemap.outbox_failed(bigint[], text) TO cityhub_hub;

CREATE VIEW onemap.receipt AS
    SELECT o.id AS outbox_id, split_part(o.topic, '/', 3) AS subsystem, split_part(o.topic, '/', 4) AS vendor,
           r.kind, r.message, to_timestamp(r.received_at_ms / 1000.0) AS received_at, r.records, r.accepted, r.duplicates,
           r.merged, r.revised, r.rejected, r.problems, r.warnings, o.sent_at
    FROM onemap.outbox o, jsonb_to_recordset(o.payload::jsonb->'receipts')
        AS r(kind text, message text, received_at_ms bigint, records int, accepted int, duplicates int, merged int,
             revised int, rejected int, problems jsonb, warnings jsonb)
    WHERE o.destination = 'mqtt' AND o.topic LIKE 'cityhub/v1/%/receipt';
COMMENT ON VIEW onemap.receipt IS 'One row per message: what became of it, as its vendor was told';

CREATE TABLE onemap.quarantine (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    received_at  timestamptz NOT NULL,
    subsystem    text NOT NULL,
    vendor       text NOT NULL,
    kind         text NOT NULL,
    topic        text NOT NULL,
    payload      bytea NOT NULL,
    code         text NOT NULL,
    reason       text NOT NULL,
    problems     jsonb NOT NULL DEFAULT '[]',
    record_count int NOT NULL DEFAULT 0,
    replayed_at  timestamptz,
    replay_count int NOT NULL DEFAULT 0
);
COMMENT ON TABLE onemap.quarantine IS
    'Messages of which something could not be stored, whole: code and reason of the first problem, problems: [{index, code, reason}] of the bad records (index from 0, -1 = the whole message); good records of the same message are stored';
CREATE INDEX quarantine_open ON onemap.quarantine (id) WHERE replayed_at IS NULL;
CREATE INDEX quarantine_received ON onemap.quarantine (received_at);
GRANT INSERT ON onemap.quarantine TO cityhub_hub;

CREATE FUNCTION onemap.quarantine_replayed(id bigint) RETURNS boolean
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    UPDATE onemap.quarantine q SET replayed_at = clock_timestamp(), replay_count = q.replay_count + 1 WHERE q.id = $1;
    IF FOUND THEN
        PERFORM onemap.audit('quarantine_replay', jsonb_build_object('id', $1));
        RETURN true;
    END IF;
    RETURN false;
END $$;
COMMENT ON FUNCTION onemap.quarantine_replayed(bigint) IS 'Notes that an operator sent a quarantined message again; what is still wrong with it comes back as a new row';
GRANT EXECUTE ON FUNCTION onemap.quarantine_replayed(bigint) TO cityhub_hub;

CREATE FUNCTION onemap.delivery_maintain(outbox_days int, quarantine_days int) RETURNS void
LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    DELETE FROM onemap.outbox o WHERE o.sent_at < now() - make_interval(days => outbox_days);
    DELETE FROM onemap.quarantine q WHERE q.received_at < now() - make_interval(days => quarantine_days)
$$;
COMMENT ON FUNCTION onemap.delivery_maintain(int, int) IS 'Drops sent messages and quarantined ones after their retention';
GRANT EXECUTE ON FUNCTION onemap.delivery_maintain(int, int) TO cityhub_hub;

-- Broker sessions that the hub has opened. One that is no longer configured still may hold messages: it is drained, not forgotten.
CREATE TABLE onemap.lane (
    client_id text PRIMARY KEY,
    subsystem text NOT NULL REFERENCES onemap.subsystem (key),
    opened_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE onemap.lane IS 'Persistent broker sessions of the hub''s lanes by client id';
GRANT SELECT, INSERT, DELETE ON onemap.lane TO cityhub_hub;

-- What leaves the hub (outbox: receipts to vendors, reports upward), what could not be stored (quarantine), and the lanes.
-- supersedes: schema/006_delivery.sql f367f9455b4159bb630e1ec5979f66f2bebe8dfc9e7657d377b729c88301ade0

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
    'Messages to send, written in the transaction that causes them; sent_at: when the other side confirmed; retry_at: not '
    'before, as it was refused';
CREATE INDEX outbox_unsent ON onemap.outbox (destination, id) WHERE sent_at IS NULL;
CREATE INDEX outbox_sent ON onemap.outbox (sent_at) WHERE sent_at IS NOT NULL;
GRANT INSERT ON onemap.outbox TO cityhub_hub;

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
    'Messages of which something could not be stored, whole: code and reason of the first problem, problems: [{index, code, '
    'reason}] of the bad records (index from 0, -1 = the whole message); good records of the same message are stored';
CREATE INDEX quarantine_open ON onemap.quarantine (id) WHERE replayed_at IS NULL;
CREATE INDEX quarantine_received ON onemap.quarantine (received_at);
GRANT INSERT ON onemap.quarantine TO cityhub_hub;

-- Broker sessions that the hub has opened. One that is no longer configured still may hold messages: it is drained, not forgotten.
CREATE TABLE onemap.lane (
    client_id text PRIMARY KEY,
    subsystem text NOT NULL REFERENCES onemap.subsystem (key),
    opened_at timestamptz NOT NULL DEFAULT now()
);
COMMENT ON TABLE onemap.lane IS 'Persistent broker sessions of the hub''s lanes by client id';
GRANT SELECT, INSERT, DELETE ON onemap.lane TO cityhub_hub;

-- The exchange upward (纵向对接): what goes to the city's and the province's platforms, in which version, and what they
-- answered. Also:
-- a seal of the cases' journal waits for one transaction more.

DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_catalog.pg_roles WHERE rolname = 'cityhub_exchange') THEN
        CREATE ROLE cityhub_exchange NOLOGIN;
    END IF;
END $$;
GRANT USAGE ON SCHEMA onemap TO cityhub_exchange;
GRANT USAGE ON SCHEMA cityhub_meta TO cityhub_exchange;
GRANT SELECT ON ALL TABLES IN SCHEMA cityhub_meta TO cityhub_exchange;

CREATE TABLE onemap.exchange_resource (
    resource   text PRIMARY KEY CHECK (resource ~ '^[a-z_]{2,32}$'),
    name_zh    text NOT NULL UNIQUE,
    position   int NOT NULL UNIQUE,
    key_type   text NOT NULL
);
COMMENT ON TABLE onemap.exchange_resource IS
    'What can be sent upward (上报资源), each the view onemap.exchange_<resource>; key_type: of the view''s column key, by which '
    'exchange_change names what changed';

CREATE TABLE onemap.exchange_change (
    id         bigint GENERATED ALWAYS AS IDENTITY,
    resource   text NOT NULL,
    key        text NOT NULL,
    changed_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (resource, id)
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
COMMENT ON TABLE onemap.exchange_change IS
    'What changed and is not in the ledger yet, written in the transaction that changes it. exchange_sweep() takes away '
    'the rows that '
    'it sees, and only those: what commits later is seen by a later sweep, in whatever order numbers were drawn';

CREATE TABLE onemap.exchange_target (
    target    text PRIMARY KEY CHECK (target ~ '^[a-z0-9][a-z0-9_-]{0,31}$'),
    name_zh   text NOT NULL,
    resources text[] NOT NULL CHECK (cardinality(resources) > 0),
    since     timestamptz,
    oldest_s  int NOT NULL DEFAULT 86400 CHECK (oldest_s > 0),
    added_at  timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    paused_until timestamptz NOT NULL DEFAULT '-infinity',
    failures  int NOT NULL DEFAULT 0,
    problem   text NOT NULL DEFAULT '',
    reached_at timestamptz
);
COMMENT ON TABLE onemap.exchange_target IS
    'Platforms above (上级平台). since: what happened before is not sent; oldest_s: how long a record may wait; '
    'paused_until, failures, '
    'problem: the breaker (熔断): nothing is sent until then, after so many failures on end, the last of which was this';

CREATE TABLE onemap.exchange_record (
    id         bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    target     text NOT NULL REFERENCES onemap.exchange_target (target),
    resource   text NOT NULL REFERENCES onemap.exchange_resource (resource),
    record     text NOT NULL,
    version    int NOT NULL CHECK (version > 0),
    chain      text NOT NULL,
    content    jsonb NOT NULL,
    hash       bytea NOT NULL CHECK (octet_length(hash) = 32),
    made_at    timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    state      text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'accepted', 'refused', 'skipped')),
    attempts   int NOT NULL DEFAULT 0,
    next_attempt_at timestamptz NOT NULL DEFAULT '-infinity',
    sent_at    timestamptz,
    sent       text,
    answered_at timestamptz,
    answer     text,
    receipt    text,
    CONSTRAINT exchange_record_version UNIQUE (target, resource, record, version)
);
COMMENT ON TABLE onemap.exchange_record IS
    'The ledger (上报台账): each version of each record a target is to have. id: the number it is sent under, however '
    'often; content: '
    'the view''s row, hash: SHA-256 of its text; chain: within it records go up in the order of id, one after the other; '
    'sent: the last '
    'message as it left; answer, receipt: the target''s. Version 2 and later are corrections (更正)';
CREATE INDEX exchange_record_open ON onemap.exchange_record (target, chain, id) WHERE state IN ('waiting', 'refused');
CREATE INDEX exchange_record_waiting ON onemap.exchange_record (target, id) WHERE state = 'waiting';

GRANT SELECT ON onemap.exchange_resource, onemap.exchange_change, onemap.exchange_target, onemap.exchange_record
    TO cityhub_hub, cityhub_read;

-- What is due was bounded by a number that a running transaction could have: it is noted anew.
ALTER TABLE onemap.case_seal_due ALTER COLUMN settled_at DROP NOT NULL,
    ADD COLUMN noted_by pg_catalog.xid8 NOT NULL DEFAULT pg_catalog.pg_current_xact_id();
DELETE FROM onemap.case_seal_due;
COMMENT ON TABLE onemap.case_seal_due IS
    'The next seal: events up to through_id, noted by a transaction (noted_by). settled_at: a transaction that began to '
    'write after it; '
    'once it and all older ones have ended, none can add an event below through_id';

-- Subscriptions (订阅): what other systems of the county have asked to be told of, each a target of the ledger.

CREATE TABLE onemap.subscription (
    id           int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    token_id     int NOT NULL REFERENCES onemap.token (id),
    name         text NOT NULL CHECK (name <> '' AND length(name) <= 64),
    resources    text[] NOT NULL CHECK (cardinality(resources) > 0),
    departments  text[] CHECK (cardinality(departments) > 0),
    categories   text[] CHECK (cardinality(categories) > 0),
    subsystems   text[] CHECK (cardinality(subsystems) > 0),
    made_at      timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    ended_at     timestamptz,
    forgotten_id bigint NOT NULL DEFAULT 0
);
COMMENT ON TABLE onemap.subscription IS
    'What programs want to be told of (订阅): token_id: whose it is; departments, those below them included, categories: codes '
    'begin so, subsystems: NULL: all that the token may see; forgotten_id: events up to this one are not kept any more';
CREATE UNIQUE INDEX subscription_name ON onemap.subscription (token_id, name) WHERE ended_at IS NULL;

ALTER TABLE onemap.exchange_target ADD COLUMN subscription_id int UNIQUE REFERENCES onemap.subscription (id),
    ADD COLUMN kind text NOT NULL DEFAULT 'platform' CHECK (kind IN ('platform', 'cursor', 'webhook')),
    ADD CONSTRAINT exchange_target_kind CHECK ((kind = 'platform') = (subscription_id IS NULL)) NOT VALID;
ALTER TABLE onemap.exchange_target VALIDATE CONSTRAINT exchange_target_kind;
COMMENT ON COLUMN onemap.exchange_target.kind IS
    'platform: above, by its file; of a subscription: cursor: it is read by its program, webhook: it is sent to an address';
-- Events are read by their number, which is the ledger's.
CREATE INDEX exchange_record_subscribed ON onemap.exchange_record (target, id) WHERE target LIKE 'subscription-%';

GRANT SELECT ON onemap.subscription TO cityhub_hub, cityhub_read;

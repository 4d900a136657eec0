-- What only the hub may know of its sessions at the broker. A client id or the name of a shared subscription is all that it takes
-- to end another's session there, or to take a share of its messages: the hub's have a part that nobody can guess.

CREATE TABLE onemap.broker_identity (
    instance text PRIMARY KEY CHECK (length(instance) BETWEEN 1 AND 40),
    secret   text NOT NULL DEFAULT pg_catalog.replace(pg_catalog.gen_random_uuid()::text, '-', '')
             CHECK (secret ~ '^[0-9a-f]{32}$'),
    made_at  timestamptz NOT NULL DEFAULT pg_catalog.now()
);
COMMENT ON TABLE onemap.broker_identity IS
    'The secret part of the client ids and shared subscriptions of a hub, by [hub] instance. A new one (UPDATE .. SET secret = '
    'DEFAULT) is in force when the hub starts again: it drains the sessions of the old one';
REVOKE ALL ON onemap.broker_identity FROM cityhub_read, cityhub_api;
GRANT SELECT, INSERT ON onemap.broker_identity TO cityhub_hub;

-- Its client ids have that part.
REVOKE ALL ON onemap.lane FROM cityhub_read, cityhub_api;
COMMENT ON TABLE onemap.lane IS
    'Persistent broker sessions of the hub''s lanes by client id: <instance>-<subsystem>-<number>-<secret>; those of earlier '
    'versions have no secret';

-- The broker may be RabbitMQ, which hashes passwords in its own way.
COMMENT ON TABLE onemap.vendor_credential IS
    'Broker logins of vendors: password hashes (mosquitto''s PBKDF2-SHA512, or RabbitMQ''s salted SHA-256), never passwords';

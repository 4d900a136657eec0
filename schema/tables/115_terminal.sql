-- Field devices that come in by gateways (接入网关): who speaks under an identity, who has called and is not known, and the
-- gateways.

CREATE TABLE onemap.terminal (
    id             int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    protocol       text NOT NULL CHECK (protocol IN ('hj212', 'jt808')),
    identity       text NOT NULL CHECK (identity ~ '^[A-Za-z0-9_.-]{1,64}$'),
    subsystem      text NOT NULL,
    vendor         text NOT NULL,
    device_code    text NOT NULL CHECK (device_code <> '' AND octet_length(device_code) <= 128),
    dialect        text NOT NULL DEFAULT '' CHECK (dialect ~ '^[a-z0-9_-]{0,40}$'),
    crc            text NOT NULL DEFAULT 'standard' CHECK (crc IN ('standard', 'modbus', 'modbus-swapped', 'off')),
    offset_minutes int NOT NULL DEFAULT 480 CHECK (offset_minutes BETWEEN -720 AND 840),
    secret_hash    bytea CHECK (octet_length(secret_hash) = 32),
    created_at     timestamptz NOT NULL DEFAULT pg_catalog.now(),
    changed_at     timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    revoked_at     timestamptz,
    CONSTRAINT terminal_identity UNIQUE (protocol, identity),
    CONSTRAINT terminal_vendor FOREIGN KEY (subsystem, vendor) REFERENCES onemap.vendor (subsystem, vendor)
);
COMMENT ON TABLE onemap.terminal IS
    'Terminals (终端): the device that speaks a protocol under an identity (HJ 212: MN; JT/T 808: phone without leading zeros). '
    'secret_hash: SHA-256 of protocol:identity:secret, NULL = it has none; offset_minutes: its clock ahead of UTC; crc: HJ 212''s '
    'check value. Never deleted, so that its latest change is the list''s version';
CREATE INDEX terminal_of_vendor ON onemap.terminal (subsystem, vendor);

CREATE TABLE onemap.terminal_pending (
    protocol text NOT NULL CHECK (protocol IN ('hj212', 'jt808')),
    identity text NOT NULL,
    gateway  text NOT NULL,
    address  text NOT NULL,
    first_at timestamptz NOT NULL,
    last_at  timestamptz NOT NULL,
    frames   bigint NOT NULL,
    samples  jsonb NOT NULL,
    PRIMARY KEY (protocol, identity)
);
COMMENT ON TABLE onemap.terminal_pending IS
    'Terminals that called a gateway and are not known: where from, how often, their first frames in hexadecimal';

CREATE TABLE onemap.gateway (
    instance text PRIMARY KEY CHECK (instance ~ '^[A-Za-z0-9_.-]{1,40}$'),
    seen_at  timestamptz NOT NULL,
    version  text NOT NULL,
    unknown  text NOT NULL,
    figures  jsonb NOT NULL
);
COMMENT ON TABLE onemap.gateway IS
    'Gateways by their last report: version of the list of terminals that they have, policy for unknown ones, figures';
GRANT SELECT ON onemap.terminal_pending, onemap.gateway TO cityhub_hub, cityhub_read;

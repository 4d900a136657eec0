-- Packages (数据包): exchange by files with a network that is kept apart (隔离网), in numbered packages both ways.

CREATE TABLE onemap.exchange_package (
    peer      text NOT NULL CHECK (peer ~ '^[a-z0-9][a-z0-9_-]{0,31}$'),
    direction text NOT NULL CHECK (direction IN ('out', 'in')),
    number    bigint NOT NULL CHECK (number > 0),
    at        timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    hash      bytea CHECK (octet_length(hash) = 32),
    content   text,
    records   int NOT NULL DEFAULT 0,
    receipts  int NOT NULL DEFAULT 0,
    refused   int NOT NULL DEFAULT 0,
    written_at timestamptz,
    lost      text,
    PRIMARY KEY (peer, direction, number),
    CHECK ((hash IS NULL) = (lost IS NOT NULL))
);
COMMENT ON TABLE onemap.exchange_package IS
    'Packages to and from a peer, numbered by each side without gaps: hash: SHA-256 of the content; content: of one that is not '
    'written yet (written_at); refused: records of it that were not taken; lost: why a missing one was given up';

CREATE TABLE onemap.exchange_package_receipt (
    peer    text NOT NULL,
    record  bigint NOT NULL,
    outcome text NOT NULL CHECK (outcome IN ('accepted', 'refused')),
    message text NOT NULL DEFAULT '',
    at      timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    sent_in bigint,
    PRIMARY KEY (peer, record)
);
COMMENT ON TABLE onemap.exchange_package_receipt IS
    'What became of a peer''s records (回执): record: its number; sent_in: our package that says so, NULL: the next one';
CREATE INDEX exchange_package_receipt_due ON onemap.exchange_package_receipt (peer, record) WHERE sent_in IS NULL;

GRANT SELECT ON onemap.exchange_package, onemap.exchange_package_receipt TO cityhub_hub, cityhub_read;

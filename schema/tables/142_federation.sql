-- Being above (上级): what counties report to this hub, each kept apart under its own name with its own codes.

CREATE TABLE onemap.exchange_county (
    county   text PRIMARY KEY CHECK (county ~ '^[a-z0-9][a-z0-9_-]{0,31}$'),
    name_zh  text NOT NULL,
    token    text NOT NULL UNIQUE REFERENCES onemap.token (name),
    added_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
COMMENT ON TABLE onemap.exchange_county IS
    'Counties (下级区县) that report here; token: by whose name they come in, and nobody else under this county''s';

CREATE TABLE onemap.exchange_county_record (
    county      text NOT NULL REFERENCES onemap.exchange_county (county),
    number      bigint NOT NULL,
    resource    text NOT NULL REFERENCES onemap.exchange_resource (resource),
    record      text NOT NULL,
    version     int NOT NULL CHECK (version > 0),
    hash        bytea NOT NULL CHECK (octet_length(hash) = 32),
    content     jsonb NOT NULL,
    received_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    PRIMARY KEY (county, number),
    CONSTRAINT exchange_county_version UNIQUE (county, resource, record, version)
);
COMMENT ON TABLE onemap.exchange_county_record IS
    'What counties reported, as they sent it: number and version are the county''s, hash: SHA-256 of the content''s text, which is '
    'checked when it comes. Never changed: a correction is a version of its own';
GRANT SELECT ON onemap.exchange_county, onemap.exchange_county_record TO cityhub_hub, cityhub_read;

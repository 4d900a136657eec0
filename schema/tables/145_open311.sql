-- What citizens' programs report and read by Open311 GeoReport v2: the services that are public, and which case came of which
-- report.

CREATE TABLE onemap.open311_service (
    service_code  text PRIMARY KEY CHECK (service_code ~ '^[A-Za-z0-9._-]{1,64}$'),
    category_code text,
    name          text NOT NULL CHECK (name <> '' AND length(name) <= 100),
    description   text NOT NULL DEFAULT '' CHECK (length(description) <= 500),
    keywords      text NOT NULL DEFAULT '' CHECK (length(keywords) <= 300),
    service_group text NOT NULL DEFAULT '' CHECK (length(service_group) <= 100),
    private       boolean NOT NULL,
    position      int NOT NULL
);
COMMENT ON TABLE onemap.open311_service IS
    'What citizens may report by Open311, the allow-list (开放目录) that `cityhub catalogue services import` brings whole: a '
    'category of '
    'the catalogue, or none: the desk classifies; private: its reports are shown to nobody but the program that sent them';

CREATE TABLE onemap.open311_request (
    case_id      bigint PRIMARY KEY REFERENCES onemap.case_record (id),
    service_code text NOT NULL,
    token_id     int NOT NULL REFERENCES onemap.token (id),
    client_id    text,
    content_hash bytea NOT NULL CHECK (octet_length(content_hash) = 32),
    recorded_at  timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp()
);
COMMENT ON TABLE onemap.open311_request IS
    'Cases that came by Open311; client_id: the number that the program has for its report; content_hash: SHA-256 of what '
    'came, by which '
    'a report that comes again without such a number is known';
CREATE UNIQUE INDEX open311_request_client ON onemap.open311_request (token_id, client_id) WHERE client_id IS NOT NULL;
CREATE INDEX open311_request_content ON onemap.open311_request (content_hash, recorded_at);
CREATE INDEX open311_request_time ON onemap.open311_request (recorded_at);

CREATE TABLE onemap.open311_remark (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    case_id      bigint NOT NULL REFERENCES onemap.open311_request (case_id),
    token_id     int NOT NULL REFERENCES onemap.token (id),
    client_id    text,
    content_hash bytea NOT NULL CHECK (octet_length(content_hash) = 32),
    recorded_at  timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    UNIQUE (case_id, content_hash)
);
COMMENT ON TABLE onemap.open311_remark IS
    'What citizens have added to their reports (补充): its text is in the journal of the case; client_id, content_hash: by '
    'which one that '
    'comes again is known';
CREATE UNIQUE INDEX open311_remark_client ON onemap.open311_remark (token_id, client_id) WHERE client_id IS NOT NULL;

CREATE INDEX case_event_recorded ON onemap.case_event USING brin (recorded_at) WITH (pages_per_range = 32, autosummarize = on);

GRANT SELECT ON onemap.open311_service, onemap.open311_request, onemap.open311_remark TO cityhub_hub, cityhub_read;

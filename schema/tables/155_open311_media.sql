-- Photographs that reports and additions by Open311 name by address: fetched afterwards, and attached to the case.

CREATE TABLE onemap.open311_media (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    case_id     bigint NOT NULL REFERENCES onemap.open311_request (case_id),
    url         text NOT NULL CHECK (length(url) <= 500),
    state       text NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'kept', 'failed')),
    tries       int NOT NULL DEFAULT 0,
    due_at      timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    problem     text NOT NULL DEFAULT '' CHECK (length(problem) <= 200),
    recorded_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    UNIQUE (case_id, url)
);
COMMENT ON TABLE onemap.open311_media IS
    'Files (图片) that citizens'' programs name by address, of hosts that open311_media_hosts permits: waiting for `cityhub '
    'upstream media` to fetch them, kept as an attachment of the case, or failed for good; problem: why not yet, or never; url may '
    'hold a key of its host, so that readers do not see it';
CREATE INDEX open311_media_due ON onemap.open311_media (due_at) WHERE state = 'waiting';

GRANT SELECT (id, case_id, state, tries, due_at, problem, recorded_at) ON onemap.open311_media TO cityhub_hub, cityhub_read;

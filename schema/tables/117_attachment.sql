-- Files that people attach to cases (附件): what the hub keeps in the folder [http] attachments, by the SHA-256 of what it
-- keeps, and who sent it. The photograph's place and time were taken out of the file and are here.

CREATE TABLE onemap.attachment (
    sha256           bytea PRIMARY KEY CHECK (octet_length(sha256) = 32),
    media_type       text NOT NULL
        CHECK (media_type IN ('image/jpeg', 'image/png', 'image/webp', 'application/pdf', 'video/mp4')),
    size_bytes       bigint NOT NULL CHECK (size_bytes > 0),
    thumbnail_bytes  bigint CHECK (thumbnail_bytes > 0),
    last_uploaded_at timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    referred_at      timestamptz
);
COMMENT ON TABLE onemap.attachment IS
    'Files of the folder [http] attachments; thumbnail_bytes: of the small picture, NULL if there is none; referred_at: when a '
    'case first had it; without, it goes a day after last_uploaded_at';

CREATE TABLE onemap.attachment_upload (
    sha256          bytea NOT NULL REFERENCES onemap.attachment (sha256) ON DELETE CASCADE,
    login           text NOT NULL CHECK (login <> ''),
    uploaded_at     timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    original_sha256 bytea NOT NULL CHECK (octet_length(original_sha256) = 32),
    taken_at        timestamptz,
    geom            public.geometry(Point, 4326),
    bound_at        timestamptz,
    PRIMARY KEY (sha256, login)
);
COMMENT ON TABLE onemap.attachment_upload IS
    'Who sent a file: a login of onemap.account; original_sha256: of the file as it came; taken_at, geom: what it said of time and '
    'place, which it no longer does; bound_at: when the person first attached it to a case';
CREATE INDEX attachment_upload_waiting ON onemap.attachment_upload (login) WHERE bound_at IS NULL;
CREATE INDEX case_attachment_file ON onemap.case_attachment (sha256);

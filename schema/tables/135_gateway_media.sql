-- What terminals of JT/T 808 took: pictures, sound, video (多媒体), as their gateways sent them on.

CREATE TABLE onemap.gateway_media (
    id                bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    terminal_id       int NOT NULL REFERENCES onemap.terminal (id),
    media_id          bigint NOT NULL CHECK (media_id BETWEEN 0 AND 4294967295),
    kind              smallint NOT NULL CHECK (kind BETWEEN 0 AND 255),
    format            smallint NOT NULL CHECK (format BETWEEN 0 AND 255),
    event             smallint NOT NULL CHECK (event BETWEEN 0 AND 255),
    channel           smallint NOT NULL CHECK (channel BETWEEN 0 AND 255),
    taken_at          timestamptz,
    lon               float8,
    lat               float8,
    coordinate_system text,
    size_bytes        int CHECK (size_bytes > 0),
    sha256            bytea CHECK (octet_length(sha256) = 32),
    content           bytea,
    gateway           text NOT NULL,
    received_at       timestamptz NOT NULL DEFAULT pg_catalog.now(),
    CONSTRAINT gateway_media_once UNIQUE (terminal_id, media_id, sha256),
    CHECK ((content IS NULL) = (sha256 IS NULL) AND (content IS NULL) = (size_bytes IS NULL))
);
ALTER TABLE onemap.gateway_media ALTER COLUMN content SET STORAGE EXTERNAL;
COMMENT ON TABLE onemap.gateway_media IS
    'Media of terminals (终端多媒体) by the numbers of JT/T 808 (0800, 0801); content NULL: announced, and not come (yet); '
    'lon, lat: as the terminal says them, in coordinate_system. Bounded: the oldest go';
CREATE UNIQUE INDEX gateway_media_announced ON onemap.gateway_media (terminal_id, media_id) WHERE content IS NULL;
CREATE INDEX gateway_media_received ON onemap.gateway_media (received_at, id);

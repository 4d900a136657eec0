-- What devices say of an interval and not of a moment: smallest, mean and largest value, totals (分钟、小时、日数据). They are
-- another's computation, so they stand apart from the records and from the hub's own rollups, and are compared with them.

CREATE TABLE onemap.interval_value (
    device_id         int NOT NULL,
    began_at          timestamptz NOT NULL,
    seconds           int NOT NULL CHECK (seconds BETWEEN 0 AND 86400),
    ordinal           int NOT NULL CHECK (ordinal BETWEEN 1 AND 63),
    minimum           float8,
    mean              float8,
    maximum           float8,
    total             float8,
    converted_minimum float8,
    converted_mean    float8,
    converted_maximum float8,
    flag              text CHECK (flag ~ '^[NFMSDCTB]$'),
    received_at       timestamptz NOT NULL,
    PRIMARY KEY (device_id, began_at, seconds, ordinal)
);
COMMENT ON TABLE onemap.interval_value IS
    'One row for each device, interval and metric: what the device says of it, in the metric''s unit (total: in the device''s); '
    'seconds: its length, 0 = a moment''s value (in mean) that its flag forbids to take for a reading; converted: to the reference '
    'oxygen content (折算值); flag: data flag of HJ 212 (数据标记), NULL = none was sent';
CREATE INDEX interval_value_began ON onemap.interval_value USING brin (began_at) WITH (pages_per_range = 32);

CREATE TABLE onemap.interval_revision (
    id          bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    device_id   int NOT NULL,
    began_at    timestamptz NOT NULL,
    seconds     int NOT NULL,
    ordinal     int NOT NULL,
    received_at timestamptz NOT NULL,
    revised_at  timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    replaced    jsonb NOT NULL
);
COMMENT ON TABLE onemap.interval_revision IS
    'What stood in interval_value before a later message gave another value for it; received_at: when the replaced values came';
CREATE INDEX interval_revision_key ON onemap.interval_revision (device_id, began_at);

GRANT SELECT ON onemap.interval_value, onemap.interval_revision TO cityhub_hub, cityhub_read;

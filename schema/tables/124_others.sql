-- What devices say beside the metrics that the catalogue has (词典之外的监测因子、状态、日志): kept as it came, as it was
-- acknowledged.

CREATE TABLE onemap.interval_other (
    device_id   int NOT NULL,
    began_at    timestamptz NOT NULL,
    seconds     int NOT NULL CHECK (seconds BETWEEN 0 AND 86400),
    others      jsonb NOT NULL CHECK (jsonb_typeof(others) = 'object'),
    received_at timestamptz NOT NULL,
    PRIMARY KEY (device_id, began_at, seconds)
);
COMMENT ON TABLE onemap.interval_other IS
    'One row for each device and interval of which it says what no metric takes: {name: text} under the device''s own names; '
    'seconds: the interval''s length, 0 = a moment. What is replaced is in interval_revision with ordinal 0';
CREATE INDEX interval_other_began ON onemap.interval_other USING brin (began_at) WITH (pages_per_range = 32);
GRANT SELECT ON onemap.interval_other TO cityhub_hub, cityhub_read;

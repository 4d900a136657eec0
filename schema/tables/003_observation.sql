-- The big tables: what was measured and where things moved, partitioned by day, PK (device_id, observed_at).
-- device_id stays in every unique key and nothing references these tables, so that they can be distributed.
-- supersedes: schema/003_observation.sql c36115e62a22b0c1dc9e46e66b38e7327c043e3514319bf420f6de4aeac4c404

CREATE TABLE onemap.observation (
    device_id   int NOT NULL,
    observed_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    readings    float8[] NOT NULL,
    quality     bigint,
    attributes  jsonb,
    PRIMARY KEY (device_id, observed_at)
) PARTITION BY RANGE (observed_at);
COMMENT ON TABLE onemap.observation IS
    'One row per record: readings[metric.ordinal]; quality: bit (ordinal - 1) set = outside the physical range, NULL = all '
    'inside; attributes: text fields';
CREATE INDEX observation_received ON onemap.observation USING brin (received_at) WITH (pages_per_range = 16);

CREATE TABLE onemap.track_point (
    device_id   int NOT NULL,
    observed_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    geom        public.geometry(Point, 4326) NOT NULL,
    PRIMARY KEY (device_id, observed_at)
) PARTITION BY RANGE (observed_at);
COMMENT ON TABLE onemap.track_point IS 'Places of moving things (vehicles, people), WGS 84';
CREATE INDEX track_point_received ON onemap.track_point USING brin (received_at) WITH (pages_per_range = 16);

CREATE TABLE onemap.observation_revision (
    id           bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    device_id    int NOT NULL,
    observed_at  timestamptz NOT NULL,
    revised_at   timestamptz NOT NULL DEFAULT pg_catalog.clock_timestamp(),
    received_at  timestamptz NOT NULL,
    readings     float8[],
    quality      bigint,
    attributes   jsonb,
    geom         public.geometry(Point, 4326)
);
COMMENT ON TABLE onemap.observation_revision IS
    'What stood in observation or track_point before a later message gave another value for the same device and time; '
    'received_at: when the replaced value came';
CREATE INDEX observation_revision_key ON onemap.observation_revision (device_id, observed_at);

-- One small row per committed batch: which hours it touched, so that rollups and device_state find late data too.
CREATE TABLE onemap.batch_log (
    received_at  timestamptz PRIMARY KEY,
    hours        timestamptz[] NOT NULL,
    records      int NOT NULL,
    rolled_up_at timestamptz
);
COMMENT ON TABLE onemap.batch_log IS
    'Committed batches; received_at is the batch''s stamp and stands in each of its rows (strictly increasing per hub)';
CREATE INDEX batch_log_pending ON onemap.batch_log (received_at) WHERE rolled_up_at IS NULL;

CREATE TABLE onemap.observation_hourly (
    device_id   int NOT NULL,
    hour        timestamptz NOT NULL,
    records     int NOT NULL,
    counts      int[] NOT NULL,
    minima      float8[] NOT NULL,
    maxima      float8[] NOT NULL,
    sums        float8[] NOT NULL,
    firsts      float8[] NOT NULL,
    lasts       float8[] NOT NULL,
    PRIMARY KEY (device_id, hour)
);
COMMENT ON TABLE onemap.observation_hourly IS
    'Hourly rollups by ordinal: number of good readings, smallest, largest, sum, first and last of the hour; readings with a '
    'quality flag do not count';
CREATE INDEX observation_hourly_hour ON onemap.observation_hourly (hour);

GRANT SELECT, INSERT ON onemap.observation, onemap.track_point, onemap.batch_log TO cityhub_hub;
-- Merging a later message into a stored record is the slow path's right; the revision table keeps what it replaced.
GRANT UPDATE (received_at, readings, quality, attributes) ON onemap.observation TO cityhub_hub;
GRANT UPDATE (received_at, geom) ON onemap.track_point TO cityhub_hub;
GRANT INSERT ON onemap.observation_revision TO cityhub_hub;

-- Device-hours whose rollup must be made anew from the observations, because a record was changed after it was stored.
CREATE TABLE onemap.rollup_recompute (
    id        bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    device_id int NOT NULL,
    hour      timestamptz NOT NULL
);
COMMENT ON TABLE onemap.rollup_recompute IS 'Device-hours to roll up anew; emptied by onemap.rollup_run()';
GRANT INSERT ON onemap.rollup_recompute TO cityhub_hub;

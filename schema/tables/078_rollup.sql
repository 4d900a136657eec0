-- Rollups that can be added to in any order, and rollups by day.

-- What a running hour has besides, so that whatever comes next can be added exactly; an hour of which they are gone (NULL) is made
-- anew from its records when one more comes. Hours that are there now have none.
ALTER TABLE onemap.observation_hourly
    ADD COLUMN rests float8[],
    ADD COLUMN first_ms int[],
    ADD COLUMN last_ms int[];
COMMENT ON COLUMN onemap.observation_hourly.sums IS
    'By ordinal: the exact sum of the good readings, rounded once; readings below 1 are taken to the nearest 2^-52';
COMMENT ON COLUMN onemap.observation_hourly.rests IS 'By ordinal: what the sum lacks of the exact one; NULL = the hour is closed';
COMMENT ON COLUMN onemap.observation_hourly.first_ms IS
    'By ordinal: milliseconds from the beginning of the hour to the first reading; NULL = the hour is closed';
COMMENT ON COLUMN onemap.observation_hourly.last_ms IS 'The same for the last reading';
-- Each row of a running hour is written once a minute: its old versions are made room of before the table has grown by a fifth.
ALTER TABLE onemap.observation_hourly SET (autovacuum_vacuum_scale_factor = 0.002, autovacuum_vacuum_threshold = 20000);

CREATE TABLE onemap.observation_daily (
    device_id     int NOT NULL,
    day           date NOT NULL,
    records       int NOT NULL,
    last_at       timestamptz NOT NULL,
    counts        int[] NOT NULL,
    minima        float8[] NOT NULL,
    maxima        float8[] NOT NULL,
    sums          float8[] NOT NULL,
    firsts        float8[] NOT NULL,
    lasts         float8[] NOT NULL,
    flagged_above int[] NOT NULL,
    flagged_below int[] NOT NULL,
    PRIMARY KEY (device_id, day)
);
COMMENT ON TABLE onemap.observation_daily IS
    'observation_hourly by days of the county (setting time_zone) that are over; sums: the exact sum of the hours'' sums, rounded '
    'once. What a running day has up to now says daily_aggregate()';
CREATE INDEX observation_daily_day ON onemap.observation_daily (day);

-- Not kept through a crash of the server: what stands here is of the transaction that is under way.
CREATE UNLOGGED TABLE onemap.rollup_stage (
    device_id     int NOT NULL,
    hour          timestamptz NOT NULL,
    records       int NOT NULL,
    last_at       timestamptz NOT NULL,
    counts        int[] NOT NULL,
    minima        float8[] NOT NULL,
    maxima        float8[] NOT NULL,
    sums          float8[] NOT NULL,
    rests         float8[] NOT NULL,
    firsts        float8[] NOT NULL,
    lasts         float8[] NOT NULL,
    first_ms      int[] NOT NULL,
    last_ms       int[] NOT NULL,
    flagged_above int[] NOT NULL,
    flagged_below int[] NOT NULL
) WITH (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 10000);
COMMENT ON TABLE onemap.rollup_stage IS
    'What committed batches add to observation_hourly: the hub copies it in and calls rollup_run() in the same transaction, which '
    'empties it';

CREATE TABLE onemap.rollup_day_due (device_id int NOT NULL, day date NOT NULL);
COMMENT ON TABLE onemap.rollup_day_due IS 'Rows of observation_daily to make anew; emptied by rollup_run()';

CREATE TABLE onemap.rollup_closed (through timestamptz NOT NULL);
CREATE UNIQUE INDEX rollup_closed_once ON onemap.rollup_closed ((true));
COMMENT ON TABLE onemap.rollup_closed IS 'One row: up to when the hours of observation_hourly were closed last';
INSERT INTO onemap.rollup_closed (through) VALUES ('-infinity');

GRANT SELECT ON onemap.observation_daily, onemap.rollup_stage, onemap.rollup_day_due, onemap.rollup_closed
    TO cityhub_hub, cityhub_read;
GRANT INSERT ON onemap.rollup_stage TO cityhub_hub;

-- They have other arguments and columns now.
DROP FUNCTION IF EXISTS onemap.rollup_run();
DROP FUNCTION IF EXISTS onemap.rollup_hour(timestamptz, timestamptz[]);
DROP FUNCTION IF EXISTS onemap.hourly_aggregate(timestamptz, timestamptz[], int[]);
DROP FUNCTION IF EXISTS onemap.hourly_zip(float8[], float8[], text);

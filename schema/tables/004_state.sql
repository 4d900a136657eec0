-- What is known of each device now, and up to when that is complete.
-- supersedes: schema/004_state.sql 01fed1502acb277ad284118e08b3f597ced54b8b6a9b6f85cb858d97cba4b4e6

CREATE TABLE onemap.device_state (
    device_id     int PRIMARY KEY,
    observed_at   timestamptz NOT NULL,
    last_seen_at  timestamptz NOT NULL,
    online        boolean NOT NULL DEFAULT true,
    changed_at    timestamptz NOT NULL DEFAULT now(),
    readings      float8[] NOT NULL DEFAULT '{}',
    reading_times timestamptz[] NOT NULL DEFAULT '{}',
    quality       bigint,
    geom          public.geometry(Point, 4326),
    geom_at       timestamptz
) WITH (fillfactor = 70);
COMMENT ON TABLE onemap.device_state IS
    'Last reading of each metric with its time, quality: bits of the readings that stand here, last place, online or not since '
    'changed_at; written every few seconds by the hub';
CREATE INDEX device_state_online ON onemap.device_state (last_seen_at) WHERE online;

CREATE TABLE onemap.hub_state (
    key   text PRIMARY KEY,
    value timestamptz NOT NULL
);
COMMENT ON TABLE onemap.hub_state IS 'device_state: the batch stamp up to which device_state is complete';
GRANT SELECT, INSERT, UPDATE ON onemap.device_state, onemap.hub_state TO cityhub_hub;

ALTER TABLE onemap.observation_hourly ADD COLUMN last_at timestamptz NOT NULL;
COMMENT ON COLUMN onemap.observation_hourly.last_at IS 'Time of the newest record counted';

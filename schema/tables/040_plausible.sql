-- What can be true of a reading and of a place: the codes that instruments send instead of a value, and what was said of places
-- outside the county. Readings out of range are counted in the hourly rollups.

CREATE TABLE onemap.no_value_code (
    id        int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    subsystem text REFERENCES onemap.subsystem (key),
    vendor    text CHECK (vendor ~ '^[a-z0-9][a-z0-9_-]{0,62}$'),
    metric    text,
    value     float8 NOT NULL CHECK (value > '-Infinity' AND value < 'Infinity'),
    in_range  boolean NOT NULL DEFAULT false,
    enabled   boolean NOT NULL DEFAULT true,
    edited    boolean NOT NULL DEFAULT false,
    note      text NOT NULL DEFAULT '',
    UNIQUE NULLS NOT DISTINCT (subsystem, vendor, metric, value),
    FOREIGN KEY (subsystem, metric) REFERENCES onemap.metric (subsystem, key),
    CHECK (metric IS NULL OR subsystem IS NOT NULL),
    CONSTRAINT no_value_code_in_range_of_a_metric CHECK (NOT in_range OR metric IS NOT NULL)
);
COMMENT ON TABLE onemap.no_value_code IS
    'Numbers that stand for "no value" (无值代码), of a subsystem, vendor and metric, or of all (NULL); one counts outside the '
    'metric''s physical range, with in_range within it, too. The most special entry decides; enabled = false: no code there. '
    'edited = set by the county, what is shipped leaves it alone';
GRANT SELECT ON onemap.no_value_code TO cityhub_hub, cityhub_read;

-- A place outside the county says nothing of where a thing is: it is kept beside the place, which stays as it was.
ALTER TABLE onemap.device ADD COLUMN geom_outside public.geometry(Point, 4326);
ALTER TABLE onemap.person ADD COLUMN geom_outside public.geometry(Point, 4326);
ALTER TABLE onemap.vehicle ADD COLUMN geom_outside public.geometry(Point, 4326);
ALTER TABLE onemap.work_order ADD COLUMN geom_outside public.geometry(Point, 4326);
COMMENT ON COLUMN onemap.device.geom_outside IS
    'Place outside the county that the last inventory with a place said, NULL = it was in the county';
COMMENT ON COLUMN onemap.person.geom_outside IS 'Place outside the county that the last message with a place said';
COMMENT ON COLUMN onemap.vehicle.geom_outside IS 'Place outside the county that the last message with a place said';
COMMENT ON COLUMN onemap.work_order.geom_outside IS 'Place outside the county that the last message with a place said';

ALTER TABLE onemap.track_point ALTER COLUMN geom DROP NOT NULL, ADD COLUMN geom_outside public.geometry(Point, 4326),
    ADD CONSTRAINT track_point_one_place CHECK ((geom IS NULL) <> (geom_outside IS NULL));
COMMENT ON COLUMN onemap.track_point.geom_outside IS
    'The place, if it is outside the county: then geom is NULL, and no map, rule or route sees it';
GRANT UPDATE (geom_outside) ON onemap.track_point TO cityhub_hub;

ALTER TABLE onemap.observation_hourly ADD COLUMN flagged_above int[] NOT NULL DEFAULT '{}',
    ADD COLUMN flagged_below int[] NOT NULL DEFAULT '{}';
COMMENT ON COLUMN onemap.observation_hourly.flagged_above IS
    'By ordinal: readings above the metric''s physical range; they are not in counts, minima, maxima, sums, firsts, lasts';
COMMENT ON COLUMN onemap.observation_hourly.flagged_below IS 'By ordinal: readings below the metric''s physical range, likewise';

COMMENT ON TABLE onemap.quarantine IS
    'Messages of which something could not be stored, whole: code and reason of the first problem, problems: [{index, code, '
    'reason}] of refused records (index from 0, -1 = the whole message), and [{index, field, code, reason}] of bad fields whose '
    'records are stored without them; good records of the same message are stored';

-- Functions that say how many readings were flagged, or take that into account: they have other columns now.
DROP FUNCTION IF EXISTS onemap.dust_noise(int, timestamptz, timestamptz);
DROP FUNCTION IF EXISTS onemap.dust_noise_judge(timestamptz);
DROP FUNCTION IF EXISTS onemap.dust_daily(date);
DROP FUNCTION IF EXISTS onemap.dust_pm10_excess(timestamptz);
DROP FUNCTION IF EXISTS onemap.gas_cathodic_daily(date);
DROP FUNCTION IF EXISTS onemap.heating_room_means(timestamptz, timestamptz);
DROP FUNCTION IF EXISTS onemap.heating_rooms_daily(date);
DROP FUNCTION IF EXISTS onemap.heating_makeup(timestamptz, timestamptz);
DROP FUNCTION IF EXISTS onemap.incineration_furnace_means(timestamptz, timestamptz);
DROP FUNCTION IF EXISTS onemap.incineration_furnace_daily(date);
DROP FUNCTION IF EXISTS onemap.incineration_emission_hours(timestamptz, timestamptz);
DROP FUNCTION IF EXISTS onemap.incineration_emission_daily(date);
DROP FUNCTION IF EXISTS onemap.municipal_ponding_events(timestamptz, timestamptz, float8);
DROP FUNCTION IF EXISTS onemap.water_night_flow(date);
DROP FUNCTION IF EXISTS onemap.hourly_aggregate(timestamptz, timestamptz[], int[]);
DROP FUNCTION IF EXISTS onemap.alarm_sustained_judge(text, text, text, float8);
DROP FUNCTION IF EXISTS onemap.message_store(jsonb, bytea);

-- The subsystems' views have a column more before the metrics' (flagged).
DO $$
DECLARE key text;
BEGIN
    FOR key IN SELECT s.key FROM onemap.subsystem s LOOP
        EXECUTE format('DROP VIEW IF EXISTS onemap.%I', key);
    END LOOP;
END $$;

-- The big tables: what was measured and where things moved, partitioned by day, PK (device_id, observed_at).
-- device_id stays in every unique key and nothing references these tables, so that they can be distributed.

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
    'One row per record: readings[metric.ordinal]; quality: bit (ordinal - 1) set = outside the physical range, NULL = all inside; attributes: text fields';
CREATE INDEX observation_received ON onemap.observation USING brin (received_at) WITH (pages_per_range = 16);

CREATE TABLE onemap.track_point (
    device_id   int NOT NULL,
    observed_at timestamptz NOT NULL,
    received_at timestamptz NOT NULL,
    geom        public.geometry(Point, 4326) NOT NULL,
    PRIMARY KEY (device_id, observed_at)
) PARTITION BY RANGE (observed_at);
COMMENT ON TABLE onemap.track_point IS 'Places of moving things (vehicles, people), WGS 84';

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
    'What stood in observation or track_point before a later message gave another value for the same device and time; received_at: when the replaced value came';
CREATE INDEX observation_revision_key ON onemap.observation_revision (device_id, observed_at);

-- One small row per committed batch: which hours it touched, so that rollups and device_state find late data too.
CREATE TABLE onemap.batch_log (
    received_at  timestamptz PRIMARY KEY,
    hours        timestamptz[] NOT NULL,
    records      int NOT NULL,
    rolled_up_at timestamptz
);
COMMENT ON TABLE onemap.batch_log IS 'Committed batches; received_at is the batch''s stamp and stands in each of its rows (strictly increasing per hub)';
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
    'Hourly rollups by ordinal: number of good readings, smallest, largest, sum, first and last of the hour; readings with a quality flag do not count';
CREATE INDEX observation_hourly_hour ON onemap.observation_hourly (hour);

CREATE FUNCTION onemap.partition_ensure(day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE parent text; child text;
BEGIN
    FOREACH parent IN ARRAY ARRAY['observation', 'track_point'] LOOP
        child := format('%s_%s', parent, to_char(day, 'YYYYMMDD'));
        IF to_regclass('onemap.' || child) IS NULL THEN
            -- One at a time, whoever asks; ATTACH takes the lighter lock that lets writers of other days go on.
            PERFORM pg_advisory_xact_lock(hashtext('onemap.partition_ensure'));
            IF to_regclass('onemap.' || child) IS NULL THEN
                EXECUTE format('CREATE TABLE onemap.%I (LIKE onemap.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', child, parent);
                EXECUTE format('ALTER TABLE onemap.%I ATTACH PARTITION onemap.%I FOR VALUES FROM (%L) TO (%L)', parent, child,
                               day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC');
                EXECUTE format('GRANT SELECT, INSERT ON onemap.%I TO cityhub_hub', child);
            END IF;
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION onemap.partition_ensure(date) IS 'Makes the day''s partitions of observation and track_point if they are not there; days are UTC days';
GRANT EXECUTE ON FUNCTION onemap.partition_ensure(date) TO cityhub_hub;

CREATE FUNCTION onemap.partition_days() RETURNS SETOF date
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT to_date(right(c.relname, 8), 'YYYYMMDD')
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'onemap.observation'::regclass
    INTERSECT
    SELECT to_date(right(c.relname, 8), 'YYYYMMDD')
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'onemap.track_point'::regclass
    ORDER BY 1
$$;
COMMENT ON FUNCTION onemap.partition_days() IS 'Days that have their partitions';
GRANT EXECUTE ON FUNCTION onemap.partition_days() TO cityhub_hub;

CREATE FUNCTION onemap.partition_maintain(ahead_days int, retention_days int) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE today date := (now() AT TIME ZONE 'UTC')::date; day date; parent text; dropped int := 0;
BEGIN
    IF ahead_days NOT BETWEEN 1 AND 60 OR retention_days NOT BETWEEN 1 AND 36500 THEN
        RAISE EXCEPTION 'partition_maintain: ahead_days 1 to 60 and retention_days 1 to 36500, not % and %', ahead_days, retention_days;
    END IF;
    FOR day IN SELECT today - 1 + n FROM generate_series(0, ahead_days + 1) n LOOP
        PERFORM onemap.partition_ensure(day);
    END LOOP;
    FOR day IN SELECT d FROM onemap.partition_days() d WHERE d < today - retention_days LOOP
        FOREACH parent IN ARRAY ARRAY['observation', 'track_point'] LOOP
            EXECUTE format('DROP TABLE onemap.%I', format('%s_%s', parent, to_char(day, 'YYYYMMDD')));
        END LOOP;
        dropped := dropped + 1;
    END LOOP;
    DELETE FROM onemap.batch_log b WHERE b.rolled_up_at < now() - interval '2 days';
    DELETE FROM onemap.observation_revision r WHERE r.observed_at < now() - make_interval(days => retention_days);
    RETURN dropped;
END $$;
COMMENT ON FUNCTION onemap.partition_maintain(int, int) IS 'Makes partitions from yesterday to ahead_days from now, drops those older than retention_days; returns the days dropped';
GRANT EXECUTE ON FUNCTION onemap.partition_maintain(int, int) TO cityhub_hub;

GRANT SELECT, INSERT ON onemap.observation, onemap.track_point, onemap.batch_log TO cityhub_hub;

-- element-wise merge: the new value where there is one, else the old
CREATE FUNCTION onemap.readings_merge(old float8[], new float8[]) RETURNS float8[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(array_agg(coalesce(new[i], old[i]) ORDER BY i), '{}')
    FROM generate_series(1, greatest(coalesce(cardinality(old), 0), coalesce(cardinality(new), 0))) i
$$;
COMMENT ON FUNCTION onemap.readings_merge(float8[], float8[]) IS 'Element by element: the new reading where there is one, else the old one';
GRANT EXECUTE ON FUNCTION onemap.readings_merge(float8[], float8[]) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE FUNCTION onemap.readings_conflict(old float8[], new float8[]) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(bool_or(old[i] <> new[i]), false)
    FROM generate_series(1, least(coalesce(cardinality(old), 0), coalesce(cardinality(new), 0))) i
$$;
COMMENT ON FUNCTION onemap.readings_conflict(float8[], float8[]) IS 'true if both have a reading at the same ordinal and the two differ';
GRANT EXECUTE ON FUNCTION onemap.readings_conflict(float8[], float8[]) TO cityhub_hub, cityhub_api, cityhub_read;

-- The slow path: only a batch that met a duplicate comes here. Rows were copied into the session's stage tables.
CREATE FUNCTION onemap.stage_create() RETURNS void LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    CREATE TEMP TABLE IF NOT EXISTS observation_stage (
        row_no int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
        device_id int, observed_at timestamptz, received_at timestamptz, readings float8[], quality bigint, attributes jsonb
    ) ON COMMIT DELETE ROWS;
    CREATE TEMP TABLE IF NOT EXISTS track_point_stage (
        row_no int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
        device_id int, observed_at timestamptz, received_at timestamptz, geom public.geometry(Point, 4326)
    ) ON COMMIT DELETE ROWS;
END $$;
COMMENT ON FUNCTION onemap.stage_create() IS 'Makes the session''s stage tables; row_no counts the rows in the order they were copied';
GRANT EXECUTE ON FUNCTION onemap.stage_create() TO cityhub_hub;

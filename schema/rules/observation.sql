-- The big tables: their partitions, and what becomes of a record that comes twice. Only a batch that met a duplicate comes by
-- here; all others are copied in.

CREATE OR REPLACE FUNCTION onemap.partition_ensure(day date) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE parent text; child text; today date := (now() AT TIME ZONE 'UTC')::date;
BEGIN
    IF (day BETWEEN today - 36500 AND today + 62) IS NOT TRUE THEN
        RAISE EXCEPTION 'partition_ensure: % is not within 36500 days before today and 62 after', day;
    END IF;
    FOREACH parent IN ARRAY ARRAY['observation', 'track_point'] LOOP
        child := format('%s_%s', parent, to_char(day, 'YYYYMMDD'));
        IF to_regclass('onemap.' || child) IS NULL THEN
            -- One at a time, whoever asks; ATTACH takes the lighter lock that lets writers of other days go on.
            PERFORM pg_advisory_xact_lock(hashtext('onemap.partition_ensure'));
            -- Asked of the catalog itself: the session's cache does not know yet what the one before us has made.
            IF NOT EXISTS (SELECT FROM pg_class c WHERE c.relname = child AND c.relnamespace = 'onemap'::regnamespace) THEN
                -- A scan by received_at reads all that vacuum has not summarized in the BRIN index yet: let it come often.
                EXECUTE format('CREATE TABLE onemap.%I (LIKE onemap.%I INCLUDING DEFAULTS INCLUDING CONSTRAINTS) WITH
                    (autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 100000)', child, parent);
                EXECUTE format('ALTER TABLE onemap.%I ATTACH PARTITION onemap.%I FOR VALUES FROM (%L) TO (%L)', parent, child,
                               day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC');
            END IF;
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION onemap.partition_ensure(date) IS
    'Makes the day''s partitions of observation and track_point if they are not there; days are UTC days';
GRANT EXECUTE ON FUNCTION onemap.partition_ensure(date) TO cityhub_hub;

CREATE OR REPLACE FUNCTION onemap.partition_days() RETURNS SETOF date
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

CREATE OR REPLACE FUNCTION onemap.partition_maintain(ahead_days int, retention_days int) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE today date := (now() AT TIME ZONE 'UTC')::date; day date; parent text; dropped int := 0;
BEGIN
    IF (ahead_days BETWEEN 1 AND 60 AND retention_days BETWEEN 1 AND 36500) IS NOT TRUE THEN
        RAISE EXCEPTION 'partition_maintain: ahead_days 1 to 60 and retention_days 1 to 36500, not % and %', ahead_days,
            retention_days;
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
COMMENT ON FUNCTION onemap.partition_maintain(int, int) IS
    'Makes partitions from yesterday to ahead_days from now, drops those older than retention_days; returns the days dropped';
GRANT EXECUTE ON FUNCTION onemap.partition_maintain(int, int) TO cityhub_hub;

-- element-wise merge: the new value where there is one, else the old
CREATE OR REPLACE FUNCTION onemap.readings_merge(old float8[], new float8[]) RETURNS float8[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(array_agg(coalesce(new[i], old[i]) ORDER BY i), '{}')
    FROM generate_series(1, greatest(coalesce(cardinality(old), 0), coalesce(cardinality(new), 0))) i
$$;
COMMENT ON FUNCTION onemap.readings_merge(float8[], float8[]) IS
    'Element by element: the new reading where there is one, else the old one';
GRANT EXECUTE ON FUNCTION onemap.readings_merge(float8[], float8[]) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.readings_conflict(old float8[], new float8[]) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(bool_or(old[i] <> new[i]), false)
    FROM generate_series(1, least(coalesce(cardinality(old), 0), coalesce(cardinality(new), 0))) i
$$;
COMMENT ON FUNCTION onemap.readings_conflict(float8[], float8[]) IS
    'true if both have a reading at the same ordinal and the two differ';
GRANT EXECUTE ON FUNCTION onemap.readings_conflict(float8[], float8[]) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.readings_mask(readings float8[]) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(bit_or(1::bigint << (i - 1)), 0) FROM generate_subscripts(readings, 1) i WHERE readings[i] IS NOT NULL
$$;
COMMENT ON FUNCTION onemap.readings_mask(float8[]) IS 'Bit (ordinal - 1) set where there is a reading';
GRANT EXECUTE ON FUNCTION onemap.readings_mask(float8[]) TO cityhub_hub, cityhub_api, cityhub_read;

-- The slow path: only a batch that met a duplicate comes here. Its rows were copied into the session's stage tables.
CREATE OR REPLACE FUNCTION onemap.stage_create() RETURNS void LANGUAGE plpgsql
SET search_path = pg_catalog, pg_temp SET client_min_messages = warning AS $$
BEGIN
    CREATE TEMP TABLE IF NOT EXISTS observation_stage (
        row_no int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
        device_id int, observed_at timestamptz, received_at timestamptz, readings float8[], quality bigint, attributes jsonb,
        turn int NOT NULL DEFAULT 1, fate text);
    CREATE INDEX IF NOT EXISTS observation_stage_key ON pg_temp.observation_stage (device_id, observed_at);
    CREATE TEMP TABLE IF NOT EXISTS track_point_stage (
        row_no int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
        device_id int, observed_at timestamptz, received_at timestamptz, geom public.geometry(Point, 4326),
        turn int NOT NULL DEFAULT 1, fate text);
    CREATE INDEX IF NOT EXISTS track_point_stage_key ON pg_temp.track_point_stage (device_id, observed_at);
    CREATE TEMP TABLE IF NOT EXISTS device_state_stage (
        device_id int PRIMARY KEY, observed_at timestamptz, last_seen_at timestamptz, readings float8[],
        reading_times timestamptz[], quality bigint, geom public.geometry(Point, 4326), geom_at timestamptz);
    CREATE TEMP TABLE IF NOT EXISTS quarantine_stage OF onemap.quarantine_item ON COMMIT DELETE ROWS;
END $$;
COMMENT ON FUNCTION onemap.stage_create() IS
    'Makes the session''s stage tables; row_no counts the rows in the order they were copied';
GRANT EXECUTE ON FUNCTION onemap.stage_create() TO cityhub_hub;

-- What a record means for the one stored under its key. A duplicate brings nothing that is not there already.
CREATE OR REPLACE FUNCTION onemap.observation_fate(old_readings float8[], old_attributes jsonb, new_readings float8[],
    new_attributes jsonb)
RETURNS text LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE
        WHEN onemap.readings_conflict(old_readings, new_readings)
            OR EXISTS (SELECT FROM jsonb_each(old_attributes) a JOIN jsonb_each(new_attributes) b USING (key)
                       WHERE a.value <> b.value) THEN 'revised'
        WHEN onemap.readings_mask(new_readings) & ~onemap.readings_mask(old_readings) = 0
            AND coalesce(old_attributes || new_attributes, old_attributes, new_attributes) IS NOT DISTINCT FROM old_attributes
            THEN 'duplicate'
        ELSE 'merged' END
$$;
COMMENT ON FUNCTION onemap.observation_fate(float8[], jsonb, float8[], jsonb) IS
    'duplicate: all of it is stored already; revised: another value for something stored; merged: new fields alone';
GRANT EXECUTE ON FUNCTION onemap.observation_fate(float8[], jsonb, float8[], jsonb) TO cityhub_hub;

-- A join of thousands of keys must never read whole partitions. So the staged rows of a turn come as a materialized CTE: it
-- can only be the outer side of a nested loop, whose inner side is the partitions' primary key. Planned for this very batch.
CREATE OR REPLACE FUNCTION onemap.observation_judge(this_turn int, lo timestamptz, hi timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    WITH staged AS MATERIALIZED (
        SELECT s.row_no, s.device_id, s.observed_at, s.readings, s.attributes FROM pg_temp.observation_stage s
        WHERE s.turn = this_turn AND (s.fate IS NULL OR s.fate IN ('merged', 'revised'))),
    judged AS MATERIALIZED (
        SELECT s.row_no, CASE WHEN s.readings = o.readings AND s.attributes IS NOT DISTINCT FROM o.attributes THEN 'duplicate'
                              ELSE onemap.observation_fate(o.readings, o.attributes, s.readings, s.attributes) END AS fate
        FROM staged s JOIN onemap.observation o
            ON o.device_id = s.device_id AND o.observed_at = s.observed_at AND o.observed_at BETWEEN lo AND hi)
    UPDATE pg_temp.observation_stage s SET fate = j.fate FROM judged j
    WHERE s.row_no = j.row_no AND s.fate IS DISTINCT FROM j.fate;
END $$;
COMMENT ON FUNCTION onemap.observation_judge(int, timestamptz, timestamptz) IS
    'Sets the fate of the staged records of a turn that were not inserted, by what is stored under their key now';
GRANT EXECUTE ON FUNCTION onemap.observation_judge(int, timestamptz, timestamptz) TO cityhub_hub;

CREATE OR REPLACE FUNCTION onemap.observation_change(this_turn int, lo timestamptz, hi timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    WITH staged AS MATERIALIZED (
        SELECT s.device_id, s.observed_at FROM pg_temp.observation_stage s WHERE s.turn = this_turn AND s.fate = 'revised')
    INSERT INTO onemap.observation_revision (device_id, observed_at, received_at, readings, quality, attributes)
    SELECT o.device_id, o.observed_at, o.received_at, o.readings, o.quality, o.attributes
    FROM staged s JOIN onemap.observation o
        ON o.device_id = s.device_id AND o.observed_at = s.observed_at AND o.observed_at BETWEEN lo AND hi;
    WITH staged AS MATERIALIZED (
        SELECT s.* FROM pg_temp.observation_stage s WHERE s.turn = this_turn AND s.fate IN ('merged', 'revised'))
    UPDATE onemap.observation o SET
        received_at = s.received_at,
        readings = onemap.readings_merge(o.readings, s.readings),
        quality = nullif((coalesce(o.quality, 0) & ~onemap.readings_mask(s.readings)) | coalesce(s.quality, 0), 0),
        attributes = coalesce(o.attributes || s.attributes, o.attributes, s.attributes)
    FROM staged s
    WHERE o.device_id = s.device_id AND o.observed_at = s.observed_at AND o.observed_at BETWEEN lo AND hi;
END $$;
COMMENT ON FUNCTION onemap.observation_change(int, timestamptz, timestamptz) IS
    'Brings the merged and revised records of a turn into the stored ones; what a revision replaces goes to observation_revision';
GRANT EXECUTE ON FUNCTION onemap.observation_change(int, timestamptz, timestamptz) TO cityhub_hub;

CREATE OR REPLACE FUNCTION onemap.observation_settle(OUT duplicates int[], OUT merged int[], OUT revised int[])
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
SET plan_cache_mode = force_custom_plan AS $$
DECLARE turns int; lo timestamptz; hi timestamptz;
BEGIN
    ANALYZE pg_temp.observation_stage;
    UPDATE pg_temp.observation_stage s SET turn = r.turn
    FROM (SELECT row_no, row_number() OVER (PARTITION BY device_id, observed_at ORDER BY row_no) AS turn
          FROM pg_temp.observation_stage) r
    WHERE r.row_no = s.row_no AND r.turn > 1;
    SELECT max(s.turn), min(s.observed_at), max(s.observed_at) INTO turns, lo, hi FROM pg_temp.observation_stage s;
    FOR this_turn IN 1..coalesce(turns, 0) LOOP
        WITH inserted AS (
            INSERT INTO onemap.observation (device_id, observed_at, received_at, readings, quality, attributes)
            SELECT s.device_id, s.observed_at, s.received_at, s.readings, s.quality, s.attributes
            FROM pg_temp.observation_stage s WHERE s.turn = this_turn ORDER BY s.device_id, s.observed_at
            ON CONFLICT (device_id, observed_at) DO NOTHING RETURNING device_id, observed_at)
        UPDATE pg_temp.observation_stage s SET fate = 'new' FROM inserted i
        WHERE s.turn = this_turn AND s.device_id = i.device_id AND s.observed_at = i.observed_at;
        -- A statement of its own, so that it sees what a concurrent batch committed meanwhile.
        PERFORM onemap.observation_judge(this_turn, lo, hi);
        -- What is to be changed is locked and judged again, or two batches at once could each keep the same old value.
        PERFORM FROM (WITH staged AS MATERIALIZED (
                SELECT s.device_id, s.observed_at FROM pg_temp.observation_stage s
                WHERE s.turn = this_turn AND s.fate IN ('merged', 'revised'))
            SELECT FROM staged s JOIN onemap.observation o
                ON o.device_id = s.device_id AND o.observed_at = s.observed_at AND o.observed_at BETWEEN lo AND hi
            ORDER BY o.device_id, o.observed_at FOR UPDATE OF o) locked;
        IF FOUND THEN
            PERFORM onemap.observation_judge(this_turn, lo, hi);
            PERFORM onemap.observation_change(this_turn, lo, hi);
        END IF;
    END LOOP;
    INSERT INTO onemap.rollup_recompute (device_id, hour)
    SELECT DISTINCT s.device_id, date_trunc('hour', s.observed_at, 'UTC') FROM pg_temp.observation_stage s
    WHERE s.fate IN ('merged', 'revised');
    SELECT coalesce(array_agg(s.row_no ORDER BY s.row_no) FILTER (WHERE s.fate = 'duplicate'), '{}'),
           coalesce(array_agg(s.row_no ORDER BY s.row_no) FILTER (WHERE s.fate = 'merged'), '{}'),
           coalesce(array_agg(s.row_no ORDER BY s.row_no) FILTER (WHERE s.fate = 'revised'), '{}')
    INTO duplicates, merged, revised FROM pg_temp.observation_stage s;
END $$;
COMMENT ON FUNCTION onemap.observation_settle() IS
    'Stores the staged records one by one in their order: new, identical (dropped), merged (new fields) or revised (another '
    'value: the new one wins, the old one goes to observation_revision); returns the row numbers of the last three';
GRANT EXECUTE ON FUNCTION onemap.observation_settle() TO cityhub_hub;

CREATE OR REPLACE FUNCTION onemap.track_point_settle() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
SET plan_cache_mode = force_custom_plan AS $$
DECLARE turns int; lo timestamptz; hi timestamptz;
BEGIN
    ANALYZE pg_temp.track_point_stage;
    UPDATE pg_temp.track_point_stage s SET turn = r.turn
    FROM (SELECT row_no, row_number() OVER (PARTITION BY device_id, observed_at ORDER BY row_no) AS turn
          FROM pg_temp.track_point_stage) r
    WHERE r.row_no = s.row_no AND r.turn > 1;
    SELECT max(s.turn), min(s.observed_at), max(s.observed_at) INTO turns, lo, hi FROM pg_temp.track_point_stage s;
    FOR this_turn IN 1..coalesce(turns, 0) LOOP
        WITH inserted AS (
            INSERT INTO onemap.track_point (device_id, observed_at, received_at, geom)
            SELECT s.device_id, s.observed_at, s.received_at, s.geom
            FROM pg_temp.track_point_stage s WHERE s.turn = this_turn ORDER BY s.device_id, s.observed_at
            ON CONFLICT (device_id, observed_at) DO NOTHING RETURNING device_id, observed_at)
        UPDATE pg_temp.track_point_stage s SET fate = 'new' FROM inserted i
        WHERE s.turn = this_turn AND s.device_id = i.device_id AND s.observed_at = i.observed_at;
        WITH staged AS MATERIALIZED (
            SELECT s.* FROM pg_temp.track_point_stage s WHERE s.turn = this_turn AND s.fate IS NULL),
        changed AS MATERIALIZED (
            SELECT o.device_id, o.observed_at, o.received_at AS old_received_at, o.geom AS old_geom, s.received_at, s.geom
            FROM staged s JOIN onemap.track_point o
                ON o.device_id = s.device_id AND o.observed_at = s.observed_at AND o.observed_at BETWEEN lo AND hi
            WHERE NOT public.ST_OrderingEquals(o.geom, s.geom) FOR UPDATE OF o),
        kept AS (
            INSERT INTO onemap.observation_revision (device_id, observed_at, received_at, geom)
            SELECT c.device_id, c.observed_at, c.old_received_at, c.old_geom FROM changed c)
        UPDATE onemap.track_point o SET geom = c.geom, received_at = c.received_at
        FROM changed c WHERE o.device_id = c.device_id AND o.observed_at = c.observed_at AND o.observed_at BETWEEN lo AND hi;
    END LOOP;
END $$;
COMMENT ON FUNCTION onemap.track_point_settle() IS
    'Stores the staged places; another place for the same device and time wins, the old one goes to observation_revision';
GRANT EXECUTE ON FUNCTION onemap.track_point_settle() TO cityhub_hub;

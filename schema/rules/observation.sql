-- The big tables: the views by which everybody reads them, their partitions, and how two records of one key become one. What
-- becomes of a record that comes twice is in settle.sql; packed days are in packed.sql and pack.sql.

-- A record is raw or packed, never both. Who knows the time asks by the functions below: a view has to look into every packed day
-- of the devices that are asked for.
CREATE OR REPLACE VIEW onemap.observation AS
    SELECT r.device_id, r.observed_at, r.received_at, r.readings, r.quality, r.attributes FROM onemap.observation_raw r
    UNION ALL
    SELECT p.device_id, u.observed_at, u.received_at, u.readings, u.quality, u.attributes
    FROM onemap.packed_record p CROSS JOIN LATERAL onemap.observation_unpack(p, '-infinity', 'infinity') u WHERE p.kind = 'o';
COMMENT ON VIEW onemap.observation IS
    'One row per record: readings[metric.ordinal]; quality: bit (ordinal - 1) set = outside the physical range, or within it and '
    'beyond the instrument''s upper limit as the sender says, NULL = neither; '
    'attributes: text fields. Give a device; for a time use observation_between() or observation_of()';
GRANT SELECT ON onemap.observation TO cityhub_hub, cityhub_read;

CREATE OR REPLACE VIEW onemap.track_point AS
    SELECT r.device_id, r.observed_at, r.received_at, r.geom, r.geom_outside FROM onemap.track_point_raw r
    UNION ALL
    SELECT p.device_id, u.observed_at, u.received_at, u.geom, u.geom_outside
    FROM onemap.packed_record p CROSS JOIN LATERAL onemap.track_point_unpack(p, '-infinity', 'infinity') u WHERE p.kind = 't';
COMMENT ON VIEW onemap.track_point IS
    'Places of moving things (vehicles, people), WGS 84; geom_outside: outside the county, then geom is NULL. Give a device; for a '
    'time use track_point_between() or track_point_of()';
GRANT SELECT ON onemap.track_point TO cityhub_hub, cityhub_read;

-- Without a search_path of their own, so that the planner takes them into the statement, and what it asks of the device with them.
-- _between: of all, or of the devices named beside it. _of: one device's, for LATERAL: a join's condition does not reach into
-- packed days, a parameter does. _received: what certain batches brought; packed days only where it came so late.
CREATE OR REPLACE FUNCTION onemap.observation_between(from_at timestamptz, to_at timestamptz)
RETURNS TABLE (device_id int, observed_at timestamptz, received_at timestamptz, readings float8[], quality bigint, attributes jsonb)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT r.device_id, r.observed_at, r.received_at, r.readings, r.quality, r.attributes FROM onemap.observation_raw r
    WHERE r.observed_at >= from_at AND r.observed_at < to_at
    UNION ALL
    SELECT p.device_id, u.observed_at, u.received_at, u.readings, u.quality, u.attributes
    FROM onemap.packed_record p CROSS JOIN LATERAL onemap.observation_unpack(p, from_at, to_at) u
    WHERE p.kind = 'o'
        AND p.day BETWEEN (from_at AT TIME ZONE 'UTC')::date AND (to_at AT TIME ZONE 'UTC')::date
$$;
COMMENT ON FUNCTION onemap.observation_between(timestamptz, timestamptz) IS
    'Rows of onemap.observation from from_at to before to_at';
GRANT EXECUTE ON FUNCTION onemap.observation_between(timestamptz, timestamptz)
    TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.observation_of(device int, from_at timestamptz, to_at timestamptz)
RETURNS TABLE (device_id int, observed_at timestamptz, received_at timestamptz, readings float8[], quality bigint, attributes jsonb)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT r.device_id, r.observed_at, r.received_at, r.readings, r.quality, r.attributes FROM onemap.observation_raw r
    WHERE r.device_id = device AND r.observed_at >= from_at AND r.observed_at < to_at
    UNION ALL
    SELECT p.device_id, u.observed_at, u.received_at, u.readings, u.quality, u.attributes
    FROM onemap.packed_record p CROSS JOIN LATERAL onemap.observation_unpack(p, from_at, to_at) u
    WHERE p.device_id = device AND p.kind = 'o'
        AND p.day BETWEEN (from_at AT TIME ZONE 'UTC')::date AND (to_at AT TIME ZONE 'UTC')::date
$$;
COMMENT ON FUNCTION onemap.observation_of(int, timestamptz, timestamptz) IS
    'Rows of onemap.observation of a device from from_at to before to_at';
GRANT EXECUTE ON FUNCTION onemap.observation_of(int, timestamptz, timestamptz)
    TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.observation_received(from_at timestamptz, to_at timestamptz, first_stamp timestamptz,
    last_stamp timestamptz)
RETURNS TABLE (device_id int, observed_at timestamptz, received_at timestamptz, readings float8[], quality bigint, attributes jsonb)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT r.device_id, r.observed_at, r.received_at, r.readings, r.quality, r.attributes FROM onemap.observation_raw r
    WHERE r.observed_at >= from_at AND r.observed_at < to_at AND r.received_at BETWEEN first_stamp AND last_stamp
    UNION ALL
    SELECT p.device_id, u.observed_at, u.received_at, u.readings, u.quality, u.attributes
    FROM onemap.packed_record p CROSS JOIN LATERAL onemap.observation_unpack(p, from_at, to_at) u
    WHERE p.kind = 'o'
        AND p.day BETWEEN (from_at AT TIME ZONE 'UTC')::date AND (to_at AT TIME ZONE 'UTC')::date
        AND p.received_last >= first_stamp AND u.received_at BETWEEN first_stamp AND last_stamp
$$;
COMMENT ON FUNCTION onemap.observation_received(timestamptz, timestamptz, timestamptz, timestamptz) IS
    'Rows of onemap.observation from from_at to before to_at that were received from first_stamp to last_stamp';
GRANT EXECUTE ON FUNCTION onemap.observation_received(timestamptz, timestamptz, timestamptz, timestamptz)
    TO cityhub_hub, cityhub_api, cityhub_read;

-- One metric alone, of which packed days give nothing else: many times as fast.
CREATE OR REPLACE FUNCTION onemap.metric_raw_of(device int, ordinal int, from_at timestamptz, to_at timestamptz)
RETURNS TABLE (device_id int, observed_at timestamptz, value float8, flagged boolean) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT r.device_id, r.observed_at, r.readings[$2],
           coalesce(r.quality & (1::bigint << ($2 - 1)) <> 0, false)
    FROM onemap.observation_raw r
    WHERE r.device_id = device AND r.observed_at >= from_at AND r.observed_at < to_at AND r.readings[$2] IS NOT NULL
$$;
COMMENT ON FUNCTION onemap.metric_raw_of(int, int, timestamptz, timestamptz) IS
    'What metric_of() reads that is not packed: for who knows that nothing of it is';
GRANT EXECUTE ON FUNCTION onemap.metric_raw_of(int, int, timestamptz, timestamptz) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.metric_of(device int, ordinal int, from_at timestamptz, to_at timestamptz)
RETURNS TABLE (device_id int, observed_at timestamptz, value float8, flagged boolean) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT r.device_id, r.observed_at, r.value, r.flagged FROM onemap.metric_raw_of(device, $2, from_at, to_at) r
    UNION ALL
    SELECT p.device_id, v.observed_at, v.value, v.flagged
    FROM onemap.packed_record p
    JOIN onemap.packed_series m ON m.device_id = p.device_id AND m.kind = p.kind AND m.day = p.day AND m.ordinal = $2
    JOIN onemap.packed_series t ON t.device_id = p.device_id AND t.kind = p.kind AND t.day = p.day AND t.ordinal = -9
    LEFT JOIN onemap.packed_series q ON q.device_id = p.device_id AND q.kind = p.kind AND q.day = p.day AND q.ordinal = -7
    CROSS JOIN LATERAL onemap.metric_window(t, p.records, p.day, from_at, to_at) w
    CROSS JOIN LATERAL onemap.metric_decode(p.day, p.lifted, t, m, q, $2, w.first_no, w.last_no, w.since, w.past) v
    WHERE p.device_id = device AND p.kind = 'o' AND m.present > 0
        AND p.day BETWEEN (from_at AT TIME ZONE 'UTC')::date AND (to_at AT TIME ZONE 'UTC')::date
$$;
COMMENT ON FUNCTION onemap.metric_of(int, int, timestamptz, timestamptz) IS
    'Readings of one metric of a device from from_at to before to_at, also those out of range (flagged); in no order';
GRANT EXECUTE ON FUNCTION onemap.metric_of(int, int, timestamptz, timestamptz) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.metric_between(ordinal int, from_at timestamptz, to_at timestamptz)
RETURNS TABLE (device_id int, observed_at timestamptz, value float8, flagged boolean) LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT r.device_id, r.observed_at, r.readings[$1],
           coalesce(r.quality & (1::bigint << ($1 - 1)) <> 0, false)
    FROM onemap.observation_raw r
    WHERE r.observed_at >= from_at AND r.observed_at < to_at AND r.readings[$1] IS NOT NULL
    UNION ALL
    SELECT p.device_id, v.observed_at, v.value, v.flagged
    FROM onemap.packed_record p
    JOIN onemap.packed_series m ON m.device_id = p.device_id AND m.kind = p.kind AND m.day = p.day AND m.ordinal = $1
    JOIN onemap.packed_series t ON t.device_id = p.device_id AND t.kind = p.kind AND t.day = p.day AND t.ordinal = -9
    LEFT JOIN onemap.packed_series q ON q.device_id = p.device_id AND q.kind = p.kind AND q.day = p.day AND q.ordinal = -7
    CROSS JOIN LATERAL onemap.metric_window(t, p.records, p.day, from_at, to_at) w
    CROSS JOIN LATERAL onemap.metric_decode(p.day, p.lifted, t, m, q, $1, w.first_no, w.last_no, w.since, w.past) v
    WHERE p.kind = 'o' AND m.present > 0
        AND p.day BETWEEN (from_at AT TIME ZONE 'UTC')::date AND (to_at AT TIME ZONE 'UTC')::date
$$;
COMMENT ON FUNCTION onemap.metric_between(int, timestamptz, timestamptz) IS
    'The same of all devices, or of those that are named beside it: an ordinal means a metric within a subsystem only';
GRANT EXECUTE ON FUNCTION onemap.metric_between(int, timestamptz, timestamptz) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.track_point_between(from_at timestamptz, to_at timestamptz)
RETURNS TABLE (device_id int, observed_at timestamptz, received_at timestamptz, geom public.geometry, geom_outside public.geometry)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT r.device_id, r.observed_at, r.received_at, r.geom, r.geom_outside FROM onemap.track_point_raw r
    WHERE r.observed_at >= from_at AND r.observed_at < to_at
    UNION ALL
    SELECT p.device_id, u.observed_at, u.received_at, u.geom, u.geom_outside
    FROM onemap.packed_record p CROSS JOIN LATERAL onemap.track_point_unpack(p, from_at, to_at) u
    WHERE p.kind = 't'
        AND p.day BETWEEN (from_at AT TIME ZONE 'UTC')::date AND (to_at AT TIME ZONE 'UTC')::date
$$;
COMMENT ON FUNCTION onemap.track_point_between(timestamptz, timestamptz) IS
    'Rows of onemap.track_point from from_at to before to_at';
GRANT EXECUTE ON FUNCTION onemap.track_point_between(timestamptz, timestamptz)
    TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.track_point_of(device int, from_at timestamptz, to_at timestamptz)
RETURNS TABLE (device_id int, observed_at timestamptz, received_at timestamptz, geom public.geometry, geom_outside public.geometry)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT r.device_id, r.observed_at, r.received_at, r.geom, r.geom_outside FROM onemap.track_point_raw r
    WHERE r.device_id = device AND r.observed_at >= from_at AND r.observed_at < to_at
    UNION ALL
    SELECT p.device_id, u.observed_at, u.received_at, u.geom, u.geom_outside
    FROM onemap.packed_record p CROSS JOIN LATERAL onemap.track_point_unpack(p, from_at, to_at) u
    WHERE p.device_id = device AND p.kind = 't'
        AND p.day BETWEEN (from_at AT TIME ZONE 'UTC')::date AND (to_at AT TIME ZONE 'UTC')::date
$$;
COMMENT ON FUNCTION onemap.track_point_of(int, timestamptz, timestamptz) IS
    'Rows of onemap.track_point of a device from from_at to before to_at';
GRANT EXECUTE ON FUNCTION onemap.track_point_of(int, timestamptz, timestamptz)
    TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.track_point_received(from_at timestamptz, to_at timestamptz, first_stamp timestamptz,
    last_stamp timestamptz)
RETURNS TABLE (device_id int, observed_at timestamptz, received_at timestamptz, geom public.geometry, geom_outside public.geometry)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT r.device_id, r.observed_at, r.received_at, r.geom, r.geom_outside FROM onemap.track_point_raw r
    WHERE r.observed_at >= from_at AND r.observed_at < to_at AND r.received_at BETWEEN first_stamp AND last_stamp
    UNION ALL
    SELECT p.device_id, u.observed_at, u.received_at, u.geom, u.geom_outside
    FROM onemap.packed_record p CROSS JOIN LATERAL onemap.track_point_unpack(p, from_at, to_at) u
    WHERE p.kind = 't'
        AND p.day BETWEEN (from_at AT TIME ZONE 'UTC')::date AND (to_at AT TIME ZONE 'UTC')::date
        AND p.received_last >= first_stamp AND u.received_at BETWEEN first_stamp AND last_stamp
$$;
COMMENT ON FUNCTION onemap.track_point_received(timestamptz, timestamptz, timestamptz, timestamptz) IS
    'Rows of onemap.track_point from from_at to before to_at that were received from first_stamp to last_stamp';
GRANT EXECUTE ON FUNCTION onemap.track_point_received(timestamptz, timestamptz, timestamptz, timestamptz)
    TO cityhub_hub, cityhub_api, cityhub_read;

-- ---- partitions ----

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
                    (autovacuum_vacuum_insert_scale_factor = 0, autovacuum_vacuum_insert_threshold = 100000)', child,
                    parent || '_raw');
                PERFORM onemap.packed_watch(left(parent, 1)::"char", day);
                EXECUTE format('ALTER TABLE onemap.%I ATTACH PARTITION onemap.%I FOR VALUES FROM (%L) TO (%L)', parent || '_raw',
                               child, day::timestamp AT TIME ZONE 'UTC', (day + 1)::timestamp AT TIME ZONE 'UTC');
            END IF;
        END IF;
    END LOOP;
END $$;
COMMENT ON FUNCTION onemap.partition_ensure(date) IS
    'Makes the day''s partitions of observation and track_point if they are not there; days are UTC days';
GRANT EXECUTE ON FUNCTION onemap.partition_ensure(date) TO cityhub_hub;

-- NULL for any other name: a plan may ask it of all there are before it looks whose partition each is.
CREATE OR REPLACE FUNCTION onemap.partition_day(name name) RETURNS date LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN name ~ '_[0-9]{8}$'
        THEN make_date(left(right(name, 8), 4)::int, left(right(name, 4), 2)::int, right(name, 2)::int) END
$$;
COMMENT ON FUNCTION onemap.partition_day(name) IS 'The day of a partition by its name';
GRANT EXECUTE ON FUNCTION onemap.partition_day(name) TO cityhub_hub, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.partition_days() RETURNS SETOF date
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT onemap.partition_day(c.relname)
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'onemap.observation_raw'::regclass
    INTERSECT
    SELECT onemap.partition_day(c.relname)
    FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'onemap.track_point_raw'::regclass
    ORDER BY 1
$$;
COMMENT ON FUNCTION onemap.partition_days() IS 'Days that have their raw partitions';
GRANT EXECUTE ON FUNCTION onemap.partition_days() TO cityhub_hub;

-- A clock that jumps ahead (a dead battery, a satellite's week) must not drop what is kept for years: by its word time goes on a
-- day an hour at most, which is also how a hub that was away for long catches up.
CREATE OR REPLACE FUNCTION onemap.retention_now() RETURNS timestamptz
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT least(now(), (SELECT r.moment + interval '1 day' FROM onemap.retention_clock r))
$$;
COMMENT ON FUNCTION onemap.retention_now() IS 'Now, for what is dropped by its age: at most a day after retention_clock''s moment';

CREATE OR REPLACE FUNCTION onemap.partition_maintain(ahead_days int, retention_days int) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    today date := (now() AT TIME ZONE 'UTC')::date; old timestamptz; day date; parent text; dropped int := 0;
BEGIN
    IF (ahead_days BETWEEN 1 AND 60 AND retention_days BETWEEN 1 AND 36500) IS NOT TRUE THEN
        RAISE EXCEPTION 'partition_maintain: ahead_days 1 to 60 and retention_days 1 to 36500, not % and %', ahead_days,
            retention_days;
    END IF;
    FOR day IN SELECT today - 1 + n FROM generate_series(0, ahead_days + 1) n LOOP
        PERFORM onemap.partition_ensure(day);
    END LOOP;
    UPDATE onemap.retention_clock r SET moment = greatest(onemap.retention_now(), r.moment - interval '1 day'), moved_at = now()
    WHERE now() NOT BETWEEN r.moved_at AND r.moved_at + interval '50 minutes';
    old := onemap.retention_now() - make_interval(days => retention_days);
    FOR day IN SELECT DISTINCT onemap.partition_day(c.relname) AS d FROM pg_inherits i
               JOIN pg_class c ON c.oid = i.inhrelid
               WHERE i.inhparent IN ('onemap.observation_raw'::regclass, 'onemap.track_point_raw'::regclass)
                   AND onemap.partition_day(c.relname) < (old AT TIME ZONE 'UTC')::date ORDER BY d LOOP
        FOREACH parent IN ARRAY ARRAY['observation', 'track_point'] LOOP
            EXECUTE format('DROP TABLE IF EXISTS onemap.%I', format('%s_%s', parent, to_char(day, 'YYYYMMDD')));
        END LOOP;
        dropped := dropped + 1;
    END LOOP;
    dropped := dropped + onemap.packed_forget((old AT TIME ZONE 'UTC')::date);
    DELETE FROM onemap.batch_log b WHERE b.rolled_up_at < now() - interval '2 days';
    DELETE FROM onemap.observation_revision r WHERE r.observed_at < old;
    PERFORM onemap.interval_forget(old), onemap.past_forget(old), onemap.exchange_forget(old);
    RETURN dropped;
END $$;
COMMENT ON FUNCTION onemap.partition_maintain(int, int) IS
    'Makes partitions from yesterday to ahead_days from now, drops those older than retention_days (by retention_now()); returns '
    'the days dropped';
GRANT EXECUTE ON FUNCTION onemap.partition_maintain(int, int) TO cityhub_hub;

-- Two records of one key, the later message's last: element by element the new reading where there is one, its quality bit with it,
-- the new text where there is one. Without a search_path of their own, so that the planner takes them into the statement.
CREATE OR REPLACE FUNCTION onemap.readings_merge(old float8[], new float8[]) RETURNS float8[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT ARRAY(SELECT coalesce(u.n, u.o)
        FROM ROWS FROM (pg_catalog.unnest(new), pg_catalog.unnest(old)) WITH ORDINALITY AS u(n, o, i) ORDER BY u.i)
$$;
COMMENT ON FUNCTION onemap.readings_merge(float8[], float8[]) IS
    'Element by element: the new reading where there is one, else the old one';
GRANT EXECUTE ON FUNCTION onemap.readings_merge(float8[], float8[]) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.readings_conflict(old float8[], new float8[]) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT EXISTS (SELECT FROM ROWS FROM (pg_catalog.unnest(old), pg_catalog.unnest(new)) AS u(o, n) WHERE u.o <> u.n)
$$;
COMMENT ON FUNCTION onemap.readings_conflict(float8[], float8[]) IS
    'true if both have a reading at the same ordinal and the two differ';
GRANT EXECUTE ON FUNCTION onemap.readings_conflict(float8[], float8[]) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.readings_mask(readings float8[]) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT coalesce(pg_catalog.bit_or(1::bigint << (u.i::int - 1)), 0)
    FROM pg_catalog.unnest(readings) WITH ORDINALITY AS u(r, i) WHERE u.r IS NOT NULL
$$;
COMMENT ON FUNCTION onemap.readings_mask(float8[]) IS 'Bit (ordinal - 1) set where there is a reading';
GRANT EXECUTE ON FUNCTION onemap.readings_mask(float8[]) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.quality_merge(old_quality bigint, new_quality bigint, new_readings float8[]) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN old_quality IS NULL THEN nullif(new_quality, 0)
        ELSE nullif((old_quality & ~onemap.readings_mask(new_readings)) | coalesce(new_quality, 0), 0) END
$$;
COMMENT ON FUNCTION onemap.quality_merge(bigint, bigint, float8[]) IS
    'Quality bits of two merged records: the new ones for the new readings, the old ones for the others; NULL = none is set';
GRANT EXECUTE ON FUNCTION onemap.quality_merge(bigint, bigint, float8[]) TO cityhub_hub;

CREATE OR REPLACE FUNCTION onemap.attributes_merge(old jsonb, new jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT coalesce(old || new, old, new) $$;
COMMENT ON FUNCTION onemap.attributes_merge(jsonb, jsonb) IS
    'Texts of two merged records: the new one where there is one, else the old';
GRANT EXECUTE ON FUNCTION onemap.attributes_merge(jsonb, jsonb) TO cityhub_hub;

-- The same over any number of records of one key, in their order.
CREATE OR REPLACE AGGREGATE onemap.readings_fold(float8[]) (SFUNC = onemap.readings_merge, STYPE = float8[]);
COMMENT ON AGGREGATE onemap.readings_fold(float8[]) IS 'readings_merge() over records in their order';
CREATE OR REPLACE AGGREGATE onemap.quality_fold(bigint, float8[]) (SFUNC = onemap.quality_merge, STYPE = bigint);
COMMENT ON AGGREGATE onemap.quality_fold(bigint, float8[]) IS 'quality_merge() over records (quality, readings) in their order';
CREATE OR REPLACE AGGREGATE onemap.attributes_fold(jsonb) (SFUNC = onemap.attributes_merge, STYPE = jsonb);
COMMENT ON AGGREGATE onemap.attributes_fold(jsonb) IS 'attributes_merge() over records in their order';
GRANT EXECUTE ON FUNCTION onemap.readings_fold(float8[]), onemap.quality_fold(bigint, float8[]), onemap.attributes_fold(jsonb)
    TO cityhub_hub;

-- What is known of each device now: derived from observations, and right again after a crash, because batch_log says which
-- batches are still to be counted.

-- Picks per ordinal the reading with the later time; at equal times the newer message's. Its quality bit goes with it.
CREATE OR REPLACE FUNCTION onemap.state_merge(old_readings float8[], old_times timestamptz[], old_quality bigint,
    new_readings float8[],
                                   new_times timestamptz[], new_quality bigint,
                                   OUT readings float8[], OUT reading_times timestamptz[], OUT quality bigint)
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(array_agg(CASE WHEN newer THEN new_readings[i] ELSE old_readings[i] END ORDER BY i), '{}'),
           coalesce(array_agg(CASE WHEN newer THEN new_times[i] ELSE old_times[i] END ORDER BY i), '{}'),
           nullif(bit_or(CASE WHEN newer THEN new_quality ELSE old_quality END & (1::bigint << (i - 1))), 0)
    FROM (SELECT i, new_times[i] IS NOT NULL AND (old_times[i] IS NULL OR new_times[i] >= old_times[i]) AS newer
          FROM generate_series(1, greatest(coalesce(cardinality(old_times), 0), coalesce(cardinality(new_times), 0))) i) n
$$;
COMMENT ON FUNCTION onemap.state_merge(float8[], timestamptz[], bigint, float8[], timestamptz[], bigint) IS
    'Element by element the reading with the later time, and the quality bit of the reading that is taken';

CREATE OR REPLACE FUNCTION onemap.device_state_merge(complete_to timestamptz) RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE merged int;
BEGIN
    INSERT INTO onemap.device_state AS d
        (device_id, observed_at, last_seen_at, readings, reading_times, quality, geom, geom_at)
    SELECT s.device_id, s.observed_at, s.last_seen_at, s.readings, s.reading_times, s.quality, s.geom, s.geom_at
    FROM pg_temp.device_state_stage s ORDER BY s.device_id
    ON CONFLICT (device_id) DO UPDATE SET
        observed_at = greatest(d.observed_at, excluded.observed_at),
        last_seen_at = greatest(d.last_seen_at, excluded.last_seen_at),
        online = d.online OR excluded.last_seen_at > d.last_seen_at,
        changed_at = CASE WHEN d.online OR excluded.last_seen_at <= d.last_seen_at THEN d.changed_at ELSE now() END,
        (readings, reading_times, quality) = (SELECT m.readings, m.reading_times, m.quality FROM onemap.state_merge(
            d.readings, d.reading_times, d.quality, excluded.readings, excluded.reading_times, excluded.quality) m),
        geom = CASE WHEN d.geom_at IS NULL OR excluded.geom_at >= d.geom_at THEN coalesce(excluded.geom, d.geom) ELSE d.geom END,
        geom_at = CASE WHEN d.geom_at IS NULL OR excluded.geom_at >= d.geom_at THEN coalesce(excluded.geom_at, d.geom_at)
            ELSE d.geom_at END;
    GET DIAGNOSTICS merged = ROW_COUNT;
    IF complete_to IS NOT NULL THEN
        INSERT INTO onemap.hub_state AS h (key, value) VALUES ('device_state', complete_to)
        ON CONFLICT (key) DO UPDATE SET value = greatest(h.value, excluded.value);
    END IF;
    TRUNCATE pg_temp.device_state_stage;
    RETURN merged;
END $$;
COMMENT ON FUNCTION onemap.device_state_merge(timestamptz) IS
    'Merges the session''s device_state_stage into device_state; complete_to: every batch stamped up to then is in it';
GRANT EXECUTE ON FUNCTION onemap.device_state_merge(timestamptz) TO cityhub_hub;
GRANT EXECUTE ON FUNCTION onemap.state_merge(float8[], timestamptz[], bigint, float8[], timestamptz[], bigint) TO cityhub_hub;

-- Stages what the hour's records say that were stored since a moment. Literals instead of parameters, so that the planner
-- sees how few rows they are and takes the BRIN index on received_at.
CREATE OR REPLACE FUNCTION onemap.device_state_stage_hour(hour_start timestamptz, since timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
BEGIN
    EXECUTE format($q$
    WITH chosen AS MATERIALIZED (
        SELECT o.device_id, o.observed_at, o.received_at, o.readings, coalesce(o.quality, 0) AS quality
        FROM onemap.observation o
        WHERE o.observed_at >= %1$L AND o.observed_at < %2$L AND o.received_at >= %3$L),
    latest AS (
        SELECT DISTINCT ON (c.device_id, r.ordinal) c.device_id, r.ordinal, r.value, c.observed_at,
               c.quality & (1::bigint << (r.ordinal::int - 1)) AS flag
        FROM chosen c, unnest(c.readings) WITH ORDINALITY r(value, ordinal)
        ORDER BY c.device_id, r.ordinal, r.value IS NULL, c.observed_at DESC),
    arrays AS (
        SELECT l.device_id, array_agg(l.value ORDER BY l.ordinal) AS readings, bit_or(l.flag) AS quality,
               array_agg(CASE WHEN l.value IS NOT NULL THEN l.observed_at END ORDER BY l.ordinal) AS reading_times
        FROM latest l GROUP BY l.device_id)
    INSERT INTO pg_temp.device_state_stage AS s (device_id, observed_at, last_seen_at, readings, reading_times, quality)
    SELECT t.device_id, t.observed_at, t.last_seen_at, coalesce(a.readings, '{}'), coalesce(a.reading_times, '{}'),
           nullif(a.quality, 0)
    FROM (SELECT c.device_id, max(c.observed_at) AS observed_at, max(c.received_at) AS last_seen_at
          FROM chosen c GROUP BY c.device_id) t
    LEFT JOIN arrays a USING (device_id)
    ON CONFLICT (device_id) DO UPDATE SET
        observed_at = greatest(s.observed_at, excluded.observed_at),
        last_seen_at = greatest(s.last_seen_at, excluded.last_seen_at),
        (readings, reading_times, quality) = (SELECT m.readings, m.reading_times, m.quality FROM onemap.state_merge(
            s.readings, s.reading_times, s.quality, excluded.readings, excluded.reading_times, excluded.quality) m)
    $q$, hour_start, hour_start + interval '1 hour', since);
    -- Hours come in their order, so that the last one with a place wins.
    EXECUTE format($q$
    INSERT INTO pg_temp.device_state_stage AS s (device_id, observed_at, last_seen_at, readings, reading_times, geom, geom_at)
    SELECT DISTINCT ON (p.device_id) p.device_id, p.observed_at, max(p.received_at) OVER (PARTITION BY p.device_id),
           '{}'::float8[], '{}'::timestamptz[], p.geom, p.observed_at
    FROM onemap.track_point p
    WHERE p.observed_at >= %1$L AND p.observed_at < %2$L AND p.received_at >= %3$L
    ORDER BY p.device_id, p.observed_at DESC
    ON CONFLICT (device_id) DO UPDATE SET
        observed_at = greatest(s.observed_at, excluded.observed_at),
        last_seen_at = greatest(s.last_seen_at, excluded.last_seen_at),
        geom = excluded.geom, geom_at = excluded.geom_at
    $q$, hour_start, hour_start + interval '1 hour', since);
END $$;
COMMENT ON FUNCTION onemap.device_state_stage_hour(timestamptz, timestamptz) IS
    'Brings the records and places of one hour that were stored since a moment into the session''s device_state_stage';
GRANT EXECUTE ON FUNCTION onemap.device_state_stage_hour(timestamptz, timestamptz) TO cityhub_hub;

-- A state may have been written before its record, which then never committed: it comes again, and so do those before it.
-- Alarm rules pass over what is older than observed_at, so this must not be ahead of what is stored. Literals, so that the
-- planner looks at two days' partitions and not at all of them.
CREATE OR REPLACE FUNCTION onemap.device_state_take_back(day_start timestamptz, since timestamptz) RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    EXECUTE format($q$
    UPDATE onemap.device_state s SET observed_at = t.stored_at
    FROM (SELECT d.device_id, (SELECT o.observed_at FROM onemap.observation o
                               WHERE o.device_id = d.device_id AND o.observed_at <= d.observed_at
                                   AND o.observed_at >= %4$L AND o.observed_at < %2$L
                               ORDER BY o.observed_at DESC LIMIT 1) AS stored_at
          FROM onemap.device_state d WHERE d.last_seen_at >= %3$L AND d.observed_at >= %1$L AND d.observed_at < %2$L) t
    WHERE s.device_id = t.device_id AND t.stored_at < s.observed_at
    $q$, day_start, day_start + interval '1 day', since, day_start - interval '1 day');
END $$;
COMMENT ON FUNCTION onemap.device_state_take_back(timestamptz, timestamptz) IS
    'Takes observed_at of the states of one day that were seen since a moment back to the newest record that is stored of that '
    'day or the one before';
GRANT EXECUTE ON FUNCTION onemap.device_state_take_back(timestamptz, timestamptz) TO cityhub_hub;

CREATE OR REPLACE FUNCTION onemap.device_state_catch_up() RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE since timestamptz; hour_start timestamptz; day_start timestamptz; caught_up int;
BEGIN
    since := coalesce((SELECT h.value - interval '1 minute' FROM onemap.hub_state h WHERE h.key = 'device_state'), '-infinity');
    PERFORM onemap.stage_create();
    TRUNCATE pg_temp.device_state_stage;
    FOR hour_start IN SELECT DISTINCT h FROM onemap.batch_log b, unnest(b.hours) h WHERE b.received_at >= since ORDER BY h LOOP
        PERFORM onemap.device_state_stage_hour(hour_start, since);
    END LOOP;
    caught_up := onemap.device_state_merge((SELECT max(b.received_at) FROM onemap.batch_log b));
    FOR day_start IN SELECT DISTINCT date_trunc('day', d.observed_at) FROM onemap.device_state d WHERE d.last_seen_at >= since LOOP
        PERFORM onemap.device_state_take_back(day_start, since);
    END LOOP;
    RETURN caught_up;
END $$;
COMMENT ON FUNCTION onemap.device_state_catch_up() IS
    'At start: brings into device_state what was committed after its last write, by the batches that batch_log names, and takes '
    'observed_at back to what is stored';
GRANT EXECUTE ON FUNCTION onemap.device_state_catch_up() TO cityhub_hub;

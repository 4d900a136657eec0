-- What is known of each device now, who is online, and the hourly rollups: all derived from observations, all of it
-- right again after a crash, because batch_log says which batches are still to be counted.

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
    'Last reading of each metric with its time, quality: bits of the readings that stand here, last place, online or not since changed_at; written every few seconds by the hub';
CREATE INDEX device_state_online ON onemap.device_state (last_seen_at) WHERE online;

CREATE TABLE onemap.hub_state (
    key   text PRIMARY KEY,
    value timestamptz NOT NULL
);
COMMENT ON TABLE onemap.hub_state IS 'device_state: the batch stamp up to which device_state is complete';

-- Picks per ordinal the reading with the later time; at equal times the newer message's. Its quality bit goes with it.
CREATE FUNCTION onemap.state_merge(old_readings float8[], old_times timestamptz[], old_quality bigint, new_readings float8[],
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

CREATE FUNCTION onemap.device_state_merge(complete_to timestamptz) RETURNS int
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
        geom_at = CASE WHEN d.geom_at IS NULL OR excluded.geom_at >= d.geom_at THEN coalesce(excluded.geom_at, d.geom_at) ELSE d.geom_at END;
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
GRANT SELECT, INSERT, UPDATE ON onemap.device_state, onemap.hub_state TO cityhub_hub;
GRANT EXECUTE ON FUNCTION onemap.state_merge(float8[], timestamptz[], bigint, float8[], timestamptz[], bigint) TO cityhub_hub;

-- Stages what the hour's records say that were stored since a moment. Literals instead of parameters, so that the planner
-- sees how few rows they are and takes the BRIN index on received_at.
CREATE FUNCTION onemap.device_state_stage_hour(hour_start timestamptz, since timestamptz) RETURNS void
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
CREATE FUNCTION onemap.device_state_take_back(day_start timestamptz, since timestamptz) RETURNS void
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
    'Takes observed_at of the states of one day that were seen since a moment back to the newest record that is stored of that day or the one before';
GRANT EXECUTE ON FUNCTION onemap.device_state_take_back(timestamptz, timestamptz) TO cityhub_hub;

CREATE FUNCTION onemap.device_state_catch_up() RETURNS int
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
    'At start: brings into device_state what was committed after its last write, by the batches that batch_log names, and takes observed_at back to what is stored';
GRANT EXECUTE ON FUNCTION onemap.device_state_catch_up() TO cityhub_hub;

-- Hourly rollups. Rows of new batches are added to what is there; device-hours that got late or changed records are made anew.
CREATE FUNCTION onemap.hourly_aggregate(hour_start timestamptz, stamps timestamptz[], devices int[])
RETURNS TABLE (device_id int, first_at timestamptz, last_at timestamptz, records int, counts int[], minima float8[],
               maxima float8[], sums float8[], firsts float8[], lasts float8[])
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
BEGIN
    -- Two plans: new batches are found by the BRIN index on received_at, named devices by the primary key. Without statistics
    -- (a new partition) the planner would think the BRIN index useless.
    RETURN QUERY EXECUTE format($q$
    WITH chosen AS MATERIALIZED (
        SELECT o.device_id, o.observed_at, o.readings, coalesce(o.quality, 0) AS quality
        FROM onemap.observation o
        WHERE o.observed_at >= %L AND o.observed_at < %L AND %s),
    by_metric AS (
        SELECT c.device_id, r.ordinal,
               count(r.value)::int AS n, min(r.value) AS low, max(r.value) AS high, sum(r.value) AS total,
               (array_agg(r.value ORDER BY c.observed_at) FILTER (WHERE r.value IS NOT NULL))[1] AS first_value,
               (array_agg(r.value ORDER BY c.observed_at DESC) FILTER (WHERE r.value IS NOT NULL))[1] AS last_value
        FROM chosen c,
             LATERAL (SELECT u.ordinal, CASE WHEN c.quality & (1::bigint << (u.ordinal::int - 1)) = 0 THEN u.value END AS value
                      FROM unnest(c.readings) WITH ORDINALITY u(value, ordinal)) r
        GROUP BY c.device_id, r.ordinal),
    arrays AS (
        SELECT m.device_id, array_agg(m.n ORDER BY m.ordinal) AS counts, array_agg(m.low ORDER BY m.ordinal) AS minima,
               array_agg(m.high ORDER BY m.ordinal) AS maxima, array_agg(m.total ORDER BY m.ordinal) AS sums,
               array_agg(m.first_value ORDER BY m.ordinal) AS firsts, array_agg(m.last_value ORDER BY m.ordinal) AS lasts
        FROM by_metric m GROUP BY m.device_id)
    SELECT t.device_id, t.first_at, t.last_at, t.records, coalesce(a.counts, '{}'), coalesce(a.minima, '{}'),
           coalesce(a.maxima, '{}'), coalesce(a.sums, '{}'), coalesce(a.firsts, '{}'), coalesce(a.lasts, '{}')
    FROM (SELECT c.device_id, min(c.observed_at) AS first_at, max(c.observed_at) AS last_at, count(*)::int AS records
          FROM chosen c GROUP BY c.device_id) t
    LEFT JOIN arrays a USING (device_id)$q$, hour_start, hour_start + interval '1 hour',
        CASE WHEN devices IS NOT NULL THEN 'o.device_id = ANY ($2)'
             ELSE format('o.received_at BETWEEN %L AND %L AND o.received_at = ANY ($1)',
                         (SELECT min(s) FROM unnest(stamps) s), (SELECT max(s) FROM unnest(stamps) s)) END)
    USING stamps, devices;
END $$;
COMMENT ON FUNCTION onemap.hourly_aggregate(timestamptz, timestamptz[], int[]) IS
    'Rollup rows of one hour: of the named devices, or, if devices is NULL, from the observations of the batches with these stamps';

ALTER TABLE onemap.observation_hourly ADD COLUMN last_at timestamptz NOT NULL;
COMMENT ON COLUMN onemap.observation_hourly.last_at IS 'Time of the newest record counted';

CREATE FUNCTION onemap.hourly_zip(a float8[], b float8[], how text) RETURNS float8[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(array_agg(CASE how
        WHEN 'sum' THEN CASE WHEN a[i] IS NULL THEN b[i] WHEN b[i] IS NULL THEN a[i] ELSE a[i] + b[i] END
        WHEN 'least' THEN least(a[i], b[i])
        WHEN 'greatest' THEN greatest(a[i], b[i])
        WHEN 'first' THEN coalesce(a[i], b[i])
        ELSE coalesce(b[i], a[i]) END ORDER BY i), '{}')
    FROM generate_series(1, greatest(cardinality(a), cardinality(b))) i
$$;
COMMENT ON FUNCTION onemap.hourly_zip(float8[], float8[], text) IS 'Element by element sum, least, greatest, first or last of two arrays; NULL = no reading';

CREATE FUNCTION onemap.rollup_run() RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET client_min_messages = warning
SET jit = off AS $$
DECLARE stamps timestamptz[]; hour_start timestamptz; again record; touched int := 0; part int;
BEGIN
    -- One snapshot for all, or a batch committed meanwhile would be counted twice; one run at a time.
    IF current_setting('transaction_isolation') <> 'repeatable read' THEN
        RAISE EXCEPTION 'rollup_run must run in a REPEATABLE READ transaction, not in %', current_setting('transaction_isolation');
    END IF;
    IF NOT pg_try_advisory_xact_lock(hashtext('onemap.rollup_run')) THEN
        RETURN 0;
    END IF;
    SELECT array_agg(b.received_at) INTO stamps FROM onemap.batch_log b WHERE b.rolled_up_at IS NULL;
    CREATE TEMP TABLE IF NOT EXISTS rollup_new (LIKE onemap.observation_hourly, first_at timestamptz) ON COMMIT DELETE ROWS;
    CREATE TEMP TABLE IF NOT EXISTS rollup_again (device_id int, hour timestamptz) ON COMMIT DELETE ROWS;
    FOR hour_start IN SELECT DISTINCT h FROM onemap.batch_log b, unnest(b.hours) h WHERE b.rolled_up_at IS NULL ORDER BY h LOOP
        INSERT INTO pg_temp.rollup_new (device_id, hour, records, counts, minima, maxima, sums, firsts, lasts, last_at, first_at)
        SELECT a.device_id, hour_start, a.records, a.counts, a.minima, a.maxima, a.sums, a.firsts, a.lasts, a.last_at, a.first_at
        FROM onemap.hourly_aggregate(hour_start, stamps, NULL) a;
    END LOOP;
    INSERT INTO pg_temp.rollup_again
    SELECT n.device_id, n.hour FROM pg_temp.rollup_new n JOIN onemap.observation_hourly h USING (device_id, hour)
    WHERE n.first_at <= h.last_at
    UNION SELECT r.device_id, r.hour FROM onemap.rollup_recompute r;
    INSERT INTO onemap.observation_hourly AS h (device_id, hour, records, counts, minima, maxima, sums, firsts, lasts, last_at)
    SELECT n.device_id, n.hour, n.records, n.counts, n.minima, n.maxima, n.sums, n.firsts, n.lasts, n.last_at
    FROM pg_temp.rollup_new n
    WHERE NOT EXISTS (SELECT FROM pg_temp.rollup_again a WHERE a.device_id = n.device_id AND a.hour = n.hour)
    ON CONFLICT (device_id, hour) DO UPDATE SET
        records = h.records + excluded.records,
        counts = onemap.hourly_zip(h.counts::float8[], excluded.counts::float8[], 'sum')::int[],
        minima = onemap.hourly_zip(h.minima, excluded.minima, 'least'),
        maxima = onemap.hourly_zip(h.maxima, excluded.maxima, 'greatest'),
        sums = onemap.hourly_zip(h.sums, excluded.sums, 'sum'),
        firsts = onemap.hourly_zip(h.firsts, excluded.firsts, 'first'),
        lasts = onemap.hourly_zip(h.lasts, excluded.lasts, 'last'),
        last_at = excluded.last_at;
    GET DIAGNOSTICS touched = ROW_COUNT;
    FOR again IN SELECT a.hour, array_agg(DISTINCT a.device_id) AS devices FROM pg_temp.rollup_again a GROUP BY a.hour LOOP
        DELETE FROM onemap.observation_hourly h WHERE h.hour = again.hour AND h.device_id = ANY (again.devices);
        INSERT INTO onemap.observation_hourly (device_id, hour, records, counts, minima, maxima, sums, firsts, lasts, last_at)
        SELECT a.device_id, again.hour, a.records, a.counts, a.minima, a.maxima, a.sums, a.firsts, a.lasts, a.last_at
        FROM onemap.hourly_aggregate(again.hour, NULL, again.devices) a;
        GET DIAGNOSTICS part = ROW_COUNT;
        touched := touched + part;
    END LOOP;
    DELETE FROM onemap.rollup_recompute;
    UPDATE onemap.batch_log b SET rolled_up_at = now() WHERE b.received_at = ANY (stamps);
    TRUNCATE pg_temp.rollup_new, pg_temp.rollup_again;
    RETURN touched;
END $$;
COMMENT ON FUNCTION onemap.rollup_run() IS
    'Brings observation_hourly up to all committed batches, late and revised records included; returns the device-hours written. Needs REPEATABLE READ';
GRANT EXECUTE ON FUNCTION onemap.rollup_run() TO cityhub_hub;

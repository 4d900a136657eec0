-- Hourly rollups. Rows of new batches are added to what is there; device-hours that got late or changed records are made anew.

CREATE OR REPLACE FUNCTION onemap.hourly_aggregate(hour_start timestamptz, stamps timestamptz[], devices int[])
RETURNS TABLE (device_id int, first_at timestamptz, last_at timestamptz, records int, counts int[], minima float8[],
               maxima float8[], sums float8[], firsts float8[], lasts float8[], flagged_above int[], flagged_below int[])
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
BEGIN
    -- Two plans: new batches are found by the BRIN index on received_at, named devices by the primary key. Without statistics
    -- (a new partition) the planner would think the BRIN index useless.
    RETURN QUERY EXECUTE format($q$
    WITH chosen AS MATERIALIZED (
        SELECT o.device_id, o.observed_at, o.readings, coalesce(o.quality, 0) AS quality
        FROM %s),
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
        FROM by_metric m GROUP BY m.device_id),
    flagged AS (
        SELECT c.device_id, u.ordinal, count(*) FILTER (WHERE u.value > m.max_value)::int AS above,
               count(*) FILTER (WHERE u.value < m.min_value)::int AS below
        FROM chosen c JOIN onemap.device d ON d.id = c.device_id
        CROSS JOIN LATERAL unnest(c.readings) WITH ORDINALITY u(value, ordinal)
        JOIN onemap.metric m ON m.subsystem = d.subsystem AND m.ordinal = u.ordinal
        WHERE c.quality <> 0 AND c.quality & (1::bigint << (u.ordinal::int - 1)) <> 0
        GROUP BY c.device_id, u.ordinal),
    flags AS (
        SELECT f.device_id, array_agg(coalesce(g.above, 0) ORDER BY i) AS above, array_agg(coalesce(g.below, 0) ORDER BY i) AS below
        FROM (SELECT device_id, max(ordinal)::int AS last FROM flagged GROUP BY device_id) f
        CROSS JOIN LATERAL generate_series(1, f.last) i
        LEFT JOIN flagged g ON g.device_id = f.device_id AND g.ordinal = i
        GROUP BY f.device_id)
    SELECT t.device_id, t.first_at, t.last_at, t.records, coalesce(a.counts, '{}'), coalesce(a.minima, '{}'),
           coalesce(a.maxima, '{}'), coalesce(a.sums, '{}'), coalesce(a.firsts, '{}'), coalesce(a.lasts, '{}'),
           coalesce(w.above, '{}'), coalesce(w.below, '{}')
    FROM (SELECT c.device_id, min(c.observed_at) AS first_at, max(c.observed_at) AS last_at, count(*)::int AS records
          FROM chosen c GROUP BY c.device_id) t
    LEFT JOIN arrays a USING (device_id) LEFT JOIN flags w USING (device_id)$q$,
        CASE WHEN devices IS NOT NULL
             THEN format('onemap.observation_between(%L, %L) o WHERE o.device_id = ANY ($2)', hour_start,
                         hour_start + interval '1 hour')
             ELSE format('onemap.observation_received(%L, %L, %L, %L) o WHERE o.received_at = ANY ($1)', hour_start,
                         hour_start + interval '1 hour', (SELECT min(s) FROM unnest(stamps) s),
                         (SELECT max(s) FROM unnest(stamps) s)) END)
    USING stamps, devices;
END $$;
COMMENT ON FUNCTION onemap.hourly_aggregate(timestamptz, timestamptz[], int[]) IS
    'Rollup rows of one hour: of the named devices, or, if devices is NULL, from the observations of the batches with these stamps';

CREATE OR REPLACE FUNCTION onemap.hourly_zip(a float8[], b float8[], how text) RETURNS float8[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(array_agg(CASE how
        WHEN 'sum' THEN CASE WHEN a[i] IS NULL THEN b[i] WHEN b[i] IS NULL THEN a[i] ELSE a[i] + b[i] END
        WHEN 'least' THEN least(a[i], b[i])
        WHEN 'greatest' THEN greatest(a[i], b[i])
        WHEN 'first' THEN coalesce(a[i], b[i])
        ELSE coalesce(b[i], a[i]) END ORDER BY i), '{}')
    FROM generate_series(1, greatest(cardinality(a), cardinality(b))) i
$$;
COMMENT ON FUNCTION onemap.hourly_zip(float8[], float8[], text) IS
    'Element by element sum, least, greatest, first or last of two arrays; NULL = no reading';

-- One hour: what is new is added to what is there; who sent something late or changed is made anew. No temporary table: whoever
-- calls this could have made it before, with a trigger of his own that would run as the owner.
CREATE OR REPLACE FUNCTION onemap.rollup_hour(hour_start timestamptz, stamps timestamptz[]) RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off AS $$
DECLARE late int[]; touched int; again int;
BEGIN
    WITH fresh AS MATERIALIZED (SELECT a.* FROM onemap.hourly_aggregate(hour_start, stamps, NULL) a),
    late_device AS MATERIALIZED (
        SELECT n.device_id FROM fresh n JOIN onemap.observation_hourly h ON h.device_id = n.device_id AND h.hour = hour_start
        WHERE n.first_at <= h.last_at
        UNION SELECT r.device_id FROM onemap.rollup_recompute r WHERE r.hour = hour_start),
    added AS (
        INSERT INTO onemap.observation_hourly AS h (device_id, hour, records, counts, minima, maxima, sums, firsts, lasts, last_at,
            flagged_above, flagged_below)
        SELECT n.device_id, hour_start, n.records, n.counts, n.minima, n.maxima, n.sums, n.firsts, n.lasts, n.last_at,
               n.flagged_above, n.flagged_below
        FROM fresh n WHERE NOT EXISTS (SELECT FROM late_device l WHERE l.device_id = n.device_id)
        ON CONFLICT (device_id, hour) DO UPDATE SET
            records = h.records + excluded.records,
            counts = onemap.hourly_zip(h.counts::float8[], excluded.counts::float8[], 'sum')::int[],
            minima = onemap.hourly_zip(h.minima, excluded.minima, 'least'),
            maxima = onemap.hourly_zip(h.maxima, excluded.maxima, 'greatest'),
            sums = onemap.hourly_zip(h.sums, excluded.sums, 'sum'),
            firsts = onemap.hourly_zip(h.firsts, excluded.firsts, 'first'),
            lasts = onemap.hourly_zip(h.lasts, excluded.lasts, 'last'),
            last_at = excluded.last_at,
            flagged_above = onemap.hourly_zip(h.flagged_above::float8[], excluded.flagged_above::float8[], 'sum')::int[],
            flagged_below = onemap.hourly_zip(h.flagged_below::float8[], excluded.flagged_below::float8[], 'sum')::int[]
        RETURNING h.device_id)
    SELECT (SELECT count(*)::int FROM added), array_agg(l.device_id) INTO touched, late FROM late_device l;
    IF late IS NULL THEN
        RETURN touched;
    END IF;
    DELETE FROM onemap.observation_hourly h WHERE h.hour = hour_start AND h.device_id = ANY (late);
    INSERT INTO onemap.observation_hourly (device_id, hour, records, counts, minima, maxima, sums, firsts, lasts, last_at,
        flagged_above, flagged_below)
    SELECT a.device_id, hour_start, a.records, a.counts, a.minima, a.maxima, a.sums, a.firsts, a.lasts, a.last_at,
           a.flagged_above, a.flagged_below
    FROM onemap.hourly_aggregate(hour_start, NULL, late) a;
    GET DIAGNOSTICS again = ROW_COUNT;
    RETURN touched + again;
END $$;
COMMENT ON FUNCTION onemap.rollup_hour(timestamptz, timestamptz[]) IS
    'Brings one hour of observation_hourly up to the batches with these stamps; returns the device-hours written';

CREATE OR REPLACE FUNCTION onemap.rollup_run() RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE stamps timestamptz[]; hour_start timestamptz; touched int := 0;
BEGIN
    -- One snapshot for all, or a batch committed meanwhile would be counted twice; one run at a time.
    IF current_setting('transaction_isolation') <> 'repeatable read' THEN
        RAISE EXCEPTION 'rollup_run must run in a REPEATABLE READ transaction, not in %', current_setting('transaction_isolation');
    END IF;
    IF NOT pg_try_advisory_xact_lock(hashtext('onemap.rollup_run')) THEN
        RETURN 0;
    END IF;
    SELECT array_agg(b.received_at) INTO stamps FROM onemap.batch_log b WHERE b.rolled_up_at IS NULL;
    FOR hour_start IN
        SELECT h FROM onemap.batch_log b, unnest(b.hours) h WHERE b.rolled_up_at IS NULL
        UNION SELECT r.hour FROM onemap.rollup_recompute r ORDER BY 1 LOOP
        touched := touched + onemap.rollup_hour(hour_start, coalesce(stamps, '{}'));
    END LOOP;
    DELETE FROM onemap.rollup_recompute;
    UPDATE onemap.batch_log b SET rolled_up_at = now() WHERE b.received_at = ANY (stamps);
    RETURN touched;
END $$;
COMMENT ON FUNCTION onemap.rollup_run() IS
    'Brings observation_hourly up to all committed batches, late and revised records included; returns the device-hours written. '
    'Needs REPEATABLE READ';
GRANT EXECUTE ON FUNCTION onemap.rollup_run() TO cityhub_hub;

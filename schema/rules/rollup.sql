-- Hourly rollups. What they say depends on the records alone and not on the order in which these came: counts, smallest, largest,
-- first and last by the records' times, and sums that are exact before they are rounded. So what a batch adds is added whenever it
-- comes; the hub has counted it (hub/know/rollup.c), and what it has not is counted here. A device-hour of which a record was
-- changed, or that is closed, is made anew from its records.

-- ---- exact sums: in units of 2^-52, divided into whole numbers and the rest, which integers add without loss ----

CREATE OR REPLACE FUNCTION onemap.exact_whole(value float8) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN value >= 2251799813685248 THEN 2251799813685248 WHEN value <= -2251799813685248 THEN -2251799813685248
        ELSE trunc(value)::bigint END
$$;
COMMENT ON FUNCTION onemap.exact_whole(float8) IS
    'A reading without its fraction, at most 2^51 (no metric''s range goes so far): sums are counted in it and in exact_part()';

CREATE OR REPLACE FUNCTION onemap.exact_part(value float8) RETURNS bigint LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT ((value - trunc(value)) * 4503599627370496)::bigint
$$;
COMMENT ON FUNCTION onemap.exact_part(float8) IS 'A reading''s fraction in units of 2^-52';

CREATE OR REPLACE FUNCTION onemap.exact_sum(whole numeric, part numeric) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (whole * 4503599627370496 + part)::float8 / 4503599627370496
$$;
COMMENT ON FUNCTION onemap.exact_sum(numeric, numeric) IS 'The double nearest to a sum of exact_whole() and of exact_part()';

CREATE OR REPLACE FUNCTION onemap.exact_rest(whole numeric, part numeric) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN s.total IS NULL THEN NULL WHEN abs(s.total) >= 2251799813685248 THEN 0
        ELSE ((whole - onemap.exact_whole(s.total)) * 4503599627370496 + (part - onemap.exact_part(s.total)))::float8
             / 4503599627370496 END
    FROM (SELECT onemap.exact_sum(whole, part) AS total) s
$$;
COMMENT ON FUNCTION onemap.exact_rest(numeric, numeric) IS
    'What exact_sum() has lost by rounding, 0 where that is beyond what a double holds (sums of 2^51 and more)';

-- Two sums with their rests, added without loss below 2^51 (Knuth, Seminumerical Algorithms 4.2.2, theorem B): what the rounded
-- addition loses is itself a double, and so are the rests.
CREATE OR REPLACE FUNCTION onemap.exact_lost(a float8, b float8) RETURNS float8 LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT (a - ((a + b) - ((a + b) - a))) + (b - ((a + b) - a))
$$;
COMMENT ON FUNCTION onemap.exact_lost(float8, float8) IS 'What a + b, rounded, lacks of the exact sum';

CREATE OR REPLACE FUNCTION onemap.counts_add(a int[], b int[]) RETURNS int[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN coalesce(pg_catalog.cardinality(a), 0) = 0 THEN b WHEN pg_catalog.cardinality(b) = 0 THEN a ELSE
        ARRAY(SELECT coalesce(u.x, 0) + coalesce(u.y, 0)
              FROM ROWS FROM (pg_catalog.unnest(a), pg_catalog.unnest(b)) WITH ORDINALITY AS u(x, y, i) ORDER BY u.i) END
$$;
COMMENT ON FUNCTION onemap.counts_add(int[], int[]) IS 'Element by element sum of two arrays; what is missing counts as 0';

CREATE OR REPLACE FUNCTION onemap.least_of(a float8[], b float8[]) RETURNS float8[] LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN coalesce(pg_catalog.cardinality(a), 0) = 0 THEN b WHEN pg_catalog.cardinality(b) = 0 THEN a ELSE
        ARRAY(SELECT least(u.x, u.y)
              FROM ROWS FROM (pg_catalog.unnest(a), pg_catalog.unnest(b)) WITH ORDINALITY AS u(x, y, i) ORDER BY u.i) END
$$;
COMMENT ON FUNCTION onemap.least_of(float8[], float8[]) IS 'Element by element the lesser of two arrays; NULL is none';

-- ---- from records ----

-- The only place where rollups read records.
CREATE OR REPLACE FUNCTION onemap.hourly_aggregate(hour_start timestamptz, stamps timestamptz[], devices int[])
RETURNS SETOF onemap.rollup_stage
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off AS $$
BEGIN
    -- Two plans: new batches are found by the BRIN index on received_at, named devices by the primary key. Without statistics
    -- (a new partition) the planner would think the BRIN index useless.
    RETURN QUERY EXECUTE format($q$
    WITH chosen AS MATERIALIZED (
        SELECT o.device_id, o.observed_at, o.readings, coalesce(o.quality, 0) AS quality
        FROM %2$s),
    by_metric AS MATERIALIZED (
        SELECT r.device_id, r.ordinal, bool_or(r.given) AS given, count(r.value)::int AS n,
               min(r.value) AS low, max(r.value) AS high,
               sum(onemap.exact_whole(r.value)) AS whole, sum(onemap.exact_part(r.value)) AS part,
               min(r.observed_at) FILTER (WHERE r.value IS NOT NULL) AS first_at,
               max(r.observed_at) FILTER (WHERE r.value IS NOT NULL) AS last_at
        -- Adding 0 makes 0 of -0: which of the two is smallest must not depend on their order. OFFSET 0: computed once.
        FROM (SELECT c.device_id, c.observed_at, u.ordinal::int AS ordinal, u.value IS NOT NULL AS given,
                     CASE WHEN c.quality & (1::bigint << (u.ordinal::int - 1)) = 0 THEN u.value + 0 END AS value
              FROM chosen c, unnest(c.readings) WITH ORDINALITY u(value, ordinal) OFFSET 0) r
        GROUP BY r.device_id, r.ordinal),
    arrays AS (
        SELECT m.device_id, max(m.ordinal) FILTER (WHERE m.given) AS size, array_agg(m.n ORDER BY m.ordinal) AS counts,
               array_agg(m.low ORDER BY m.ordinal) AS minima, array_agg(m.high ORDER BY m.ordinal) AS maxima,
               array_agg(onemap.exact_sum(m.whole, m.part) ORDER BY m.ordinal) AS sums,
               array_agg(onemap.exact_rest(m.whole, m.part) ORDER BY m.ordinal) AS rests,
               array_agg(f.readings[m.ordinal] + 0 ORDER BY m.ordinal) AS firsts,
               array_agg(l.readings[m.ordinal] + 0 ORDER BY m.ordinal) AS lasts,
               array_agg(date_part('epoch', m.first_at - %1$L)::numeric * 1000 ORDER BY m.ordinal)::int[] AS first_ms,
               array_agg(date_part('epoch', m.last_at - %1$L)::numeric * 1000 ORDER BY m.ordinal)::int[] AS last_ms
        FROM by_metric m LEFT JOIN chosen f ON f.device_id = m.device_id AND f.observed_at = m.first_at
        LEFT JOIN chosen l ON l.device_id = m.device_id AND l.observed_at = m.last_at
        GROUP BY m.device_id),
    flagged AS (
        SELECT c.device_id, u.ordinal, count(*) FILTER (WHERE u.value >= m.min_value)::int AS above,
               count(*) FILTER (WHERE u.value < m.min_value)::int AS below,
               min(u.value + 0) FILTER (WHERE u.value BETWEEN m.min_value AND m.max_value) AS least
        FROM chosen c JOIN onemap.device d ON d.id = c.device_id
        CROSS JOIN LATERAL unnest(c.readings) WITH ORDINALITY u(value, ordinal)
        JOIN onemap.metric m ON m.subsystem = d.subsystem AND m.ordinal = u.ordinal
        WHERE c.quality <> 0 AND c.quality & (1::bigint << (u.ordinal::int - 1)) <> 0 AND u.value IS NOT NULL
        GROUP BY c.device_id, u.ordinal),
    flags AS (
        SELECT f.device_id, array_agg(coalesce(g.above, 0) ORDER BY i) AS above, array_agg(coalesce(g.below, 0) ORDER BY i)
               AS below, array_agg(g.least ORDER BY i) AS least, max(i) FILTER (WHERE g.least IS NOT NULL) AS size
        FROM (SELECT device_id, max(ordinal)::int AS last FROM flagged GROUP BY device_id) f
        CROSS JOIN LATERAL generate_series(1, f.last) i LEFT JOIN flagged g ON g.device_id = f.device_id AND g.ordinal = i
        GROUP BY f.device_id)
    SELECT t.device_id, %1$L::timestamptz, t.records, t.last_at,
           coalesce(a.counts[1:a.size], '{}'), coalesce(a.minima[1:a.size], '{}'), coalesce(a.maxima[1:a.size], '{}'),
           coalesce(a.sums[1:a.size], '{}'), coalesce(a.rests[1:a.size], '{}'), coalesce(a.firsts[1:a.size], '{}'),
           coalesce(a.lasts[1:a.size], '{}'), coalesce(a.first_ms[1:a.size], '{}'), coalesce(a.last_ms[1:a.size], '{}'),
           coalesce(w.above, '{}'), coalesce(w.below, '{}'), coalesce(w.least[1:w.size], '{}')
    FROM (SELECT c.device_id, max(c.observed_at) AS last_at, count(*)::int AS records FROM chosen c GROUP BY c.device_id) t
    LEFT JOIN arrays a USING (device_id) LEFT JOIN flags w USING (device_id)$q$, hour_start,
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

-- ---- adding ----

-- No temporary table: whoever calls rollup_run() could have made it before, with a trigger of his own that would run as the owner.
CREATE OR REPLACE FUNCTION onemap.rollup_add() RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp SET jit = off SET enable_seqscan = off AS $$
DECLARE added int;
BEGIN
    -- LATERAL with OFFSET 0 goes row by row to the key, whatever the planner thinks of a table that was empty a moment ago.
    -- Compared as rows, because h.hour = s.hour would let it go by the index of hours, under which a new county has all in one.
    INSERT INTO onemap.rollup_recompute (device_id, hour)
    SELECT s.device_id, s.hour FROM onemap.rollup_stage s CROSS JOIN LATERAL (
        SELECT FROM onemap.observation_hourly h WHERE (h.device_id, h.hour) >= (s.device_id, s.hour)
            AND (h.device_id, h.hour) <= (s.device_id, s.hour) AND h.rests IS NULL OFFSET 0) h;
    INSERT INTO onemap.observation_hourly AS t (device_id, hour, records, last_at, counts, minima, maxima, sums, rests, firsts,
        lasts, first_ms, last_ms, flagged_above, flagged_below, above_least)
    SELECT s.device_id, s.hour, coalesce(h.records, 0) + s.records, greatest(h.last_at, s.last_at),
           coalesce(m.counts, '{}'), coalesce(m.minima, '{}'), coalesce(m.maxima, '{}'), coalesce(m.sums, '{}'),
           coalesce(m.rests, '{}'), coalesce(m.firsts, '{}'), coalesce(m.lasts, '{}'), coalesce(m.first_ms, '{}'),
           coalesce(m.last_ms, '{}'),
           -- Seldom is anything flagged, and a function that has a query in it is called, not written in.
           CASE WHEN s.flagged_above = '{}' THEN coalesce(h.flagged_above, '{}')
                ELSE onemap.counts_add(h.flagged_above, s.flagged_above) END,
           CASE WHEN s.flagged_below = '{}' THEN coalesce(h.flagged_below, '{}')
                ELSE onemap.counts_add(h.flagged_below, s.flagged_below) END,
           CASE WHEN s.above_least = '{}' THEN coalesce(h.above_least, '{}')
                ELSE onemap.least_of(h.above_least, s.above_least) END
    FROM onemap.rollup_stage s
    LEFT JOIN LATERAL (SELECT h.* FROM onemap.observation_hourly h WHERE (h.device_id, h.hour) >= (s.device_id, s.hour)
        AND (h.device_id, h.hour) <= (s.device_id, s.hour) OFFSET 0) h ON true
    -- Arrays side by side in a list of columns are taken apart in step, without a store for each as in FROM; their rows come in
    -- order, and nothing here changes it: nine sorts a row would cost as much as all the rest.
    CROSS JOIN LATERAL (
        SELECT array_agg(coalesce(u.n, 0) + coalesce(u.more, 0)) AS counts,
               array_agg(least(u.low, u.lower)) AS minima,
               array_agg(greatest(u.high, u.higher)) AS maxima,
               array_agg(u.total + u.rest) AS sums,
               array_agg(u.rest - ((u.total + u.rest) - u.total)) AS rests,
               array_agg(CASE WHEN u.first_ms <= u.earliest OR u.earliest IS NULL THEN u.first ELSE u.sooner END) AS firsts,
               array_agg(CASE WHEN u.last_ms >= u.latest OR u.latest IS NULL THEN u.last ELSE u.later END) AS lasts,
               array_agg(least(u.first_ms, u.earliest)) AS first_ms,
               array_agg(greatest(u.last_ms, u.latest)) AS last_ms
        FROM (SELECT z.*, CASE WHEN z.a IS NULL THEN z.b WHEN z.b IS NULL THEN z.a ELSE z.a + z.b END AS total,
                     CASE WHEN z.a IS NULL THEN z.b_rest WHEN z.b IS NULL THEN z.a_rest
                         ELSE onemap.exact_lost(z.a, z.b) + z.a_rest + z.b_rest END AS rest
              FROM (SELECT unnest(h.counts) AS n, unnest(h.minima) AS low, unnest(h.maxima) AS high, unnest(h.sums) AS a,
                           unnest(h.rests) AS a_rest, unnest(h.firsts) AS first, unnest(h.lasts) AS last,
                           unnest(h.first_ms) AS first_ms, unnest(h.last_ms) AS last_ms,
                           unnest(s.counts) AS more, unnest(s.minima) AS lower, unnest(s.maxima) AS higher, unnest(s.sums) AS b,
                           unnest(s.rests) AS b_rest, unnest(s.firsts) AS sooner, unnest(s.lasts) AS later,
                           unnest(s.first_ms) AS earliest, unnest(s.last_ms) AS latest) z OFFSET 0) u) m
    WHERE NOT EXISTS (SELECT FROM onemap.rollup_recompute r WHERE r.device_id = s.device_id AND r.hour = s.hour)
    ON CONFLICT (device_id, hour) DO UPDATE SET records = excluded.records, last_at = excluded.last_at, counts = excluded.counts,
        minima = excluded.minima, maxima = excluded.maxima, sums = excluded.sums, rests = excluded.rests, firsts = excluded.firsts,
        lasts = excluded.lasts, first_ms = excluded.first_ms, last_ms = excluded.last_ms,
        flagged_above = excluded.flagged_above, flagged_below = excluded.flagged_below, above_least = excluded.above_least;
    GET DIAGNOSTICS added = ROW_COUNT;
    INSERT INTO onemap.exchange_change (resource, key)
    SELECT DISTINCT 'figure_hour', to_char(s.hour AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS+00')
    FROM onemap.rollup_stage s, onemap.rollup_closed c WHERE s.hour < c.through;
    DELETE FROM onemap.rollup_stage;
    RETURN added;
END $$;
COMMENT ON FUNCTION onemap.rollup_add() IS
    'Adds rollup_stage, which has a device-hour once, to observation_hourly and empties it; what cannot be added to goes to '
    'rollup_recompute. Returns the device-hours written';

CREATE OR REPLACE FUNCTION onemap.rollup_renew(hour_start timestamptz) RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE devices int[]; renewed int;
BEGIN
    SELECT array_agg(DISTINCT r.device_id) INTO devices FROM onemap.rollup_recompute r WHERE r.hour = hour_start;
    DELETE FROM onemap.observation_hourly h WHERE h.hour = hour_start AND h.device_id = ANY (devices);
    INSERT INTO onemap.observation_hourly (device_id, hour, records, last_at, counts, minima, maxima, sums, rests, firsts, lasts,
        first_ms, last_ms, flagged_above, flagged_below, above_least)
    SELECT a.device_id, a.hour, a.records, a.last_at, a.counts, a.minima, a.maxima, a.sums, a.rests, a.firsts, a.lasts, a.first_ms,
           a.last_ms, a.flagged_above, a.flagged_below, a.above_least
    FROM onemap.hourly_aggregate(hour_start, NULL, devices) a;
    GET DIAGNOSTICS renewed = ROW_COUNT;
    INSERT INTO onemap.exchange_change (resource, key)
    SELECT 'figure_hour', to_char(hour_start AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS+00')
    FROM onemap.rollup_closed c WHERE hour_start < c.through;
    RETURN renewed;
END $$;
COMMENT ON FUNCTION onemap.rollup_renew(timestamptz) IS
    'Makes the device-hours of rollup_recompute of one hour anew from their records; returns how many there are then';

CREATE OR REPLACE FUNCTION onemap.rollup_close() RETURNS void
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE past timestamptz := date_trunc('hour', now(), 'UTC') - interval '2 hours';
BEGIN
    -- Once an hour; three days back, because an hour may have been filled late.
    UPDATE onemap.rollup_closed c SET through = past WHERE c.through < past;
    IF FOUND THEN
        UPDATE onemap.observation_hourly h SET rests = NULL, first_ms = NULL, last_ms = NULL
        WHERE h.hour >= past - interval '3 days' AND h.hour < past AND h.rests IS NOT NULL;
    END IF;
END $$;
COMMENT ON FUNCTION onemap.rollup_close() IS
    'Closes hours that ended two hours ago and more: what they need for being added to takes a third of their place';

-- ---- a run ----

CREATE OR REPLACE FUNCTION onemap.rollup_count(waiting timestamptz[]) RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE hour_start timestamptz; added int := 0;
BEGIN
    FOR hour_start IN SELECT DISTINCT h FROM onemap.batch_log b, unnest(b.hours) h WHERE b.received_at = ANY (waiting)
        ORDER BY h LOOP
        INSERT INTO onemap.rollup_stage (device_id, hour, records, last_at, counts, minima, maxima, sums, rests, firsts, lasts,
            first_ms, last_ms, flagged_above, flagged_below, above_least)
        SELECT a.device_id, a.hour, a.records, a.last_at, a.counts, a.minima, a.maxima, a.sums, a.rests, a.firsts, a.lasts,
               a.first_ms, a.last_ms, a.flagged_above, a.flagged_below, a.above_least
        FROM onemap.hourly_aggregate(hour_start, waiting, NULL) a;
        PERFORM onemap.rollup_day_note();
        added := added + onemap.rollup_add();
    END LOOP;
    RETURN added;
END $$;
COMMENT ON FUNCTION onemap.rollup_count(timestamptz[]) IS
    'Reads the records of the batches with these stamps and adds what they say; returns the device-hours written';

CREATE OR REPLACE FUNCTION onemap.rollup_changed() RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE hour_start timestamptz; renewed int := 0;
BEGIN
    FOR hour_start IN SELECT DISTINCT r.hour FROM onemap.rollup_recompute r ORDER BY 1 LOOP
        renewed := renewed + onemap.rollup_renew(hour_start);
    END LOOP;
    INSERT INTO onemap.rollup_day_due (device_id, day) SELECT DISTINCT r.device_id, onemap.local_time(r.hour)::date
    FROM onemap.rollup_recompute r WHERE r.hour < onemap.rollup_days_end();
    -- Batches that wait are in the records just read, and will be added all the same: then it is made anew once more.
    WITH done AS (DELETE FROM onemap.rollup_recompute RETURNING device_id, hour)
    INSERT INTO onemap.rollup_recompute (device_id, hour)
    SELECT DISTINCT d.device_id, d.hour FROM done d
    WHERE EXISTS (SELECT FROM onemap.batch_log b WHERE b.rolled_up_at IS NULL AND d.hour = ANY (b.hours));
    RETURN renewed;
END $$;
COMMENT ON FUNCTION onemap.rollup_changed() IS
    'Makes anew whatever is in rollup_recompute; a device-hour stays there while batches of its hour wait. Returns the '
    'device-hours';

CREATE OR REPLACE FUNCTION onemap.rollup_run(counted uuid[] DEFAULT '{}', others uuid[] DEFAULT NULL) RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE stamps timestamptz[]; waiting timestamptz[]; touched int := 0;
BEGIN
    -- One snapshot for all, or a batch committed meanwhile would be counted twice; one run at a time.
    IF current_setting('transaction_isolation') <> 'repeatable read' THEN
        RAISE EXCEPTION 'rollup_run must run in a REPEATABLE READ transaction, not in %', current_setting('transaction_isolation');
    END IF;
    IF NOT pg_try_advisory_xact_lock(hashtext('onemap.rollup_run')) THEN
        RETURN NULL;
    END IF;
    SELECT coalesce(array_agg(b.received_at), '{}') INTO stamps
    FROM onemap.batch_log b WHERE b.id = ANY (counted) AND b.rolled_up_at IS NULL;
    -- All of them or none: what another has counted already cannot be taken out of the sum.
    IF cardinality(stamps) = cardinality(counted) THEN
        PERFORM onemap.rollup_day_note();
        touched := onemap.rollup_add();
    ELSE
        DELETE FROM onemap.rollup_stage;
        others := others || counted;
        stamps := '{}';
    END IF;
    SELECT coalesce(array_agg(b.received_at), '{}') INTO waiting FROM onemap.batch_log b
    WHERE b.rolled_up_at IS NULL AND b.received_at <> ALL (stamps)
        -- A batch that was committed just now is its hub's to count, until it is so old that no hub can have it.
        AND (others IS NULL OR b.id = ANY (others) OR b.committed_at < now() - interval '10 minutes');
    touched := touched + onemap.rollup_count(waiting);
    UPDATE onemap.batch_log b SET rolled_up_at = now() WHERE b.received_at = ANY (stamps || waiting);
    touched := touched + onemap.rollup_changed();
    PERFORM onemap.rollup_close();
    PERFORM onemap.rollup_days();
    RETURN touched;
END $$;
COMMENT ON FUNCTION onemap.rollup_run(uuid[], uuid[]) IS
    'Brings observation_hourly and observation_daily up to the batches (batch_log.id) that are counted in rollup_stage, and to '
    'others, which it reads itself (NULL = all that wait); late and revised records included. Returns the device-hours written, '
    'NULL if another one is at it. Needs REPEATABLE READ';
GRANT EXECUTE ON FUNCTION onemap.rollup_run(uuid[], uuid[]) TO cityhub_hub;

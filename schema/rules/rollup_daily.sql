-- Daily rollups, from the hourly ones: all of a day when it is over, single devices of it when an hour of theirs changed after
-- that.

CREATE OR REPLACE FUNCTION onemap.daily_aggregate(day date, devices int[] DEFAULT NULL) RETURNS SETOF onemap.observation_daily
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_seqscan = off SET jit = off
SET plan_cache_mode = force_custom_plan AS $$
BEGIN
    RETURN QUERY
    WITH chosen AS MATERIALIZED (
        SELECT h.* FROM onemap.observation_hourly h
        WHERE h.hour >= onemap.local_midnight($1) AND h.hour < onemap.local_midnight($1 + 1)
            AND ($2 IS NULL OR h.device_id = ANY ($2))),
    by_metric AS (
        SELECT c.device_id, u.i, sum(u.n)::int AS n, min(u.low) AS low, max(u.high) AS high,
               onemap.exact_sum(sum(onemap.exact_whole(u.total)), sum(onemap.exact_part(u.total))) AS total,
               (array_agg(u.first ORDER BY c.hour) FILTER (WHERE u.n > 0))[1] AS first,
               (array_agg(u.last ORDER BY c.hour DESC) FILTER (WHERE u.n > 0))[1] AS last
        FROM chosen c, ROWS FROM (unnest(c.counts), unnest(c.minima), unnest(c.maxima), unnest(c.sums), unnest(c.firsts),
            unnest(c.lasts)) WITH ORDINALITY AS u(n, low, high, total, first, last, i)
        GROUP BY c.device_id, u.i),
    arrays AS (
        SELECT m.device_id, array_agg(m.n ORDER BY m.i) AS counts, array_agg(m.low ORDER BY m.i) AS minima,
               array_agg(m.high ORDER BY m.i) AS maxima, array_agg(m.total ORDER BY m.i) AS sums,
               array_agg(m.first ORDER BY m.i) AS firsts, array_agg(m.last ORDER BY m.i) AS lasts
        FROM by_metric m GROUP BY m.device_id),
    flags AS (
        SELECT f.device_id, array_agg(f.above ORDER BY f.i) AS above, array_agg(f.below ORDER BY f.i) AS below
        FROM (SELECT c.device_id, u.i, sum(u.above)::int AS above, sum(u.below)::int AS below
              FROM chosen c, ROWS FROM (unnest(c.flagged_above), unnest(c.flagged_below)) WITH ORDINALITY AS u(above, below, i)
              GROUP BY c.device_id, u.i) f
        GROUP BY f.device_id)
    SELECT t.device_id, $1, t.records, t.last_at, coalesce(a.counts, '{}'), coalesce(a.minima, '{}'), coalesce(a.maxima, '{}'),
           coalesce(a.sums, '{}'), coalesce(a.firsts, '{}'), coalesce(a.lasts, '{}'), coalesce(w.above, '{}'),
           coalesce(w.below, '{}')
    FROM (SELECT c.device_id, sum(c.records)::int AS records, max(c.last_at) AS last_at FROM chosen c GROUP BY c.device_id) t
    LEFT JOIN arrays a USING (device_id) LEFT JOIN flags w USING (device_id);
END $$;
COMMENT ON FUNCTION onemap.daily_aggregate(date, int[]) IS
    'Daily rollups of a day of the county from its hours, of the named devices or of all: also of the running day, which '
    'observation_daily does not have';
GRANT EXECUTE ON FUNCTION onemap.daily_aggregate(date, int[]), onemap.exact_whole(float8), onemap.exact_part(float8),
    onemap.exact_sum(numeric, numeric) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.rollup_days_end() RETURNS timestamptz
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT onemap.local_midnight(max(d.day) + 1) FROM onemap.observation_daily d
$$;
COMMENT ON FUNCTION onemap.rollup_days_end() IS 'Up to when days are rolled up; NULL = none is';

CREATE OR REPLACE FUNCTION onemap.rollup_day_note() RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO onemap.rollup_day_due (device_id, day) SELECT DISTINCT s.device_id, onemap.local_time(s.hour)::date
    FROM onemap.rollup_stage s WHERE s.hour < onemap.rollup_days_end()
$$;
COMMENT ON FUNCTION onemap.rollup_day_note() IS 'Notes days that are rolled up already and to which rollup_stage adds';

CREATE OR REPLACE FUNCTION onemap.rollup_day_add(due date, devices int[] DEFAULT NULL) RETURNS void
LANGUAGE sql SET search_path = pg_catalog, pg_temp AS $$
    INSERT INTO onemap.observation_daily (device_id, day, records, last_at, counts, minima, maxima, sums, firsts, lasts,
        flagged_above, flagged_below)
    SELECT a.device_id, a.day, a.records, a.last_at, a.counts, a.minima, a.maxima, a.sums, a.firsts, a.lasts, a.flagged_above,
           a.flagged_below
    FROM onemap.daily_aggregate(due, devices) a;
    INSERT INTO onemap.exchange_change (resource, key) VALUES ('figure_day', to_char(due, 'YYYY-MM-DD'))
$$;
COMMENT ON FUNCTION onemap.rollup_day_add(date, int[]) IS 'Adds a day of these devices, or of all, to observation_daily';

CREATE OR REPLACE FUNCTION onemap.rollup_days() RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE due date; began timestamptz; written int := 0; today date := onemap.local_time(now())::date;
BEGIN
    FOR due IN SELECT DISTINCT d.day FROM onemap.rollup_day_due d ORDER BY 1 LOOP
        DELETE FROM onemap.observation_daily o USING onemap.rollup_day_due d
        WHERE o.day = due AND d.day = due AND d.device_id = o.device_id;
        PERFORM onemap.rollup_day_add(due, (SELECT array_agg(DISTINCT d.device_id) FROM onemap.rollup_day_due d WHERE d.day = due));
    END LOOP;
    DELETE FROM onemap.rollup_day_due;
    -- A month at most in one run, the oldest first: an old county's years are rolled up in a quarter of an hour, and nobody waits.
    FOR n IN 1..31 LOOP
        SELECT min(h.hour) INTO began FROM onemap.observation_hourly h
        WHERE h.hour >= coalesce(onemap.rollup_days_end(), '-infinity');
        due := onemap.local_time(began)::date;
        EXIT WHEN due IS NULL OR due >= today;
        PERFORM onemap.rollup_day_add(due);
        written := written + 1;
    END LOOP;
    RETURN written;
END $$;
COMMENT ON FUNCTION onemap.rollup_days() IS
    'Brings observation_daily up to observation_hourly: changed hours of days that are there, then days that are over since. '
    'Returns the days added. After another time_zone, delete all of observation_daily: it is filled anew';

-- What the routes of series answer: readings of devices over time, raw, by hours or by days, thinned to the width that is asked
-- for. A row of a series covers one reading or more; between two rows there may be nothing, and then a row of nulls says so.

-- ---- readers: all that these routes take from the big tables ----

-- Without a SET, so that the planner takes them into the statement and sees the times.
CREATE OR REPLACE FUNCTION onemap.series_readings(device int, from_at timestamptz, to_at timestamptz)
RETURNS TABLE (observed_at timestamptz, readings float8[], quality bigint)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT o.observed_at, o.readings, o.quality FROM onemap.observation_of(device, from_at, to_at) o
$$;
COMMENT ON FUNCTION onemap.series_readings(int, timestamptz, timestamptz) IS
    'A device''s records from a moment to before another: the one place where series read them';

-- A day that is over has its row; one that is not rolled up yet is made of its hours.
CREATE OR REPLACE FUNCTION onemap.series_days(devices int[], from_at timestamptz, to_at timestamptz)
RETURNS SETOF onemap.observation_daily
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    first_day date := onemap.local_time(from_at)::date; last_day date := onemap.local_time(to_at - interval '1 microsecond')::date;
    rolled_up timestamptz := coalesce(onemap.rollup_days_end(), '-infinity'); day date;
BEGIN
    RETURN QUERY SELECT d.* FROM onemap.observation_daily d
        WHERE d.device_id = ANY (devices) AND d.day BETWEEN first_day AND last_day;
    FOR day IN SELECT DISTINCT onemap.local_time(h.hour)::date FROM onemap.observation_hourly h
        WHERE h.device_id = ANY (devices) AND h.hour >= greatest(rolled_up, onemap.local_midnight(first_day))
            AND h.hour < onemap.local_midnight(last_day + 1) LOOP
        RETURN QUERY SELECT a.* FROM onemap.daily_aggregate(day, devices) a;
    END LOOP;
END $$;
COMMENT ON FUNCTION onemap.series_days(int[], timestamptz, timestamptz) IS
    'Days of the county from the one of a moment to the one before another, the running one included';

-- ---- what is asked for ----

CREATE OR REPLACE FUNCTION onemap.series_span(request jsonb, devices int, OUT from_at timestamptz, OUT to_at timestamptz,
    OUT resolution text, OUT step_s int)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE span_s float8; longest int; unit_s int;
BEGIN
    PERFORM onemap.http_check(request);
    to_at := coalesce(onemap.http_time(request, 'to'), now());
    from_at := coalesce(onemap.http_time(request, 'from'), to_at - interval '1 day');
    IF from_at >= to_at THEN
        RAISE EXCEPTION 'from must be before to' USING ERRCODE = 'CH013', HINT = 'from 须早于 to；不写 to 时指现在。';
    END IF;
    span_s := date_part('epoch', to_at - from_at);
    resolution := CASE WHEN request->>'resolution' <> 'auto' THEN request->>'resolution' WHEN span_s <= 2 * 86400 THEN 'raw'
        WHEN span_s <= 62 * 86400 THEN 'hourly' ELSE 'daily' END;
    longest := CASE resolution WHEN 'raw' THEN 62 WHEN 'hourly' THEN 3700 ELSE 73000 END;
    IF span_s * devices > longest * 86400.0 THEN
        RAISE EXCEPTION '% devices over % days are too much for resolution %: % days of one device at the most', devices,
            ceil(span_s / 86400), resolution, longest USING ERRCODE = 'CH013',
            HINT = '请缩短时段、减少设备，或改用 resolution=hourly 或 daily。';
    END IF;
    unit_s := CASE resolution WHEN 'raw' THEN 1 WHEN 'hourly' THEN 3600 ELSE 86400 END;
    step_s := (greatest(ceil(span_s / unit_s / (request->>'width')::int), 1) * unit_s)::int;
END $$;
COMMENT ON FUNCTION onemap.series_span(jsonb, int) IS
    'From when to when, in which resolution and step (seconds) a request for so many devices is answered; CH013 if it is too much';

CREATE OR REPLACE FUNCTION onemap.series_wanted(request jsonb, devices int[])
RETURNS TABLE (device_id int, ordinal int, metric text, name_zh text, unit text, offline_after_s float8)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
DECLARE
    keys text[] := CASE WHEN request ? 'metrics' THEN ARRAY(SELECT jsonb_array_elements_text(request->'metrics')) END;
    found int; unknown text;
BEGIN
    RETURN QUERY SELECT d.id, m.ordinal, m.key, m.name_zh, m.unit, coalesce(extract(epoch FROM k.offline_after), 600)::float8
        FROM onemap.device d JOIN onemap.metric m ON m.subsystem = d.subsystem
            LEFT JOIN onemap.device_kind k ON k.subsystem = d.subsystem AND k.key = d.kind
        WHERE d.id = ANY (devices) AND m.kind <> 'text' AND (keys IS NULL OR m.key = ANY (keys));
    GET DIAGNOSTICS found = ROW_COUNT;
    IF keys IS NOT NULL AND found < cardinality(keys) * cardinality(devices) THEN
        SELECT k INTO unknown FROM unnest(keys) k WHERE NOT EXISTS (SELECT FROM onemap.device d JOIN onemap.metric m
            ON m.subsystem = d.subsystem WHERE d.id = ANY (devices) AND m.key = k AND m.kind <> 'text') LIMIT 1;
        IF unknown IS NOT NULL THEN
            RAISE EXCEPTION 'these devices have no metric "%" with numbers', unknown USING ERRCODE = 'CH013',
                HINT = '指标代码见 /api/v1/metrics。';
        END IF;
    END IF;
    IF found > 64 THEN
        RAISE EXCEPTION '% series are too many: 64 at the most', found USING ERRCODE = 'CH013',
            HINT = '请用 metrics 指定指标，或减少设备。';
    END IF;
END $$;
COMMENT ON FUNCTION onemap.series_wanted(jsonb, int[]) IS
    'The series that a request means: the metrics named, or all with numbers, of these devices; CH013 if one is unknown or they '
    'are too many';

-- ---- the rows ----

-- Planned once: partitions are left out when it begins. What is said of a record is worked out before its metrics are taken apart
-- (OFFSET 0). max() of [time, value] is the value of the latest time, without a sort.
CREATE OR REPLACE FUNCTION onemap.series_buckets(devices int[], ordinals int[], from_at timestamptz, to_at timestamptz,
    resolution text, step_s int)
RETURNS TABLE (device_id int, ordinal int, first_at timestamptz, last_at timestamptz, n bigint, low float8, high float8,
    mean float8, last float8, flagged bigint)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off AS $$
DECLARE begin_s float8 := date_part('epoch', from_at); begin_day date;
BEGIN
    IF resolution = 'raw' THEN
        RETURN QUERY
        SELECT t.id, o.ordinal, min(t.at), max(t.at), count(v.good), min(v.good), max(v.good),
            CASE WHEN count(v.good) > 1 THEN onemap.figure(sum(v.good) / count(v.good)) ELSE sum(v.good) END,
            (max(ARRAY[t.at_s, v.good]) FILTER (WHERE v.good IS NOT NULL))[2], count(*) - count(v.good)
        FROM (SELECT d.id, r.observed_at AS at, date_part('epoch', r.observed_at) AS at_s, r.readings, r.quality,
                  floor((date_part('epoch', r.observed_at) - begin_s) / step_s) AS slot
              FROM unnest(devices) d (id) CROSS JOIN LATERAL onemap.series_readings(d.id, from_at, to_at) r OFFSET 0) t
            CROSS JOIN unnest(ordinals) o (ordinal)
            CROSS JOIN LATERAL (SELECT onemap.reading_good(t.readings, t.quality, o.ordinal) AS good) v
        WHERE t.readings[o.ordinal] IS NOT NULL GROUP BY t.id, o.ordinal, t.slot;
        RETURN;
    END IF;
    begin_day := onemap.local_time(from_at)::date;
    RETURN QUERY
    WITH atom AS (
        SELECT h.device_id AS id, o.ordinal, h.hour AS at, date_part('epoch', h.hour) AS at_s,
            coalesce(h.counts[o.ordinal], 0) AS n, h.minima[o.ordinal] AS low, h.maxima[o.ordinal] AS high,
            h.sums[o.ordinal] AS total, h.lasts[o.ordinal] AS last,
            onemap.hourly_flagged(h, o.ordinal) AS flag, floor((date_part('epoch', h.hour) - begin_s) / step_s) AS slot
        FROM onemap.observation_hourly h CROSS JOIN unnest(ordinals) o (ordinal)
        WHERE resolution = 'hourly' AND h.device_id = ANY (devices) AND h.hour >= from_at AND h.hour < to_at
        UNION ALL
        SELECT y.device_id, o.ordinal, onemap.local_midnight(y.day), date_part('epoch', y.day), coalesce(y.counts[o.ordinal], 0),
            y.minima[o.ordinal], y.maxima[o.ordinal], y.sums[o.ordinal], y.lasts[o.ordinal],
            coalesce(y.flagged_above[o.ordinal], 0) + coalesce(y.flagged_below[o.ordinal], 0),
            (y.day - begin_day) / (step_s / 86400)
        FROM onemap.series_days(devices, from_at, to_at) y CROSS JOIN unnest(ordinals) o (ordinal) WHERE resolution = 'daily')
    SELECT a.id, a.ordinal, min(a.at), max(a.at), sum(a.n), min(a.low), max(a.high) FILTER (WHERE a.n > 0),
        CASE WHEN sum(a.n) > 1 THEN onemap.figure(sum(a.total) FILTER (WHERE a.n > 0) / sum(a.n))
            ELSE sum(a.total) FILTER (WHERE a.n > 0) END,
        (max(ARRAY[a.at_s, a.last]) FILTER (WHERE a.n > 0))[2], sum(a.flag)
    FROM atom a WHERE a.n > 0 OR a.flag > 0 GROUP BY a.id, a.ordinal, a.slot;
END $$;
COMMENT ON FUNCTION onemap.series_buckets(int[], int[], timestamptz, timestamptz, text, int) IS
    'Rows of series: readings that fall into one step: first and last of their times (the beginning of the hour or day), number of '
    'good ones, their smallest, largest, mean and last, and how many were out of range';

-- Two rows follow each other if the next reading came within gap_s of the last: the time after which such a device is offline, or
-- one and a half of its usual interval if that is longer.
CREATE OR REPLACE FUNCTION onemap.series_json(request jsonb, devices int[]) RETURNS json
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off AS $$
DECLARE s record; series json;
BEGIN
    SELECT x.* INTO s FROM onemap.series_span(request, cardinality(devices)) x;
    WITH wanted AS MATERIALIZED (SELECT w.* FROM onemap.series_wanted(request, devices) w),
    spaced AS (
        SELECT b.*, lag(b.last_at) OVER w AS before_at
        FROM onemap.series_buckets(devices, ARRAY(SELECT DISTINCT w.ordinal FROM wanted w), s.from_at, s.to_at, s.resolution,
            s.step_s) b
        WINDOW w AS (PARTITION BY b.device_id, b.ordinal ORDER BY b.first_at)),
    paced AS (
        SELECT x.device_id, x.ordinal, greatest(w.offline_after_s, 1.5 * x.usual_s) AS gap_s
        FROM (SELECT y.device_id, y.ordinal, percentile_disc(0.5) WITHIN GROUP (
                  ORDER BY date_part('epoch', y.first_at - y.before_at)) AS usual_s
              FROM spaced y GROUP BY y.device_id, y.ordinal) x JOIN wanted w USING (device_id, ordinal)),
    points AS (
        SELECT x.device_id, x.ordinal, x.gap_s, string_agg(x.row, '],') || ']' AS rows
        FROM (SELECT y.device_id, y.ordinal, p.gap_s,
                  CASE WHEN y.first_at > y.before_at + make_interval(secs => p.gap_s) THEN '[' || onemap.http_ms(least(
                      y.before_at + make_interval(secs => p.gap_s), y.first_at - interval '1 millisecond'))
                      || ',null,null,null,null,0,0],[' ELSE '[' END || array_to_string(ARRAY[onemap.http_ms(y.first_at), y.low,
                      y.mean, y.high, y.last, y.n, y.flagged], ',', 'null') AS row
              FROM spaced y JOIN paced p USING (device_id, ordinal) ORDER BY y.device_id, y.ordinal, y.first_at) x
        GROUP BY x.device_id, x.ordinal, x.gap_s)
    SELECT coalesce(json_agg(json_build_object('device', w.device_id, 'metric', w.metric, 'name_zh', w.name_zh, 'unit', w.unit,
        'gap_s', p.gap_s, 'points', ('[' || coalesce(p.rows, '') || ']')::json) ORDER BY array_position(devices, w.device_id),
            w.ordinal),
        '[]') INTO series
    FROM wanted w LEFT JOIN points p USING (device_id, ordinal);
    RETURN json_build_object('from', s.from_at, 'to', s.to_at, 'time_zone', onemap.time_zone(), 'resolution', s.resolution,
        'step_s', s.step_s, 'columns', '["at_ms","minimum","mean","maximum","last","count","flagged"]'::json, 'series', series);
END $$;
COMMENT ON FUNCTION onemap.series_json(jsonb, int[]) IS
    'Series of devices that who asks may see: {from, to, time_zone, resolution, step_s, columns, series: [{device, metric, '
    'name_zh, unit, gap_s, points}]}; a row of nulls stands where nothing came for longer than gap_s';

CREATE OR REPLACE FUNCTION onemap.http_device_series(request jsonb) RETURNS TABLE (body json)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF onemap.http_device_seen(request, (request->>'id')::int) THEN
        RETURN QUERY SELECT onemap.series_json(request, ARRAY[(request->>'id')::int]);
    END IF;
END $$;
COMMENT ON FUNCTION onemap.http_device_series(jsonb) IS
    'GET /api/v1/devices/{id}/series: see series_json(); no row: no such device';
GRANT EXECUTE ON FUNCTION onemap.http_device_series(jsonb) TO cityhub_api;

CREATE OR REPLACE FUNCTION onemap.http_series(request jsonb) RETURNS TABLE (body json)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE devices int[]; stray int;
BEGIN
    SELECT array_agg(x.id ORDER BY x.place) INTO devices
    FROM (SELECT e.id::int AS id, min(e.place) AS place
          FROM jsonb_array_elements_text(request->'devices') WITH ORDINALITY e (id, place) GROUP BY 1) x;
    SELECT d.d INTO stray FROM unnest(devices) d (d) WHERE NOT onemap.http_device_seen(request, d.d) LIMIT 1;
    IF stray IS NOT NULL THEN
        RAISE EXCEPTION 'there is no device %', stray USING ERRCODE = 'CH013', HINT = '设备编号见 /api/v1/devices。';
    END IF;
    RETURN QUERY SELECT onemap.series_json(request, devices);
END $$;
COMMENT ON FUNCTION onemap.http_series(jsonb) IS 'GET /api/v1/series: of several devices, see series_json()';
GRANT EXECUTE ON FUNCTION onemap.http_series(jsonb) TO cityhub_api;

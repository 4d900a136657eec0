-- What the routes of series answer: readings of devices over time, raw, by hours or by days, thinned to the width that is asked
-- for. A row of a series covers one reading or more; between two rows there may be nothing, and then a row of nulls says so.

-- ---- readers: all that these routes take from the big tables ----

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
    to_at := coalesce(onemap.http_time(request, 'to'), now());
    from_at := coalesce(onemap.http_time(request, 'from'), to_at - interval '1 day');
    IF from_at >= to_at THEN
        RAISE EXCEPTION 'from must be before to' USING ERRCODE = 'CH013',
            DETAIL = '开始 from 须早于结束 to', HINT = 'from 须早于 to；不写 to 时指现在。';
    END IF;
    span_s := date_part('epoch', to_at - from_at);
    resolution := CASE WHEN request->>'resolution' <> 'auto' THEN request->>'resolution' WHEN span_s <= 2 * 86400 THEN 'raw'
        WHEN span_s <= 62 * 86400 THEN 'hourly' ELSE 'daily' END;
    longest := CASE resolution WHEN 'raw' THEN 62 WHEN 'hourly' THEN 3700 ELSE 73000 END;
    IF span_s * devices > longest * 86400.0 THEN
        RAISE EXCEPTION '% devices over % days are too much for resolution %: % days of one device at the most', devices,
            ceil(span_s / 86400), resolution, longest USING ERRCODE = 'CH013',
            DETAIL = format('太多：%s 台设备 %s 天，用 %s 精度，一台至多 %s 天', devices, ceil(span_s / 86400), resolution,
                longest),
            HINT = '请缩短时段、减少设备，或改用 resolution=hourly 或 daily。';
    END IF;
    unit_s := CASE resolution WHEN 'raw' THEN 1 WHEN 'hourly' THEN 3600 ELSE 86400 END;
    step_s := (greatest(ceil(span_s / unit_s / (request->>'width')::int), 1) * unit_s)::int;
END $$;
COMMENT ON FUNCTION onemap.series_span(jsonb, int) IS
    'From when to when, in which resolution and step (seconds) a request for so many devices is answered; CH013 if it is too much';

CREATE OR REPLACE FUNCTION onemap.series_wanted(request jsonb, devices int[])
RETURNS TABLE (device_id int, ordinal int, metric text, name_zh text, unit text, offline_after_s float8)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    keys text[] := CASE WHEN request ? 'metrics' THEN ARRAY(SELECT jsonb_array_elements_text(request->'metrics')) END;
    found int; unknown text;
BEGIN
    -- OFFSET 0: metrics by the key of each device's subsystem, however many devices the planner thinks of.
    RETURN QUERY SELECT d.id, m.ordinal, m.key, m.name_zh, m.unit, coalesce(date_part('epoch', k.offline_after), 600)
        FROM onemap.device d LEFT JOIN onemap.device_kind k ON k.subsystem = d.subsystem AND k.key = d.kind
            CROSS JOIN LATERAL (SELECT x.* FROM onemap.metric x WHERE x.subsystem = d.subsystem AND x.kind <> 'text'
                AND (keys IS NULL OR x.key = ANY (keys)) OFFSET 0) m
        WHERE d.id = ANY (devices);
    GET DIAGNOSTICS found = ROW_COUNT;
    IF keys IS NOT NULL AND found < cardinality(keys) * cardinality(devices) THEN
        SELECT k INTO unknown FROM unnest(keys) k WHERE NOT EXISTS (SELECT FROM onemap.device d JOIN onemap.metric m
            ON m.subsystem = d.subsystem WHERE d.id = ANY (devices) AND m.key = k AND m.kind <> 'text') LIMIT 1;
        IF unknown IS NOT NULL THEN
            RAISE EXCEPTION 'these devices have no metric "%" with numbers', unknown USING ERRCODE = 'CH013',
                DETAIL = format('这些设备没有数值指标 %s', unknown),
                HINT = '指标代码见 /api/v1/metrics。';
        END IF;
    END IF;
    IF found > 64 THEN
        RAISE EXCEPTION '% series are too many: 64 at the most', found USING ERRCODE = 'CH013',
            DETAIL = format('曲线太多：%s 条，至多 64 条', found),
            HINT = '请用 metrics 指定指标，或减少设备。';
    END IF;
END $$;
COMMENT ON FUNCTION onemap.series_wanted(jsonb, int[]) IS
    'The series that a request means: the metrics named, or all with numbers, of these devices; CH013 if one is unknown or they '
    'are too many';

-- ---- the rows ----

CREATE OR REPLACE FUNCTION onemap.series_row(first_at timestamptz, before_at timestamptz, gap_s float8, n bigint, low float8,
    mean float8, high float8, last float8, flagged bigint) RETURNS text
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN date_part('epoch', first_at - before_at) > gap_s THEN onemap.http_ms(least(
            before_at + make_interval(secs => gap_s), first_at - interval '1 millisecond')) || ',null,null,null,null,0,0],['
            ELSE '' END
        || CASE WHEN n = 1 THEN onemap.http_ms(first_at) || replace(',v,v,v,v,1,', 'v', low::text) || flagged
            ELSE array_to_string(ARRAY[onemap.http_ms(first_at), low, mean, high, last, n, flagged], ',', 'null') END
$$;
COMMENT ON FUNCTION onemap.series_row(timestamptz, timestamptz, float8, bigint, float8, float8, float8, float8, bigint) IS
    'A row of a series as JSON without the outer brackets: at_ms, minimum, mean, maximum, last, count, flagged; before it a row of '
    'nulls if nothing came for longer than gap_s. One reading is all four of its figures: its text is made once';

-- Most devices send less often than a chart is wide: each reading is a row, and nothing is to be added up. Where nothing is packed,
-- as in the last days, packed days are not looked into: to begin that takes longer than to read the day.
CREATE OR REPLACE FUNCTION onemap.series_readings(device int, ordinal int, from_at timestamptz, to_at timestamptz, step_s int,
    offline_after_s float8, OUT together boolean, OUT gap_s float8, OUT points text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE begin_s float8 := date_part('epoch', from_at); at timestamptz[]; good float8[];
BEGIN
    IF (SELECT h.counts[$2] * step_s > 3600 FROM onemap.observation_hourly h
        WHERE h.device_id = device AND h.hour >= from_at AND h.hour < to_at ORDER BY h.hour DESC LIMIT 1) THEN
        together := true; -- so it will be: they need not be read for it
        RETURN;
    ELSIF EXISTS (SELECT FROM onemap.packed_record p WHERE p.device_id = device AND p.kind = 'o'
            AND p.day BETWEEN (from_at AT TIME ZONE 'UTC')::date AND (to_at AT TIME ZONE 'UTC')::date) THEN
        SELECT array_agg(m.observed_at), array_agg(CASE WHEN NOT m.flagged THEN m.value END) INTO at, good
        FROM (SELECT m.* FROM onemap.metric_of(device, $2, from_at, to_at) m ORDER BY m.observed_at) m;
    ELSE
        SELECT array_agg(m.observed_at), array_agg(CASE WHEN NOT m.flagged THEN m.value END) INTO at, good
        FROM (SELECT m.* FROM onemap.metric_raw_of(device, $2, from_at, to_at) m ORDER BY m.observed_at) m;
    END IF;
    SELECT greatest(offline_after_s, 1.5 * percentile_disc(0.5) WITHIN GROUP (ORDER BY date_part('epoch', at[n] - at[n - 1]))),
        bool_or(floor((date_part('epoch', at[n - 1]) - begin_s) / step_s) = floor((date_part('epoch', at[n]) - begin_s) / step_s))
        INTO gap_s, together FROM generate_subscripts(at, 1) n;
    IF together IS NOT TRUE THEN
        SELECT string_agg(onemap.series_row(at[n], at[n - 1], gap_s, (good[n] IS NOT NULL)::int, good[n], good[n], good[n], good[n],
            (good[n] IS NULL)::int), '],[') INTO points FROM generate_subscripts(at, 1) n;
    END IF;
END $$;
COMMENT ON FUNCTION onemap.series_readings(int, int, timestamptz, timestamptz, int, float8) IS
    'Rows of raw readings as series_points() has them, if no two of them fall into one step; together: they do';

-- Two rows follow each other if the next reading came within gap_s of the last: the time after which such a device is offline, or
-- one and a half of its usual interval if that is longer. Planned once: partitions are left out when it begins, and of the three
-- sources those that are not meant. max() of [time, value] is the value of the latest time, without a sort.
CREATE OR REPLACE FUNCTION onemap.series_points(device int, ordinal int, from_at timestamptz, to_at timestamptz, resolution text,
    step_s int, offline_after_s float8, OUT gap_s float8, OUT points text)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    begin_s float8 := date_part('epoch', from_at); apart record;
    begin_day date := CASE WHEN resolution = 'daily' THEN onemap.local_time(from_at)::date END;
BEGIN
    IF resolution = 'raw' THEN
        apart := onemap.series_readings(device, $2, from_at, to_at, step_s, offline_after_s);
        IF apart.together IS NOT TRUE THEN
            gap_s := apart.gap_s; points := apart.points;
            RETURN;
        END IF;
    END IF;
    WITH atom AS (
        SELECT r.at, date_part('epoch', r.at) AS at_s, (r.good IS NOT NULL)::int AS n, r.good AS low, r.good AS high,
            r.good AS total, r.good AS last, (r.good IS NULL)::int AS flagged,
            floor((date_part('epoch', r.at) - begin_s) / step_s) AS slot
        FROM (SELECT m.observed_at AS at, CASE WHEN NOT m.flagged THEN m.value END AS good
              FROM onemap.metric_of(device, $2, from_at, to_at) m) r WHERE resolution = 'raw'
        UNION ALL
        SELECT h.hour, date_part('epoch', h.hour), coalesce(h.counts[$2], 0), h.minima[$2], h.maxima[$2], h.sums[$2], h.lasts[$2],
            onemap.hourly_flagged(h, $2)::int, floor((date_part('epoch', h.hour) - begin_s) / step_s)
        FROM onemap.observation_hourly h
        WHERE resolution = 'hourly' AND h.device_id = device AND h.hour >= from_at AND h.hour < to_at
        UNION ALL
        SELECT onemap.local_midnight(y.day), date_part('epoch', y.day), coalesce(y.counts[$2], 0), y.minima[$2], y.maxima[$2],
            y.sums[$2], y.lasts[$2], coalesce(y.flagged_above[$2], 0) + coalesce(y.flagged_below[$2], 0),
            (y.day - begin_day) / (step_s / 86400)
        FROM onemap.series_days(ARRAY[device], from_at, to_at) y WHERE resolution = 'daily'),
    bucket AS MATERIALIZED (
        SELECT min(a.at) AS first_at, lag(max(a.at)) OVER (ORDER BY a.slot) AS before_at, sum(a.n) AS n, min(a.low) AS low,
            CASE WHEN sum(a.n) > 1 THEN onemap.figure(sum(a.total) FILTER (WHERE a.n > 0) / sum(a.n))
                ELSE sum(a.total) FILTER (WHERE a.n > 0) END AS mean, max(a.high) FILTER (WHERE a.n > 0) AS high,
            (max(ARRAY[a.at_s, a.last]) FILTER (WHERE a.n > 0))[2] AS last, sum(a.flagged) AS flagged
        FROM atom a WHERE a.n > 0 OR a.flagged > 0 GROUP BY a.slot),
    pace AS (
        SELECT greatest(offline_after_s, 1.5 * percentile_disc(0.5) WITHIN GROUP (
            ORDER BY date_part('epoch', b.first_at - b.before_at))) AS gap_s FROM bucket b)
    SELECT min(x.gap_s), string_agg(x.row, '],[') INTO gap_s, points
    FROM (SELECT p.gap_s, onemap.series_row(b.first_at, b.before_at, p.gap_s, b.n, b.low, b.mean, b.high, b.last, b.flagged) AS row
          FROM pace p CROSS JOIN bucket b ORDER BY b.first_at) x;
END $$;
COMMENT ON FUNCTION onemap.series_points(int, int, timestamptz, timestamptz, text, int, float8) IS
    'Rows of a series, those that fall into one step together: see series_row(); gap_s: how long nothing comes before a row of '
    'nulls says so. Both NULL: there is no row';

-- How it plans goes for all that it calls: they do not set it again, which is work at each call.
CREATE OR REPLACE FUNCTION onemap.series_json(request jsonb, devices int[]) RETURNS json
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan SET jit = off AS $$
DECLARE s record := onemap.series_span(request, cardinality(devices)); series json;
BEGIN
    SELECT coalesce(json_agg(json_build_object('device', w.device_id, 'metric', w.metric, 'name_zh', w.name_zh, 'unit', w.unit,
        'gap_s', p.gap_s, 'points', coalesce('[[' || p.points || ']]', '[]')::json) ORDER BY array_position(devices, w.device_id),
            w.ordinal), '[]') INTO series
    FROM onemap.series_wanted(request, devices) w CROSS JOIN LATERAL onemap.series_points(w.device_id, w.ordinal, s.from_at,
        s.to_at, s.resolution, s.step_s, w.offline_after_s) p;
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
        body := onemap.series_json(request, ARRAY[(request->>'id')::int]);
        RETURN NEXT;
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
        RAISE EXCEPTION 'there is no device %', stray USING ERRCODE = 'CH013',
            DETAIL = format('没有设备 %s', stray), HINT = '设备编号见 /api/v1/devices。';
    END IF;
    RETURN QUERY SELECT onemap.series_json(request, devices);
END $$;
COMMENT ON FUNCTION onemap.http_series(jsonb) IS 'GET /api/v1/series: of several devices, see series_json()';
GRANT EXECUTE ON FUNCTION onemap.http_series(jsonb) TO cityhub_api;

-- The form of packed days, and how it is read. A device's day is one row of packed_record and a row of packed_series for each
-- column: times, delays and each metric. Whoever changes the form changes both ways in one step, and reads what was written before:
-- a county's years are in it.

CREATE OR REPLACE FUNCTION onemap.packed_ordinals(OUT observed int, OUT delay int, OUT quality int, OUT length int, OUT lon int,
    OUT lat int, OUT outside int)
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT -9, -8, -7, -6, -5, -4, -3 $$;
COMMENT ON FUNCTION onemap.packed_ordinals() IS
    'packed_series.ordinal of what is no metric: observed_at (microseconds since the day began), delay until received_at '
    '(microseconds), quality bits, number of elements of readings; of places lon, lat, and whether outside the county (1)';
GRANT EXECUTE ON FUNCTION onemap.packed_ordinals() TO cityhub_hub, cityhub_api, cityhub_read;

-- ---- reading ----

-- Without a search_path of its own, so that the planner takes it into the statement; several unnest() in one list go side by side.
-- What the column says of all its numbers is taken out of it once, not for each of them.
CREATE OR REPLACE FUNCTION onemap.series_decode(s onemap.packed_series, first_no int, last_no int)
RETURNS TABLE (no int, whole bigint, value float8) LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 1000 AS $$
    SELECT w.no, w.whole, CASE WHEN w.planes = 5 THEN w.exact ELSE w.whole / w.scale END
    FROM (SELECT x.no, x.exact, f.planes, f.scale, f.unit * (f.base + f.step * (x.no - 1) + CASE f.planes
                 WHEN 1 THEN nullif(x.low, -128)
                 WHEN 2 THEN nullif(x.mid, -128) * 256 + x.low
                 WHEN 3 THEN nullif(x.high, -128) * 65536 + x.mid * 256 + x.low
                 WHEN 4 THEN x.wide ELSE 0 END) AS whole
          FROM (SELECT (s).planes AS planes, (s).unit AS unit, (s).base AS base, (s).step AS step,
                       (s).scale AS scale OFFSET 0) f
          CROSS JOIN (SELECT pg_catalog.generate_series(first_no, last_no) AS no,
                       pg_catalog.unnest((s).low[first_no:last_no])::int AS low,
                       pg_catalog.unnest((s).mid[first_no:last_no])::int AS mid,
                       pg_catalog.unnest((s).high[first_no:last_no])::int AS high,
                       pg_catalog.unnest((s).wide[first_no:last_no]) AS wide,
                       pg_catalog.unnest((s).exact[first_no:last_no]) AS exact) x) w
$$;
COMMENT ON FUNCTION onemap.series_decode(onemap.packed_series, int, int) IS
    'Numbers first_no to last_no of a packed column: whole (times, delays, bits) or value (readings, degrees)';
GRANT EXECUTE ON FUNCTION onemap.series_decode(onemap.packed_series, int, int) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.series_search(s onemap.packed_series, count int, sought bigint) RETURNS int
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    low "char"[] := (s).low; mid "char"[] := (s).mid; high "char"[] := (s).high; wide bigint[] := (s).wide;
    base bigint := (s).base; step bigint := (s).step; unit int := (s).unit; planes smallint := (s).planes;
    first int := 1; past int := count + 1; n int; d bigint := 0::bigint;
BEGIN
    WHILE first < past LOOP
        n := (first + past) / 2;
        IF planes = 1 THEN
            d := low[n]::int::bigint;
        ELSIF planes = 2 THEN
            d := (mid[n]::int * 256 + low[n]::int)::bigint;
        ELSIF planes = 3 THEN
            d := (high[n]::int * 65536 + mid[n]::int * 256 + low[n]::int)::bigint;
        ELSIF planes = 4 THEN
            d := wide[n];
        END IF;
        IF unit * (base + step * (n - 1) + d) < sought THEN
            first := n + 1;
        ELSE
            past := n;
        END IF;
    END LOOP;
    RETURN first;
END $$;
COMMENT ON FUNCTION onemap.series_search(onemap.packed_series, int, bigint) IS
    'First number of a rising column of count that is not below the sought; count + 1 if there is none';
GRANT EXECUTE ON FUNCTION onemap.series_search(onemap.packed_series, int, bigint) TO cityhub_hub, cityhub_api, cityhub_read;

-- A rising column of even steps says within which numbers a value lies, without a look at them.
CREATE OR REPLACE FUNCTION onemap.series_first(s onemap.packed_series, sought bigint) RETURNS int
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN (s).step > 0 AND (s).planes < 4 THEN greatest(1, (sought / (s).unit - (s).base
        - CASE (s).planes WHEN 0 THEN 0 WHEN 1 THEN 127 WHEN 2 THEN 32639 ELSE 8355839 END) / (s).step)::int ELSE 1 END
$$;
COMMENT ON FUNCTION onemap.series_first(onemap.packed_series, bigint) IS
    'All numbers before this one are below the sought (at least 0)';
GRANT EXECUTE ON FUNCTION onemap.series_first(onemap.packed_series, bigint) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.series_last(s onemap.packed_series, sought bigint, count int) RETURNS int
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN (s).step > 0 AND (s).planes < 4 THEN least(count, (sought / (s).unit - (s).base
        + CASE (s).planes WHEN 0 THEN 0 WHEN 1 THEN 127 WHEN 2 THEN 32639 ELSE 8355839 END) / (s).step + 2)::int ELSE count END
$$;
COMMENT ON FUNCTION onemap.series_last(onemap.packed_series, bigint, int) IS
    'All numbers of count after this one are above the sought';
GRANT EXECUTE ON FUNCTION onemap.series_last(onemap.packed_series, bigint, int) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.day_offset(at timestamptz, day date) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN at < day::timestamp AT TIME ZONE 'UTC' THEN -1
        WHEN at > (day + 1)::timestamp AT TIME ZONE 'UTC' THEN 86400000001
        ELSE round(date_part('epoch', at - day::timestamp AT TIME ZONE 'UTC') * 1000000)::bigint END
$$;
COMMENT ON FUNCTION onemap.day_offset(timestamptz, date) IS
    'Microseconds since the UTC day began; -1 before it, one more than a day has after it';
GRANT EXECUTE ON FUNCTION onemap.day_offset(timestamptz, date) TO cityhub_hub, cityhub_api, cityhub_read;

-- One metric of a day, and nothing else of it is looked at; as in series_decode, what is said of all numbers is taken out once
-- (0.75 of the time). OFFSET 0: and each value is computed once, not once for each use of it.
CREATE OR REPLACE FUNCTION onemap.metric_decode(day date, lifted int[], t onemap.packed_series, m onemap.packed_series,
    q onemap.packed_series, ordinal int, first_no int, last_no int, since bigint, past bigint)
RETURNS TABLE (observed_at timestamptz, value float8, flagged boolean) LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 1000 AS $$
    SELECT day::timestamp AT TIME ZONE 'UTC' + w.moment * interval '1 microsecond', w.value, w.flagged
    FROM (SELECT x.no,
                 f.t_unit * (f.t_base + f.t_step * (x.no - 1) + CASE f.t_planes WHEN 1 THEN x.t_low
                     WHEN 2 THEN x.t_mid * 256 + x.t_low WHEN 3 THEN x.t_high * 65536 + x.t_mid * 256 + x.t_low
                     WHEN 4 THEN x.t_wide ELSE 0 END) AS moment,
                 CASE f.planes WHEN 5 THEN x.exact ELSE (f.base + f.step * (x.no - 1) + CASE f.planes
                     WHEN 1 THEN nullif(x.low, -128) WHEN 2 THEN nullif(x.mid, -128) * 256 + x.low
                     WHEN 3 THEN nullif(x.high, -128) * 65536 + x.mid * 256 + x.low
                     WHEN 4 THEN x.wide ELSE 0 END) / f.scale END AS value,
                 f.q_planes IS NOT NULL AND coalesce((f.q_base + f.q_step * (x.no - 1) + CASE f.q_planes
                     WHEN 1 THEN nullif(x.q_low, -128) WHEN 2 THEN nullif(x.q_mid, -128) * 256 + x.q_low
                     WHEN 3 THEN nullif(x.q_high, -128) * 65536 + x.q_mid * 256 + x.q_low
                     WHEN 4 THEN x.q_wide ELSE 0 END) & f.bit <> 0, false) AS flagged
          FROM (SELECT (t).unit AS t_unit, (t).base AS t_base, (t).step AS t_step, (t).planes AS t_planes,
                       (m).base AS base, (m).step AS step, (m).planes AS planes, (m).scale AS scale,
                       (q).base AS q_base, (q).step AS q_step, (q).planes AS q_planes,
                       1::bigint << (ordinal - 1) AS bit OFFSET 0) f
          CROSS JOIN (SELECT pg_catalog.generate_series(first_no, last_no) AS no,
                       pg_catalog.unnest((t).low[first_no:last_no])::int AS t_low,
                       pg_catalog.unnest((t).mid[first_no:last_no])::int AS t_mid,
                       pg_catalog.unnest((t).high[first_no:last_no])::int AS t_high,
                       pg_catalog.unnest((t).wide[first_no:last_no]) AS t_wide,
                       pg_catalog.unnest((m).low[first_no:last_no])::int AS low,
                       pg_catalog.unnest((m).mid[first_no:last_no])::int AS mid,
                       pg_catalog.unnest((m).high[first_no:last_no])::int AS high,
                       pg_catalog.unnest((m).wide[first_no:last_no]) AS wide,
                       pg_catalog.unnest((m).exact[first_no:last_no]) AS exact,
                       pg_catalog.unnest((q).low[first_no:last_no])::int AS q_low,
                       pg_catalog.unnest((q).mid[first_no:last_no])::int AS q_mid,
                       pg_catalog.unnest((q).high[first_no:last_no])::int AS q_high,
                       pg_catalog.unnest((q).wide[first_no:last_no]) AS q_wide) x OFFSET 0) w
    WHERE w.moment >= since AND w.moment < past AND w.value IS NOT NULL AND (lifted IS NULL OR w.no <> ALL (lifted))
$$;
COMMENT ON FUNCTION onemap.metric_decode(date, int[], onemap.packed_series, onemap.packed_series, onemap.packed_series, int, int,
    int, bigint, bigint) IS
    'Readings of one metric of a packed day: t its times, m its values, q its quality bits (NULL = none are set); numbers first_no '
    'to last_no, of them those from since to before past (microseconds since the day began)';
GRANT EXECUTE ON FUNCTION onemap.metric_decode(date, int[], onemap.packed_series, onemap.packed_series, onemap.packed_series, int,
    int, int, bigint, bigint) TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.metric_window(t onemap.packed_series, records int, day date, from_at timestamptz,
    to_at timestamptz)
RETURNS TABLE (first_no int, last_no int, since bigint, past bigint) LANGUAGE sql IMMUTABLE PARALLEL SAFE ROWS 1 AS $$
    SELECT onemap.series_first(t, o.since), onemap.series_last(t, o.past, records), o.since, o.past
    FROM (SELECT greatest(onemap.day_offset(from_at, day), 0) AS since, onemap.day_offset(to_at, day) AS past OFFSET 0) o OFFSET 0
$$;
COMMENT ON FUNCTION onemap.metric_window(onemap.packed_series, int, date, timestamptz, timestamptz) IS
    'Which numbers of a packed day may be of a time, by its column of times, and the time as microseconds since the day began';
GRANT EXECUTE ON FUNCTION onemap.metric_window(onemap.packed_series, int, date, timestamptz, timestamptz)
    TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.packed_span(times onemap.packed_series, records int, day date, from_at timestamptz,
    to_at timestamptz, OUT first_no int, OUT last_no int)
LANGUAGE plpgsql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- The whole day, which most ask for, needs no search.
    first_no := CASE WHEN from_at > day::timestamp AT TIME ZONE 'UTC'
        THEN onemap.series_search(times, records, onemap.day_offset(from_at, day)) ELSE 1 END;
    last_no := CASE WHEN to_at < (day + 1)::timestamp AT TIME ZONE 'UTC'
        THEN onemap.series_search(times, records, onemap.day_offset(to_at, day)) - 1 ELSE records END;
END $$;
COMMENT ON FUNCTION onemap.packed_span(onemap.packed_series, int, date, timestamptz, timestamptz) IS
    'The numbers of a packed day''s records from from_at to before to_at, by its column of times; first_no > last_no: none';
GRANT EXECUTE ON FUNCTION onemap.packed_span(onemap.packed_series, int, date, timestamptz, timestamptz)
    TO cityhub_hub, cityhub_api, cityhub_read;

-- Column by column into arrays, then record by record out of them: within plpgsql an element is found at once.
CREATE OR REPLACE FUNCTION onemap.observation_unpack(p onemap.packed_record, from_at timestamptz, to_at timestamptz)
RETURNS TABLE (no int, observed_at timestamptz, received_at timestamptz, readings float8[], quality bigint, attributes jsonb)
LANGUAGE plpgsql STABLE PARALLEL SAFE COST 1000 ROWS 1000 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    midnight timestamptz := p.day::timestamp AT TIME ZONE 'UTC'; us interval := interval '1 microsecond';
    texts jsonb[] := p.attributes; a int := 1; b int := p.records; n int; s onemap.packed_series;
    times bigint[]; delays bigint[]; bits bigint[]; lengths bigint[]; flat float8[] := '{}'::float8[];
BEGIN
    FOR s IN SELECT x.* FROM onemap.packed_series x
             WHERE x.device_id = p.device_id AND x.kind = p.kind AND x.day = p.day ORDER BY x.ordinal LOOP
        IF s.ordinal > 0 THEN
            flat := flat || ARRAY(SELECT v.value FROM onemap.series_decode(s, a, b) v);
        ELSIF s.ordinal = -9 THEN
            SELECT x.first_no, x.last_no INTO a, b FROM onemap.packed_span(s, p.records, p.day, from_at, to_at) x;
            EXIT WHEN a > b;
            times := ARRAY(SELECT v.whole FROM onemap.series_decode(s, a, b) v);
        ELSIF s.ordinal = -8 THEN
            delays := ARRAY(SELECT v.whole FROM onemap.series_decode(s, a, b) v);
        ELSIF s.ordinal = -7 THEN
            bits := ARRAY(SELECT v.whole FROM onemap.series_decode(s, a, b) v);
        ELSE
            lengths := ARRAY(SELECT v.whole FROM onemap.series_decode(s, a, b) v);
        END IF;
    END LOOP;
    n := b - a + 1;
    RETURN QUERY SELECT a + i - 1, midnight + times[i] * us, midnight + (times[i] + delays[i]) * us,
        ARRAY(SELECT flat[(o - 1) * n + i] FROM generate_series(1, lengths[i]::int) o), bits[i], texts[a + i - 1]
        FROM generate_series(1, n) i WHERE p.lifted IS NULL OR a + i - 1 <> ALL (p.lifted);
END $$;
COMMENT ON FUNCTION onemap.observation_unpack(onemap.packed_record, timestamptz, timestamptz) IS
    'The records of a packed day from from_at to before to_at, without those that are lifted; no: their numbers in the day';
GRANT EXECUTE ON FUNCTION onemap.observation_unpack(onemap.packed_record, timestamptz, timestamptz)
    TO cityhub_hub, cityhub_api, cityhub_read;

CREATE OR REPLACE FUNCTION onemap.track_point_unpack(p onemap.packed_record, from_at timestamptz, to_at timestamptz)
RETURNS TABLE (no int, observed_at timestamptz, received_at timestamptz, geom public.geometry, geom_outside public.geometry)
LANGUAGE plpgsql STABLE PARALLEL SAFE COST 1000 ROWS 1000 SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    midnight timestamptz := p.day::timestamp AT TIME ZONE 'UTC'; us interval := interval '1 microsecond';
    a int := 1; b int := p.records; s onemap.packed_series;
    times bigint[]; delays bigint[]; lons float8[]; lats float8[]; outside bigint[];
BEGIN
    FOR s IN SELECT x.* FROM onemap.packed_series x
             WHERE x.device_id = p.device_id AND x.kind = p.kind AND x.day = p.day ORDER BY x.ordinal LOOP
        IF s.ordinal = -9 THEN
            SELECT x.first_no, x.last_no INTO a, b FROM onemap.packed_span(s, p.records, p.day, from_at, to_at) x;
            EXIT WHEN a > b;
            times := ARRAY(SELECT v.whole FROM onemap.series_decode(s, a, b) v);
        ELSIF s.ordinal = -8 THEN
            delays := ARRAY(SELECT v.whole FROM onemap.series_decode(s, a, b) v);
        ELSIF s.ordinal = -5 THEN
            lons := ARRAY(SELECT v.value FROM onemap.series_decode(s, a, b) v);
        ELSIF s.ordinal = -4 THEN
            lats := ARRAY(SELECT v.value FROM onemap.series_decode(s, a, b) v);
        ELSE
            outside := ARRAY(SELECT v.whole FROM onemap.series_decode(s, a, b) v);
        END IF;
    END LOOP;
    RETURN QUERY SELECT x.no, x.observed_at, x.received_at, CASE WHEN x.outside = 0 THEN x.place END,
        CASE WHEN x.outside = 1 THEN x.place END
        FROM (SELECT a + i - 1 AS no, midnight + times[i] * us AS observed_at,
                     midnight + (times[i] + delays[i]) * us AS received_at,
                     public.ST_SetSRID(public.ST_MakePoint(lons[i], lats[i]), 4326) AS place, outside[i] AS outside
              FROM generate_series(1, b - a + 1) i WHERE p.lifted IS NULL OR a + i - 1 <> ALL (p.lifted)) x;
END $$;
COMMENT ON FUNCTION onemap.track_point_unpack(onemap.packed_record, timestamptz, timestamptz) IS
    'The places of a packed day from from_at to before to_at, without those that are lifted';
GRANT EXECUTE ON FUNCTION onemap.track_point_unpack(onemap.packed_record, timestamptz, timestamptz)
    TO cityhub_hub, cityhub_api, cityhub_read;

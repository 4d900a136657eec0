-- What the route of tracks answers: where a moving thing was, in pieces between gaps, simplified to what a zoom can show, and where
-- it stood still.

CREATE OR REPLACE FUNCTION onemap.track_readings(device int, from_at timestamptz, to_at timestamptz)
RETURNS TABLE (observed_at timestamptz, geom public.geometry)
LANGUAGE sql STABLE PARALLEL SAFE AS $$
    SELECT p.observed_at, p.geom FROM onemap.track_point_of(device, from_at, to_at) p WHERE p.geom IS NOT NULL
$$;
COMMENT ON FUNCTION onemap.track_readings(int, timestamptz, timestamptz) IS
    'A device''s places in the county from a moment to before another: the one place where tracks read them';

-- A stop begins at a place and lasts while each next place is within so many metres of it.
CREATE OR REPLACE FUNCTION onemap.track_stops(times timestamptz[], places public.geometry[], metres float8, least_s float8,
    gap_s float8)
RETURNS TABLE (from_at timestamptz, to_at timestamptz, place public.geometry)
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE first int := 1;
BEGIN
    FOR i IN 2..coalesce(cardinality(times), 0) + 1 LOOP
        CONTINUE WHEN i <= cardinality(times) AND public.ST_DistanceSphere(places[first], places[i]) <= metres
            AND times[i] <= times[i - 1] + make_interval(secs => gap_s);
        IF times[i - 1] >= times[first] + make_interval(secs => least_s) THEN
            from_at := times[first]; to_at := times[i - 1]; place := places[first];
            RETURN NEXT;
        END IF;
        first := i;
    END LOOP;
END $$;
COMMENT ON FUNCTION onemap.track_stops(timestamptz[], public.geometry[], float8, float8, float8) IS
    'Stops in places ordered by time: at least so many seconds within so many metres, never over a gap; the place is the first one';

CREATE OR REPLACE FUNCTION onemap.track_json(device int, from_at timestamptz, to_at timestamptz, zoom int, gap_s float8,
    stop_m float8,
    stop_s float8)
RETURNS json
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE times timestamptz[]; places public.geometry[]; segments json; stops json; tolerance float8 := 360.0 / 256 / 2 ^ zoom;
BEGIN
    SELECT array_agg(r.observed_at ORDER BY r.observed_at), array_agg(r.geom ORDER BY r.observed_at) INTO times, places
    FROM onemap.track_readings(device, from_at, to_at) r;
    WITH fix AS (SELECT f.at, f.place, lag(f.at) OVER (ORDER BY f.at) AS before_at
                 FROM unnest(times, places) f (at, place)),
    piece AS (SELECT f.at, f.place,
                  count(*) FILTER (WHERE f.at > f.before_at + make_interval(secs => gap_s)) OVER (ORDER BY f.at) AS number
              FROM fix f),
    line AS (SELECT p.number, public.ST_MakeLine(public.ST_SetSRID(public.ST_MakePointM(public.ST_X(p.place), public.ST_Y(p.place),
                 onemap.http_ms(p.at)), 4326) ORDER BY p.at) AS line FROM piece p GROUP BY p.number),
    shown AS (SELECT l.number, d.path[1] AS place, d.geom
              FROM line l CROSS JOIN LATERAL public.ST_DumpPoints(CASE WHEN public.ST_NPoints(l.line) > 2
                  THEN public.ST_Simplify(l.line, tolerance, true) ELSE l.line END) d),
    segment AS (SELECT s.number, json_agg(json_build_array(round(public.ST_X(s.geom)::numeric, 7),
        round(public.ST_Y(s.geom)::numeric, 7),
                    public.ST_M(s.geom)::bigint) ORDER BY s.place) AS points FROM shown s GROUP BY s.number)
    SELECT coalesce(json_agg(s.points ORDER BY s.number), '[]') INTO segments FROM segment s;
    SELECT coalesce(json_agg(json_build_object('lon', public.ST_X(t.place), 'lat', public.ST_Y(t.place), 'from', t.from_at, 'to',
        t.to_at,
        'seconds', extract(epoch FROM t.to_at - t.from_at)::int) ORDER BY t.from_at), '[]') INTO stops
    FROM onemap.track_stops(times, places, stop_m, stop_s, gap_s) t;
    RETURN json_build_object('device', device, 'from', from_at, 'to', to_at, 'time_zone', onemap.time_zone(), 'gap_s', gap_s,
        'fixes', coalesce(cardinality(times), 0), 'columns', '["lon","lat","at_ms"]'::json, 'segments', segments, 'stops', stops);
END $$;
COMMENT ON FUNCTION onemap.track_json(int, timestamptz, timestamptz, int, float8, float8, float8) IS
    'A track: segments of [lon, lat, at_ms], a new one after each gap of more than gap_s, simplified to a pixel of the zoom (256 '
    'pixels a tile); fixes: how many places there were; stops: where it stood';

CREATE OR REPLACE FUNCTION onemap.http_device_track(request jsonb) RETURNS TABLE (body json)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE device int := (request->>'id')::int; from_at timestamptz; to_at timestamptz; gap_s float8;
BEGIN
    IF NOT onemap.http_device_seen(request, device) THEN
        RETURN;
    END IF;
    PERFORM onemap.http_check(request);
    to_at := coalesce(onemap.http_time(request, 'to'), now());
    from_at := coalesce(onemap.http_time(request, 'from'), to_at - interval '1 day');
    IF from_at >= to_at OR to_at > from_at + interval '31 days' THEN
        RAISE EXCEPTION 'a track is of 31 days at the most, from before to' USING ERRCODE = 'CH013',
            DETAIL = '轨迹最长 31 天，from 须早于 to',
            HINT = '轨迹查询最长 31 天，from 须早于 to。';
    END IF;
    SELECT coalesce(extract(epoch FROM k.offline_after), 600)::float8 INTO gap_s
    FROM onemap.device d LEFT JOIN onemap.device_kind k ON k.subsystem = d.subsystem AND k.key = d.kind WHERE d.id = device;
    RETURN QUERY SELECT onemap.track_json(device, from_at, to_at, (request->>'zoom')::int, gap_s, (request->>'stop_m')::float8,
        (request->>'stop_s')::float8);
END $$;
COMMENT ON FUNCTION onemap.http_device_track(jsonb) IS 'GET /api/v1/devices/{id}/track: see track_json(); no row: no such device';
GRANT EXECUTE ON FUNCTION onemap.http_device_track(jsonb) TO cityhub_api;

-- What the HTTP server's routes answer: one function a route, http_<name>(request jsonb). The request holds the parameters
-- that the server has checked against the route's row (hub/http/routes_*.c), defaults filled in. Columns of the answer: body
-- (text, json or bytea), and optionally etag, status, location (hub/http/query.h). No row: 404. The server calls them as
-- cityhub_api, in read-only transactions unless the route writes. Nothing here changes anything.

CREATE OR REPLACE FUNCTION onemap.http_subsystem(subsystem text) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT json_build_object('key', s.key, 'name_zh', s.name_zh,
        'kinds', (SELECT coalesce(json_agg(json_build_object('key', k.key, 'name_zh', k.name_zh, 'mobile', k.mobile)
                      ORDER BY k.key), '[]')
                  FROM onemap.device_kind k WHERE k.subsystem = s.key),
        'metrics', (SELECT coalesce(json_agg(json_build_object('key', m.key, 'name_zh', m.name_zh, 'unit', m.unit,
                        'kind', m.kind, 'minimum', m.min_value, 'maximum', m.max_value) ORDER BY m.ordinal), '[]')
                    FROM onemap.metric m WHERE m.subsystem = s.key))
    FROM onemap.subsystem s WHERE s.key = $1
$$;
COMMENT ON FUNCTION onemap.http_subsystem(text) IS
    'One subsystem as the routes show it: {key, name_zh, kinds, metrics}; NULL if there is none';

CREATE OR REPLACE FUNCTION onemap.http_subsystems(request jsonb) RETURNS TABLE (body json)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT json_build_object('subsystems', coalesce(json_agg(onemap.http_subsystem(s.key) ORDER BY s.key), '[]'))
    FROM onemap.subsystem s WHERE request IS NOT NULL
$$;
COMMENT ON FUNCTION onemap.http_subsystems(jsonb) IS
    'GET /api/v1/subsystems: {subsystems: [{key, name_zh, kinds, metrics}]}';
GRANT EXECUTE ON FUNCTION onemap.http_subsystems(jsonb) TO cityhub_api;

CREATE OR REPLACE FUNCTION onemap.http_readings(subsystem text, readings float8[], reading_times timestamptz[], quality bigint)
RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT json_object_agg(m.key, json_build_object('value', readings[m.ordinal], 'at', reading_times[m.ordinal],
        'good', onemap.reading_good(readings, quality, m.ordinal) IS NOT NULL) ORDER BY m.ordinal)
    FROM onemap.metric m WHERE m.subsystem = $1 AND readings[m.ordinal] IS NOT NULL
$$;
COMMENT ON FUNCTION onemap.http_readings(text, float8[], timestamptz[], bigint) IS
    'Last readings as {metric: {value, at, good}}; good: within the physical range; NULL if there is none';

CREATE OR REPLACE FUNCTION onemap.http_devices(request jsonb) RETURNS TABLE (body json)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    wanted text := request->>'subsystem';
    most int := (request->>'limit')::int;
    behind int := (request->>'after')::int;
    wanted_kind text := request->>'kind';
    wanted_online boolean := (request->>'online')::boolean;
BEGIN
    IF NOT EXISTS (SELECT FROM onemap.subsystem s WHERE s.key = wanted) THEN
        RETURN;
    END IF;
    RETURN QUERY
    WITH page AS MATERIALIZED (
        SELECT d.id, d.vendor, d.code, d.kind, d.name_zh, d.status, d.grid_cell, d.department_id,
            coalesce(s.geom, d.geom) AS place, coalesce(s.online, false) AS online, s.last_seen_at, s.readings, s.reading_times,
            s.quality
        FROM onemap.device d LEFT JOIN onemap.device_state s ON s.device_id = d.id
        WHERE d.subsystem = wanted AND d.id > behind AND (wanted_kind IS NULL OR d.kind = wanted_kind)
            AND (wanted_online IS NULL OR coalesce(s.online, false) = wanted_online)
        ORDER BY d.id LIMIT most
    )
    SELECT json_build_object(
        'devices', coalesce(json_agg(json_build_object('id', p.id, 'vendor', p.vendor, 'code', p.code, 'kind', p.kind,
            'name_zh', p.name_zh, 'status', p.status, 'lon', public.ST_X(p.place), 'lat', public.ST_Y(p.place),
            'grid_cell', p.grid_cell, 'department', u.code, 'online', p.online, 'last_seen_at', p.last_seen_at,
            'readings', onemap.http_readings(wanted, p.readings, p.reading_times, p.quality)) ORDER BY p.id), '[]'),
        'next', CASE WHEN count(*) = most THEN max(p.id) END)
    FROM page p LEFT JOIN onemap.department u ON u.id = p.department_id;
END $$;
COMMENT ON FUNCTION onemap.http_devices(jsonb) IS
    'GET /api/v1/subsystems/{subsystem}/devices: {devices, next}; next: to go on behind, NULL on the last page; no row: no such '
    'subsystem';
GRANT EXECUTE ON FUNCTION onemap.http_devices(jsonb) TO cityhub_api;

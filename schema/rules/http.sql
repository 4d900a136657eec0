-- What the HTTP server's routes answer: one function a route, http_<name>(request jsonb). The request holds the parameters
-- that the server has checked against the route's row (hub/http/routes_*.c), defaults filled in. Columns of the answer: body
-- (text, json or bytea), and optionally etag, status, location (hub/http/query.h). No row: 404. The server calls them as
-- cityhub_api, in read-only transactions unless the route writes. Nothing here changes anything.

-- ---- what many lists share ----

-- As the commands' lists do (text_is_formula in hub/base/text.c): what a spreadsheet would calculate, in wide forms too, gets a '
-- in front; plain numbers stay.
CREATE OR REPLACE FUNCTION onemap.http_csv_cell(cell text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN c.text ~ '[",\r\n]' THEN '"' || replace(c.text, '"', '""') || '"' ELSE c.text END
    FROM (SELECT CASE WHEN cell ~ '^[\t\r\n]' OR cell ~ '^[=@＝＠＋－].'
            OR cell ~ '^[+-].' AND cell !~ '^[+-][0-9.]+([eE][+-]?[0-9.]+)?$' THEN '''' || cell
            ELSE coalesce(cell, '') END) c (text)
$$;
COMMENT ON FUNCTION onemap.http_csv_cell(text) IS 'One cell of CSV (RFC 4180); what a spreadsheet would calculate is made text';

CREATE OR REPLACE FUNCTION onemap.http_csv_line(VARIADIC cells text[]) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT string_agg(onemap.http_csv_cell(c.cell), ',' ORDER BY c.place) || E'\r\n'
    FROM unnest(cells) WITH ORDINALITY AS c (cell, place)
$$;
COMMENT ON FUNCTION onemap.http_csv_line(text[]) IS 'A line of CSV with its end: every list''s lines are made here';

CREATE OR REPLACE FUNCTION onemap.http_csv_head(request jsonb, VARIADIC cells text[]) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN (request->>'bom')::boolean THEN U&'\FEFF' ELSE '' END || onemap.http_csv_line(VARIADIC cells)
$$;
COMMENT ON FUNCTION onemap.http_csv_head(jsonb, text[]) IS
    'The first line of CSV; bom: with a byte order mark, by which spreadsheets know UTF-8';

CREATE OR REPLACE FUNCTION onemap.http_moment(request jsonb, key text, ends boolean) RETURNS timestamptz
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN length(request->>key) = 10 THEN onemap.local_midnight((request->>key)::date + ends::int)
        ELSE (request->>key)::timestamptz END
$$;
COMMENT ON FUNCTION onemap.http_moment(jsonb, text, boolean) IS
    'A parameter that is a time: a day alone is where the county''s day begins, or, of what ends, where it is over';

CREATE OR REPLACE FUNCTION onemap.http_in_box(place public.geometry, box jsonb) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN (box->>0)::float8 <= (box->>2)::float8
        THEN place OPERATOR(public.&&) public.ST_MakeEnvelope((box->>0)::float8, (box->>1)::float8, (box->>2)::float8,
            (box->>3)::float8, 4326)
        ELSE place OPERATOR(public.&&) public.ST_MakeEnvelope((box->>0)::float8, (box->>1)::float8, 180, (box->>3)::float8, 4326)
            OR place OPERATOR(public.&&) public.ST_MakeEnvelope(-180, (box->>1)::float8, (box->>2)::float8, (box->>3)::float8, 4326)
        END
$$;
COMMENT ON FUNCTION onemap.http_in_box(public.geometry, jsonb) IS
    'Whether a point is in [west, south, east, north]; west > east: over the date line';

CREATE OR REPLACE FUNCTION onemap.http_department_codes(request jsonb) RETURNS text[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN m.mine IS NOT NULL THEN ARRAY(SELECT d.code FROM onemap.department d WHERE d.id = ANY (m.mine)) END
    FROM (SELECT onemap.identity_departments(request) AS mine) m
$$;
COMMENT ON FUNCTION onemap.http_department_codes(jsonb) IS
    'identity_departments() by code, for journals and scores, which name departments so; NULL: all';

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

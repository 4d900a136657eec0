-- What no map can show (不可落图), over HTTP: devices, open cases and records in quarantine whose place is none, is not the
-- county's, or is not trusted by who sent it; how many, for which reason, and which. Nothing is put right here. Row functions
-- pin no search path: the planner looks into them.

CREATE OR REPLACE FUNCTION onemap.place_flaws() RETURNS TABLE ("position" int, flaw text, name_zh text)
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    VALUES (1, 'none', '没有位置'), (2, 'zero', '未定位（0,0）'), (3, 'exchanged', '经纬度写反'), (4, 'sign', '正负号不对'),
        (5, 'outside', '在县域之外'), (6, 'doubtful', '厂商注明不可信'), (7, 'system', '没写坐标系'), (8, 'unreadable', '写得不对')
$$;
COMMENT ON FUNCTION onemap.place_flaws() IS 'What can be wrong with a place, in the order of lists';

CREATE OR REPLACE FUNCTION onemap.unplaced_kinds() RETURNS TABLE ("position" int, what text, name_zh text)
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    VALUES (1, 'device', '设备'), (2, 'case', '未结案卷'), (3, 'message', '隔离的消息')
$$;
COMMENT ON FUNCTION onemap.unplaced_kinds() IS 'What can be without a place on the map, in the order of lists';

-- As the hub's decoder guesses (decode_place.c).
CREATE OR REPLACE FUNCTION onemap.place_flaw_of(lon float8, lat float8, marked boolean, west float8, south float8, east float8,
    north float8) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN lon IS NULL OR lat IS NULL THEN 'none'
        WHEN lon BETWEEN west AND east AND lat BETWEEN south AND north THEN CASE WHEN marked THEN 'doubtful' END
        WHEN abs(lon) < 1 AND abs(lat) < 1 OR lon = 0 OR lat = 0 THEN 'zero'
        WHEN lat BETWEEN west AND east AND lon BETWEEN south AND north THEN 'exchanged'
        WHEN abs(lon) BETWEEN west AND east AND abs(lat) BETWEEN south AND north THEN 'sign' ELSE 'outside' END
$$;
COMMENT ON FUNCTION onemap.place_flaw_of(float8, float8, boolean, float8, float8, float8, float8) IS
    'What is wrong with a place (place_flaws), NULL: nothing; marked: it was stored with a mark; then the county''s extent';

CREATE OR REPLACE FUNCTION onemap.place_flaw_told(code text, reason text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN code = 'missing_coordinate_system' THEN 'system' WHEN reason LIKE '%exchanged%' THEN 'exchanged'
        WHEN reason LIKE '%without a fix%' OR reason LIKE '%is 0%' THEN 'zero' WHEN reason LIKE '%sign%' THEN 'sign'
        WHEN reason LIKE '%doubt%' THEN 'doubtful' WHEN code = 'place_outside' THEN 'outside'
        WHEN reason LIKE '%lon and no lat%' THEN 'none' ELSE 'unreadable' END
$$;
COMMENT ON FUNCTION onemap.place_flaw_told(text, text) IS 'The same of a problem that the hub has told of: its code and reason';

CREATE OR REPLACE FUNCTION onemap.unplaced_devices(seen int[])
RETURNS TABLE (id int, flaw text, lon float8, lat float8, at timestamptz, shown boolean)
LANGUAGE sql STABLE AS $$
    SELECT p.id, f.flaw, public.ST_X(p.said), public.ST_Y(p.said), p.at, p.stands IS NOT NULL AND p.marked
    FROM onemap.county_extent() e, (
        SELECT d.id, coalesce(s.geom, d.geom) AS stands, coalesce(t.geom_outside, d.geom_outside, s.geom, d.geom) AS said,
               coalesce(t.geom_outside, d.geom_outside) IS NOT NULL AS marked,
               coalesce(t.observed_at, s.observed_at) AS at
        FROM onemap.device d
        LEFT JOIN onemap.device_state s ON s.device_id = d.id
        LEFT JOIN onemap.device_kind k ON k.subsystem = d.subsystem AND k.key = d.kind AND k.mobile
        -- Of what moves the last word of a day: what was said before that, a later place has answered or nobody waits for.
        LEFT JOIN LATERAL (
            SELECT r.observed_at, r.geom_outside FROM onemap.track_point_raw r
            WHERE k.key IS NOT NULL AND r.device_id = d.id AND r.observed_at > now() - interval '1 day'
            ORDER BY r.observed_at DESC LIMIT 1) t ON t.geom_outside IS NOT NULL
        WHERE d.status <> 'retired' AND onemap.http_sees(seen, d.department_id)) p
    CROSS JOIN LATERAL (SELECT onemap.place_flaw_of(public.ST_X(p.said), public.ST_Y(p.said), p.marked, e.min_lon, e.min_lat,
        e.max_lon, e.max_lat) AS flaw) f
    WHERE f.flaw IS NOT NULL
$$;
COMMENT ON FUNCTION onemap.unplaced_devices(int[]) IS
    'Devices without a place that is the county''s, for who sees these departments; lon, lat: what was said last; shown: '
    'the map has it at an earlier place';

CREATE OR REPLACE FUNCTION onemap.unplaced_cases(seen int[]) RETURNS TABLE (id bigint, flaw text, lon float8, lat float8)
LANGUAGE sql STABLE AS $$
    SELECT r.id, f.flaw, public.ST_X(r.geom), public.ST_Y(r.geom)
    FROM onemap.county_extent() e, onemap.case_record r
    CROSS JOIN LATERAL (SELECT onemap.place_flaw_of(public.ST_X(r.geom), public.ST_Y(r.geom), false, e.min_lon, e.min_lat,
        e.max_lon, e.max_lat) AS flaw) f
    WHERE r.ended_at IS NULL AND f.flaw IS NOT NULL AND onemap.http_sees(seen, r.department_id)
$$;
COMMENT ON FUNCTION onemap.unplaced_cases(int[]) IS 'Open cases without a place that is the county''s';

CREATE OR REPLACE FUNCTION onemap.unplaced_messages(request jsonb)
RETURNS TABLE (id bigint, flaw text, reason text, records int)
LANGUAGE sql STABLE AS $$
    SELECT q.id, onemap.place_flaw_told(p.codes[1], p.reasons[1]), p.reasons[1], cardinality(p.codes)
    FROM onemap.http_quarantine_rows(request) o JOIN onemap.quarantine q ON q.id = o.id
    CROSS JOIN LATERAL (
        SELECT array_agg(x.p->>'code' ORDER BY x.n) AS codes, array_agg(x.p->>'reason' ORDER BY x.n) AS reasons
        FROM jsonb_array_elements(q.problems) WITH ORDINALITY x (p, n)
        WHERE x.p->>'code' IN ('bad_position', 'place_outside', 'missing_coordinate_system')) p
    WHERE o.replayed_at IS NULL AND p.codes IS NOT NULL AND (SELECT onemap.identity(request)->'rights' ? 'operate')
$$;
COMMENT ON FUNCTION onemap.unplaced_messages(jsonb) IS
    'Quarantined messages of which records were refused, or left without a place, for what their place says; for who may see '
    'quarantine; records: how many of the message';

CREATE OR REPLACE FUNCTION onemap.http_unplaced_counts(request jsonb) RETURNS TABLE (body json)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
    WITH counted AS (
        SELECT 'device' AS what, d.flaw, count(*) AS n
        FROM onemap.unplaced_devices((SELECT onemap.identity_departments(request))) d GROUP BY d.flaw
        UNION ALL
        SELECT 'case', c.flaw, count(*)
        FROM onemap.unplaced_cases((SELECT onemap.identity_departments(request))) c GROUP BY c.flaw
        UNION ALL
        SELECT 'message', m.flaw, count(*) FROM onemap.unplaced_messages(request) m GROUP BY m.flaw)
    SELECT json_build_object('total', (SELECT coalesce(sum(c.n), 0) FROM counted c),
        'counts', (SELECT coalesce(json_agg(json_build_object('what', c.what, 'what_zh', k.name_zh, 'flaw', c.flaw,
            'flaw_zh', f.name_zh, 'count', c.n) ORDER BY k."position", f."position"), '[]')
            FROM counted c JOIN onemap.unplaced_kinds() k ON k.what = c.what JOIN onemap.place_flaws() f ON f.flaw = c.flaw))
$$;
COMMENT ON FUNCTION onemap.http_unplaced_counts(jsonb) IS
    'GET /api/v1/unplaced/counts: {total, counts: [{what, flaw, count}]}: what the map cannot show, and why; each opens its list';

-- Which message a place came by is not kept with the place: of its vendor's messages among the last that are in quarantine for a
-- place, the newest that names the device. They are read once for the page.
CREATE OR REPLACE FUNCTION onemap.unplaced_device_page(request jsonb) RETURNS TABLE (id bigint, thing jsonb)
LANGUAGE sql STABLE AS $$
    WITH message AS MATERIALIZED (
        SELECT q.id, q.subsystem, q.vendor, substring(q.payload FROM 1 FOR 65536) AS payload
        FROM onemap.unplaced_messages(request) u JOIN onemap.quarantine q ON q.id = u.id ORDER BY q.id DESC LIMIT 200)
    SELECT d.id::bigint, jsonb_build_object('device', d.id, 'name_zh', d.name_zh, 'code', d.code, 'subsystem', d.subsystem,
        'vendor', d.vendor,
        'vendor_zh', onemap.vendor_name(d.subsystem, d.vendor, NULL),
        'kind_zh', k.name_zh, 'at', p.at, 'flaw', p.flaw, 'lon', p.lon, 'lat', p.lat, 'shown', p.shown,
        'message', (SELECT max(m.id) FROM message m WHERE m.subsystem = d.subsystem AND m.vendor = d.vendor
            AND onemap.payload_names(m.payload, d.code)))
    FROM (SELECT u.* FROM onemap.unplaced_devices((SELECT onemap.identity_departments(request))) u
          JOIN onemap.device x ON x.id = u.id
          WHERE u.id > (request->>'after')::bigint AND u.flaw = coalesce(request->>'flaw', u.flaw)
            AND x.subsystem = coalesce(request->>'subsystem', x.subsystem)
          ORDER BY u.id LIMIT (request->>'limit')::int) p
    JOIN onemap.device d ON d.id = p.id LEFT JOIN onemap.device_kind k ON k.subsystem = d.subsystem AND k.key = d.kind
$$;
COMMENT ON FUNCTION onemap.unplaced_device_page(jsonb) IS
    'A page of unplaced_devices() as the route tells of them; message: NULL: none among the last 200, or not to be seen';

CREATE OR REPLACE FUNCTION onemap.unplaced_case_page(request jsonb) RETURNS TABLE (id bigint, thing jsonb)
LANGUAGE sql STABLE AS $$
    SELECT r.id, jsonb_build_object('case', r.code, 'name_zh', r.title, 'code', r.code, 'subsystem', r.subsystem,
        'vendor', r.vendor,
        'vendor_zh', onemap.vendor_name(r.subsystem, r.vendor, NULL),
        'kind_zh', s.name_zh, 'at', r.reported_at, 'flaw', p.flaw, 'lon', p.lon, 'lat', p.lat)
    FROM (SELECT u.* FROM onemap.unplaced_cases((SELECT onemap.identity_departments(request))) u
          JOIN onemap.case_record x ON x.id = u.id
          WHERE u.id > (request->>'after')::bigint AND u.flaw = coalesce(request->>'flaw', u.flaw)
            AND (NOT request ? 'subsystem' OR x.subsystem = request->>'subsystem')
          ORDER BY u.id LIMIT (request->>'limit')::int) p
    JOIN onemap.case_record r ON r.id = p.id JOIN onemap.case_source s ON s.source = r.source
$$;
COMMENT ON FUNCTION onemap.unplaced_case_page(jsonb) IS 'A page of unplaced_cases() as the route tells of them';

CREATE OR REPLACE FUNCTION onemap.unplaced_message_page(request jsonb) RETURNS TABLE (id bigint, thing jsonb)
LANGUAGE sql STABLE AS $$
    SELECT q.id, jsonb_build_object('message', q.id, 'name_zh', q.topic, 'code', q.code, 'subsystem', q.subsystem,
        'vendor', q.vendor,
        'vendor_zh', onemap.vendor_name(q.subsystem, q.vendor, NULL),
        'at', q.received_at, 'flaw', p.flaw, 'reason', p.reason, 'records', p.records)
    FROM (SELECT u.* FROM onemap.unplaced_messages(request) u JOIN onemap.quarantine x ON x.id = u.id
          WHERE u.id > (request->>'after')::bigint AND u.flaw = coalesce(request->>'flaw', u.flaw)
            AND x.subsystem = coalesce(request->>'subsystem', x.subsystem)
          ORDER BY u.id LIMIT (request->>'limit')::int) p
    JOIN onemap.quarantine q ON q.id = p.id
$$;
COMMENT ON FUNCTION onemap.unplaced_message_page(jsonb) IS 'A page of unplaced_messages() as the route tells of them';

CREATE OR REPLACE FUNCTION onemap.http_unplaced(request jsonb) RETURNS TABLE (body json)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET jit = off AS $$
BEGIN
    PERFORM onemap.http_check(request);
    RETURN QUERY
    SELECT json_build_object('things', coalesce(json_agg(l.thing || jsonb_build_object('flaw_zh', f.name_zh) ORDER BY l.id), '[]'),
        'next', CASE WHEN count(*) = (request->>'limit')::int THEN max(l.id) END)
    FROM (SELECT * FROM onemap.unplaced_device_page(request) WHERE request->>'what' = 'device'
          UNION ALL SELECT * FROM onemap.unplaced_case_page(request) WHERE request->>'what' = 'case'
          UNION ALL SELECT * FROM onemap.unplaced_message_page(request) WHERE request->>'what' = 'message') l
    JOIN onemap.place_flaws() f ON f.flaw = l.thing->>'flaw';
END $$;
COMMENT ON FUNCTION onemap.http_unplaced(jsonb) IS
    'GET /api/v1/unplaced: {things, next}: the devices, open cases or quarantined messages that the map cannot show; lon, lat: '
    'what was said last; message: the quarantined message that it came from, if there is one';

GRANT EXECUTE ON FUNCTION onemap.http_unplaced_counts(jsonb), onemap.http_unplaced(jsonb) TO cityhub_api;

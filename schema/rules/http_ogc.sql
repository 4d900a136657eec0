-- OGC API - Features under /ogc: Part 1 (Core, GeoJSON, OpenAPI 3.0) and Part 2 (CRS), for QGIS and GDAL.
-- A collection is a row of ogc_collections(), what a feature says a row of ogc_properties(): pages, single features, queryables
-- and the API document are made of them. Who sees which rows is what the JSON routes say (identity_departments()). Requests hold
-- "base", the hub's address as its clients know it: all links are absolute. What a request has wrong is CH042, which is 400.

CREATE OR REPLACE FUNCTION onemap.ogc_crs() RETURNS TABLE (uri text, srid int, latitude_first boolean, place int)
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    -- CGCS2000 is taken for WGS 84 here, as it is when vendors' places come in.
    VALUES ('http://www.opengis.net/def/crs/OGC/1.3/CRS84', 4326, false, 1),
        ('http://www.opengis.net/def/crs/EPSG/0/4326', 4326, true, 2),
        ('http://www.opengis.net/def/crs/EPSG/0/4490', 4326, true, 3),
        ('http://www.opengis.net/def/crs/EPSG/0/3857', 3857, false, 4)
$$;
COMMENT ON FUNCTION onemap.ogc_crs() IS
    'Coordinate reference systems of /ogc, the first without being asked for; latitude_first: the order of the axes in boxes and '
    'answers';

-- $2 the departments that who asks sees, $3 the area of bbox. rows: FROM and WHERE; key: by which pages go; feature: its id;
--
-- within: what is in the area, and what has no place; timed: when it is, as a range; department: whose it is, NULL: the county's
-- map.
CREATE OR REPLACE FUNCTION onemap.ogc_collections() RETURNS TABLE (collection text, place int, title text, description text,
    rows text, key text, key_type text, feature text, feature_type text, geom text, within text, timed text, department text)
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    VALUES ('department', 1, '单位', '各单位及其责任网格合成的区域',
        'onemap.department d LEFT JOIN onemap.department p ON p.id = d.parent_id WHERE true', 'd.code', 'text', 'd.code', 'text',
        '(SELECT public.ST_Multi(public.ST_Union(g.geom)) FROM onemap.grid_cell g WHERE g.department_id = d.id)',
        '(d.id IN (SELECT g.department_id FROM onemap.grid_cell g WHERE public.ST_Intersects(g.geom, $3))
            OR NOT EXISTS (SELECT FROM onemap.grid_cell g WHERE g.department_id = d.id))', NULL, NULL),
    ('grid_cell', 2, '单元网格', '单元网格（GB/T 30428.1）',
        'onemap.grid_cell g LEFT JOIN onemap.department u ON u.id = g.department_id WHERE true', 'g.code', 'bpchar', 'g.code',
            'bpchar',
        'g.geom', 'public.ST_Intersects(g.geom, $3)', NULL, NULL),
    ('zone', 3, '区域', '消纳场、工地、禁行区等区域；时间为有效期', 'onemap.zone z WHERE true', 'z.id', 'bigint', 'z.id', 'bigint',
        'z.geom', 'public.ST_Intersects(z.geom, $3)', 'tstzrange(z.valid_from, z.valid_to)', NULL),
    ('component', 4, '部件', '城市管理部件',
        'onemap.component c LEFT JOIN onemap.department u ON u.id = c.department_id WHERE true',
        'c.component_code', 'bpchar', 'c.component_code', 'bpchar', 'c.geom', 'public.ST_Intersects(c.geom, $3)', NULL,
        'c.department_id'),
    ('device', 5, '设备', '各子系统的设备，移动的在最近的位置；时间为最近一次消息',
        'onemap.device d LEFT JOIN onemap.device_state s ON s.device_id = d.id LEFT JOIN onemap.department u ON u.id = '
        'd.department_id
            WHERE true', 'd.id', 'bigint', 'd.id', 'bigint', 'coalesce(s.geom, d.geom)',
        '(d.id = ANY (ARRAY(SELECT w.w FROM onemap.http_device_within($3) w (w))) OR s.geom IS NULL AND d.geom IS NULL)',
        'tstzrange(s.last_seen_at, s.last_seen_at, ''[]'')', 'd.department_id'),
    ('alarm', 6, '报警', '未结束的报警；时间从开始起', 'onemap.alarm a JOIN onemap.alarm_rule r ON r.id = a.rule_id
            LEFT JOIN onemap.device d ON d.id = a.device_id LEFT JOIN onemap.device_state s ON s.device_id = a.device_id
            LEFT JOIN onemap.vendor v ON a.device_id = 0 AND v.subsystem = r.subsystem AND v.vendor = a.vendor
            LEFT JOIN onemap.department u ON u.id = coalesce(d.department_id, v.department_id) WHERE a.closed_at IS NULL',
        'a.id', 'bigint', 'a.id', 'bigint', 'coalesce(s.geom, d.geom)',
        '(public.ST_Intersects(coalesce(s.geom, d.geom), $3) OR coalesce(s.geom, d.geom) IS NULL)',
            'tstzrange(a.opened_at, NULL)', 'u.id'),
    ('case', 7, '案卷', '未结的案卷；时间从上报起', 'onemap.case_record c JOIN onemap.case_state z ON z.state = c.state
            LEFT JOIN onemap.department u ON u.id = c.department_id
            LEFT JOIN onemap.case_category k ON k.version = c.catalogue_version AND k.code = c.category_code
            WHERE c.ended_at IS NULL', 'c.id', 'bigint', 'c.code', 'text', 'c.geom',
        '(public.ST_Intersects(c.geom, $3) OR c.geom IS NULL)', 'tstzrange(c.reported_at, NULL)', 'c.department_id')
$$;
COMMENT ON FUNCTION onemap.ogc_collections() IS 'The collections of /ogc, one a row, as parts of statements: see above';

-- kind: of JSON Schema, or date-time. queried: a request may ask for features with this value; as that type.
CREATE OR REPLACE FUNCTION onemap.ogc_properties() RETURNS TABLE (collection text, place int, property text, title text, kind text,
    expression text, queried text)
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    VALUES ('department', 1, 'code', '代码', 'string', 'd.code', 'text'),
        ('department', 2, 'name_zh', '名称', 'string', 'd.name_zh', NULL),
        ('department', 3, 'kind', '种类', 'string', 'd.kind', 'text'),
        ('department', 4, 'parent', '上级单位', 'string', 'p.code', NULL),
        ('department', 5, 'active', '在用', 'boolean', 'd.active', NULL),
        ('grid_cell', 1, 'code', '代码', 'string', 'g.code', 'bpchar'),
        ('grid_cell', 2, 'name_zh', '名称', 'string', 'g.name_zh', NULL),
        ('grid_cell', 3, 'department', '责任单位', 'string', 'u.code', 'text'),
        ('zone', 1, 'kind', '种类', 'string', 'z.kind', 'text'),
        ('zone', 2, 'code', '代码', 'string', 'z.code', 'text'),
        ('zone', 3, 'name_zh', '名称', 'string', 'z.name_zh', NULL),
        ('zone', 4, 'valid_from', '生效', 'date-time', 'CASE WHEN isfinite(z.valid_from) THEN z.valid_from END', NULL),
        ('zone', 5, 'valid_to', '失效', 'date-time', 'CASE WHEN isfinite(z.valid_to) THEN z.valid_to END', NULL),
        ('component', 1, 'code', '部件码', 'string', 'c.component_code', 'bpchar'),
        ('component', 2, 'name_zh', '名称', 'string', 'c.name_zh', NULL),
        ('component', 3, 'department', '主管单位', 'string', 'u.code', 'text'),
        ('component', 4, 'grid_cell', '单元网格', 'string', 'c.grid_cell', 'bpchar'),
        ('device', 1, 'subsystem', '子系统', 'string', 'd.subsystem', 'text'),
        ('device', 2, 'vendor', '厂商', 'string', 'd.vendor', 'text'),
        ('device', 3, 'code', '代码', 'string', 'd.code', 'text'),
        ('device', 4, 'kind', '种类', 'string', 'd.kind', 'text'),
        ('device', 5, 'name_zh', '名称', 'string', 'd.name_zh', NULL),
        ('device', 6, 'status', '管理状态', 'string', 'd.status', NULL),
        ('device', 7, 'state', '在线状态：online、offline、never', 'string', 'onemap.http_device_state(s.online)', 'text'),
        ('device', 8, 'department', '单位', 'string', 'u.code', 'text'),
        ('device', 9, 'grid_cell', '单元网格', 'string', 'd.grid_cell', 'bpchar'),
        ('device', 10, 'last_seen_at', '最近消息', 'date-time', 's.last_seen_at', NULL),
        ('alarm', 1, 'subsystem', '子系统', 'string', 'r.subsystem', 'text'),
        ('alarm', 2, 'rule', '规则', 'string', 'r.key', 'text'),
        ('alarm', 3, 'rule_zh', '规则名称', 'string', 'r.name_zh', NULL),
        ('alarm', 4, 'severity', '级别', 'string', 'a.severity', 'text'),
        ('alarm', 5, 'device', '设备编号', 'integer', 'd.id', NULL),
        ('alarm', 6, 'device_code', '设备代码', 'string', 'd.code', NULL),
        ('alarm', 7, 'vendor', '厂商', 'string', 'coalesce(d.vendor, a.vendor)', 'text'),
        ('alarm', 8, 'department', '单位', 'string', 'u.code', 'text'),
        ('alarm', 9, 'value', '值', 'number', 'a.value', NULL),
        ('alarm', 10, 'opened_at', '开始', 'date-time', 'a.opened_at', NULL),
        ('alarm', 11, 'acknowledged_at', '确认', 'date-time', 'a.acknowledged_at', NULL),
        ('case', 1, 'code', '案卷号', 'string', 'c.code', 'text'),
        ('case', 2, 'title', '标题', 'string', 'c.title', NULL),
        ('case', 3, 'state', '状态', 'string', 'c.state', 'text'),
        ('case', 4, 'state_zh', '状态名称', 'string', 'z.name_zh', NULL),
        ('case', 5, 'category', '类别代码', 'string', 'c.category_code', 'text'),
        ('case', 6, 'category_zh', '类别', 'string', 'k.name_zh', NULL),
        ('case', 7, 'department', '责任单位', 'string', 'u.code', 'text'),
        ('case', 8, 'grid_cell', '单元网格', 'string', 'c.grid_cell', 'bpchar'),
        ('case', 9, 'address', '地址', 'string', 'c.address', NULL),
        ('case', 10, 'reported_at', '上报', 'date-time', 'c.reported_at', NULL),
        ('case', 11, 'deadline_at', '截止', 'date-time', 'c.deadline_at', NULL)
$$;
COMMENT ON FUNCTION onemap.ogc_properties() IS 'What features of each collection say, and by what they can be asked for';

-- ---- what a request asks for ----

CREATE OR REPLACE FUNCTION onemap.ogc_refuse(parameter text, detail text, hint text) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RAISE EXCEPTION '%: %', parameter, detail USING ERRCODE = 'CH042', HINT = ogc_refuse.hint;
END $$;
COMMENT ON FUNCTION onemap.ogc_refuse(text, text, text) IS 'Refuses a request for a parameter''s value';

CREATE OR REPLACE FUNCTION onemap.ogc_moment(typed text) RETURNS tstzrange
LANGUAGE plpgsql STABLE STRICT SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF typed !~ ('^[0-9]{4}-[0-9]{2}-[0-9]{2}([Tt]([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)([.][0-9]+)?'
        || '([Zz]|[+-]([01][0-9]|2[0-3]):[0-5][0-9]))?$') THEN
        RETURN NULL;
    ELSIF length(typed) = 10 THEN
        RETURN tstzrange(onemap.local_midnight(typed::date), onemap.local_midnight(typed::date + 1));
    END IF;
    RETURN tstzrange(upper(typed)::timestamptz, upper(typed)::timestamptz, '[]');
EXCEPTION WHEN datetime_field_overflow OR invalid_datetime_format OR invalid_time_zone_displacement_value THEN
    RETURN NULL;
END $$;
COMMENT ON FUNCTION onemap.ogc_moment(text) IS 'A date-time of RFC 3339, or a day of the county, as a range; NULL if it is neither';

CREATE OR REPLACE FUNCTION onemap.ogc_period(typed text) RETURNS tstzrange
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- In a query a + that was not escaped comes as a blank.
    parts text[] := string_to_array(replace(typed, ' ', '+'), '/');
    first tstzrange := onemap.ogc_moment(parts[1]); last tstzrange := onemap.ogc_moment(parts[2]); period tstzrange;
BEGIN
    IF cardinality(parts) = 1 THEN
        period := first;
    ELSIF cardinality(parts) = 2 AND (first IS NOT NULL OR parts[1] IN ('', '..')) AND (last IS NOT NULL OR parts[2] IN ('', '..'))
        AND coalesce(first, last) IS NOT NULL AND coalesce(lower(first) <= upper(last), true) THEN
        period := tstzrange(lower(first), upper(last), CASE WHEN upper_inc(last) THEN '[]' ELSE '[)' END);
    END IF;
    IF period IS NULL OR isempty(period) THEN
        PERFORM onemap.ogc_refuse('datetime', 'no moment and no interval',
            '例如 2026-11-24T00:00:00Z、2026-11-24、2026-11-01T00:00:00+08:00/..、../2026-11-24；起点不得晚于终点。');
    END IF;
    RETURN period;
END $$;
COMMENT ON FUNCTION onemap.ogc_period(text) IS
    'The parameter datetime: a moment, a day, a/b, ../b, /b, a/.. or a/ as a range, both ends within; CH042 if it is none of these';

CREATE OR REPLACE FUNCTION onemap.ogc_crs_check(request jsonb, parameter text) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE asked text := coalesce(request->>parameter, (SELECT c.uri FROM onemap.ogc_crs() c WHERE c.place = 1));
BEGIN
    IF NOT EXISTS (SELECT FROM onemap.ogc_crs() c WHERE c.uri = asked) THEN
        PERFORM onemap.ogc_refuse(parameter, 'there is no such coordinate reference system here',
            '可用 / there are: ' || (SELECT string_agg(c.uri, ' ' ORDER BY c.place) FROM onemap.ogc_crs() c));
    END IF;
    RETURN asked;
END $$;
COMMENT ON FUNCTION onemap.ogc_crs_check(jsonb,
    text) IS 'The reference system that a parameter names, or the first; CH042 if it is none';

CREATE OR REPLACE FUNCTION onemap.ogc_degrees(metres float8) RETURNS float8
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    -- The world's edge in metres, however it was rounded, is 180.
    SELECT CASE WHEN abs(d.d) < 180.000001 THEN greatest(-180, least(180, d.d)) ELSE d.d END
        FROM (SELECT degrees(metres / 6378137)) d (d)
$$;
COMMENT ON FUNCTION onemap.ogc_degrees(float8) IS 'Metres of Web Mercator''s equator as degrees';

CREATE OR REPLACE FUNCTION onemap.ogc_latitude(metres float8) RETURNS float8
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$ SELECT degrees(2 * atan(exp(metres / 6378137))) - 90 $$;
COMMENT ON FUNCTION onemap.ogc_latitude(float8) IS 'Metres of Web Mercator''s y as a latitude';

CREATE OR REPLACE FUNCTION onemap.ogc_area(request jsonb) RETURNS public.geometry
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    n float8[] := ARRAY(SELECT e.e::float8 FROM jsonb_array_elements_text(request->'bbox') WITH ORDINALITY e (e, place)
        ORDER BY e.place);
    system text := onemap.ogc_crs_check(request, 'bbox-crs'); c record;
BEGIN
    IF NOT request ? 'bbox' THEN
        RETURN NULL;
    ELSIF cardinality(n) NOT IN (4, 6) OR cardinality(n) = 6 AND n[3] > n[6] THEN
        PERFORM onemap.ogc_refuse('bbox', 'four numbers, or six with heights from below',
            '须为四个数，或六个数（含高程，下限不大于上限）。');
    END IF;
    n := CASE cardinality(n) WHEN 6 THEN ARRAY[n[1], n[2], n[4], n[5]] ELSE n END;
    SELECT x.latitude_first, x.srid INTO c FROM onemap.ogc_crs() x WHERE x.uri = system;
    IF c.latitude_first THEN
        n := ARRAY[n[2], n[1], n[4], n[3]];
    ELSIF c.srid = 3857 THEN
        n := ARRAY[onemap.ogc_degrees(n[1]), onemap.ogc_latitude(n[2]), onemap.ogc_degrees(n[3]), onemap.ogc_latitude(n[4])];
    END IF;
    IF greatest(abs(n[1]), abs(n[3])) > 180 OR greatest(abs(n[2]), abs(n[4])) > 90 OR n[2] > n[4] THEN
        PERFORM onemap.ogc_refuse('bbox', 'not within the world, or south above north',
            '经度 -180 至 180，纬度 -90 至 90，南不大于北；西大于东表示跨 180 度经线。坐标次序按 bbox-crs。');
    END IF;
    IF n[1] <= n[3] AND (n[1] = n[3] OR n[2] = n[4]) THEN -- a point or a line: no polygon
        RETURN public.ST_Envelope(public.ST_SetSRID(public.ST_MakeLine(public.ST_MakePoint(n[1], n[2]),
            public.ST_MakePoint(n[3], n[4])), 4326));
    END IF;
    RETURN onemap.http_box(to_jsonb(n));
END $$;
COMMENT ON FUNCTION onemap.ogc_area(jsonb) IS
    'The parameters bbox and bbox-crs as an area in WGS 84, two parts over the date line; heights are passed over; CH042 if it '
    'is none';

CREATE OR REPLACE FUNCTION onemap.ogc_queried_check(request jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE stray text := (SELECT min(p.property) FROM onemap.ogc_properties() p WHERE request ? p.property AND p.property NOT IN (
    SELECT m.property FROM onemap.ogc_properties() m WHERE m.collection = request->>'collection' AND m.queried IS NOT NULL));
BEGIN
    IF stray IS NOT NULL THEN
        PERFORM onemap.ogc_refuse(stray, 'not a parameter of this collection', (
            SELECT '可用 / there are: ' || string_agg(p.property, ', ' ORDER BY p.place) FROM onemap.ogc_properties() p
            WHERE p.collection = request->>'collection' AND p.queried IS NOT NULL));
    END IF;
END $$;
COMMENT ON FUNCTION onemap.ogc_queried_check(jsonb) IS 'CH042 if a request asks by what is no queryable of its collection';

-- ---- the statement ----

-- $1 the request, $2 the departments that who asks sees, $3 the area, $4 the period, $5 the cursor, $6 how many, $7 a feature's id.
CREATE OR REPLACE FUNCTION onemap.ogc_rows(request jsonb) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT c.rows || coalesce(' AND onemap.http_sees($2, ' || c.department || ')', '')
        || CASE WHEN request ? 'fid' THEN ' AND ' || c.feature || ' = $7::' || c.feature_type ELSE '' END
        || CASE WHEN request ? 'cursor' THEN ' AND ' || c.key || ' > $5::' || c.key_type ELSE '' END
        || CASE WHEN request ? 'bbox' THEN ' AND ' || c.within ELSE '' END
        || CASE WHEN request ? 'datetime' THEN coalesce(' AND ' || c.timed || ' && $4', '') ELSE '' END
        || coalesce((SELECT string_agg(' AND ' || p.expression || ' = ($1->>''' || p.property || ''')::' || p.queried, ''
            ORDER BY p.place)
            FROM onemap.ogc_properties() p WHERE p.collection = c.collection AND p.queried IS NOT NULL AND request ? p.property),
                '')
    FROM onemap.ogc_collections() c WHERE c.collection = request->>'collection'
$$;
COMMENT ON FUNCTION onemap.ogc_rows(jsonb) IS
    'FROM and WHERE of the features that a request asks for: parts of rules, values by number; NULL: no such collection';

CREATE OR REPLACE FUNCTION onemap.ogc_shape(geom public.geometry, crs text) RETURNS json
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN c.srid = 3857 THEN public.ST_AsGeoJSON(public.ST_Transform(geom, 3857), 3, 0)
        WHEN c.latitude_first THEN public.ST_AsGeoJSON(public.ST_FlipCoordinates(geom), 7, 0)
        ELSE public.ST_AsGeoJSON(geom, 7, 0) END::json
    FROM onemap.ogc_crs() c WHERE c.uri = crs
$$;
COMMENT ON FUNCTION onemap.ogc_shape(public.geometry,
    text) IS 'A place in WGS 84 as GeoJSON in a reference system, in the order of its axes';

CREATE OR REPLACE FUNCTION onemap.ogc_find(request jsonb, most int, OUT keys text[], OUT features json[])
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off SET max_parallel_workers_per_gather = 0 AS $$
DECLARE c record; statement text; numeral constant text := '^(0|[1-9][0-9]{0,17})$';
BEGIN
    SELECT x.key, x.key_type, x.feature, x.feature_type, x.geom INTO c FROM onemap.ogc_collections() x
    WHERE x.collection = request->>'collection';
    IF NOT FOUND OR c.feature_type = 'bigint' AND request->>'fid' !~ numeral THEN
        RETURN;
    ELSIF c.key_type = 'bigint' AND request->>'cursor' !~ numeral THEN
        PERFORM onemap.ogc_refuse('cursor', 'not of this collection', '请使用上一页给出的 next 链接。');
    END IF;
    SELECT 'SELECT array_agg(p.key::text ORDER BY p.key), array_agg(json_build_object(''type'', ''Feature'', ''id'', p.id,
            ''geometry'', onemap.ogc_shape(p.geom, $8), ''properties'', p.properties) ORDER BY p.key)
        FROM (SELECT ' || c.key || ' AS key, ' || c.feature || ' AS id, ' || c.geom || ' AS geom, json_build_object('
        || string_agg('''' || p.property || ''', ' || p.expression, ', ' ORDER BY p.place) || ') AS properties FROM '
        || onemap.ogc_rows(request) || ' ORDER BY ' || c.key || ' LIMIT $6) p' INTO statement
    FROM onemap.ogc_properties() p WHERE p.collection = request->>'collection';
    EXECUTE statement INTO keys, features USING request, onemap.identity_departments(request), onemap.ogc_area(request),
        CASE WHEN request ? 'datetime' THEN onemap.ogc_period(request->>'datetime') END, request->>'cursor', most, request->>'fid',
        onemap.ogc_crs_check(request, 'crs');
END $$;
COMMENT ON FUNCTION onemap.ogc_find(jsonb, int) IS
    'The features that a request asks for and who asks may see, in the order of their keys, behind its cursor, at most so many; '
    'NULL: none';

CREATE OR REPLACE FUNCTION onemap.ogc_count(request jsonb, most int) RETURNS int
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET jit = off SET max_parallel_workers_per_gather = 0 AS $$
DECLARE number int;
BEGIN
    EXECUTE 'SELECT count(*) FROM (SELECT FROM ' || onemap.ogc_rows(request) || ' LIMIT $5) x' INTO number
    USING request, onemap.identity_departments(request), onemap.ogc_area(request),
        CASE WHEN request ? 'datetime' THEN onemap.ogc_period(request->>'datetime') END, most + 1;
    RETURN nullif(number, most + 1);
END $$;
COMMENT ON FUNCTION onemap.ogc_count(jsonb,
    int) IS 'How many features a request without a cursor asks for; NULL: more than so many';

-- ---- links ----

CREATE OR REPLACE FUNCTION onemap.ogc_encoded(value text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT coalesce(string_agg(CASE WHEN c.c COLLATE "C" ~ '^[A-Za-z0-9._~:/,-]$' THEN c.c
        ELSE upper(regexp_replace(encode(convert_to(c.c, 'UTF8'), 'hex'), '(..)', '%\1', 'g')) END, '' ORDER BY c.place), '')
    FROM regexp_split_to_table(value, '') WITH ORDINALITY c (c, place)
$$;
COMMENT ON FUNCTION onemap.ogc_encoded(text) IS 'A text as a part of an address';

CREATE OR REPLACE FUNCTION onemap.ogc_link(href text, rel text, type text, title text DEFAULT NULL) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_strip_nulls(jsonb_build_object('href', href, 'rel', rel, 'type', type, 'title', title))
$$;
COMMENT ON FUNCTION onemap.ogc_link(text, text, text, text) IS 'A link';

CREATE OR REPLACE FUNCTION onemap.ogc_root(request jsonb) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT (request->>'base') || '/ogc' WHERE onemap.identity(request) IS NOT NULL
$$;
COMMENT ON FUNCTION onemap.ogc_root(jsonb) IS 'Where /ogc is, for who asks; CH060 if nobody does';

CREATE OR REPLACE FUNCTION onemap.ogc_items_url(request jsonb, cursor text) RETURNS text
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT onemap.ogc_root(request) || '/collections/' || (request->>'collection') || '/items?' || string_agg(p.key || '='
        || onemap.ogc_encoded(
        CASE jsonb_typeof(p.value) WHEN 'array'
            THEN (SELECT string_agg(e.e, ',' ORDER BY e.place) FROM jsonb_array_elements_text(p.value) WITH ORDINALITY e (e, place))
            ELSE p.value #>> '{}' END), '&' ORDER BY p.key)
    FROM jsonb_each(request || coalesce(jsonb_build_object('cursor', cursor), '{}')) p
    WHERE p.key NOT IN ('collection', 'base', 'identity') AND p.value <> 'null'
$$;
COMMENT ON FUNCTION onemap.ogc_items_url(jsonb, text) IS 'The page of a request, or the one behind a cursor; each pair has a "="';

-- Not jsonb, which would put the properties of features into an order of its own.
CREATE OR REPLACE FUNCTION onemap.ogc_with(object json, member text, value json) RETURNS json
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT (left(object::text, -1) || ', ' || to_json(member) || ': ' || value || '}')::json
$$;
COMMENT ON FUNCTION onemap.ogc_with(json, text, json) IS 'An object that is not empty, with one more member at its end';

-- ---- routes ----

CREATE OR REPLACE FUNCTION onemap.http_ogc(request jsonb) RETURNS TABLE (body json)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT json_build_object('title', '一张图', 'description', '城市运行管理一张图，OGC API - Features', 'links', json_build_array(
        onemap.ogc_link(r.root || '/', 'self', 'application/json'),
        onemap.ogc_link(r.root || '/api', 'service-desc', 'application/vnd.oai.openapi+json;version=3.0', '接口说明'),
        onemap.ogc_link(r.root || '/conformance', 'conformance', 'application/json', '符合的标准'),
        onemap.ogc_link(r.root || '/collections', 'data', 'application/json', '数据集')))
    FROM (SELECT onemap.ogc_root(request) AS root) r
$$;
COMMENT ON FUNCTION onemap.http_ogc(jsonb) IS 'GET /ogc: the landing page';

CREATE OR REPLACE FUNCTION onemap.http_ogc_conformance(request jsonb) RETURNS TABLE (body json)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT json_build_object('conformsTo', json_build_array('http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core',
        'http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/oas30',
            'http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/geojson',
        'http://www.opengis.net/spec/ogcapi-features-2/1.0/conf/crs'))
    WHERE onemap.identity(request) IS NOT NULL
$$;
COMMENT ON FUNCTION onemap.http_ogc_conformance(jsonb) IS 'GET /ogc/conformance: what is whole here';

CREATE OR REPLACE FUNCTION onemap.ogc_extent(timed boolean) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_object('spatial', jsonb_build_object('crs', (SELECT c.uri FROM onemap.ogc_crs() c WHERE c.place = 1),
        'bbox', jsonb_build_array(CASE WHEN e.e IS NULL THEN '[-180, -90, 180, 90]'::jsonb
            ELSE jsonb_build_array(public.ST_XMin(e.e), public.ST_YMin(e.e), public.ST_XMax(e.e), public.ST_YMax(e.e)) END)))
        || CASE WHEN timed THEN '{"temporal": {"interval": [[null, null]]}}'::jsonb ELSE '{}' END
    FROM (SELECT public.ST_Extent(g.geom) FROM onemap.grid_cell g) e (e)
$$;
COMMENT ON FUNCTION onemap.ogc_extent(boolean) IS 'A collection''s extent: that of the county''s grid cells; timed: open at both '
'ends';

CREATE OR REPLACE FUNCTION onemap.ogc_collection(root text, id text) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_object('id', c.collection, 'title', c.title, 'description', c.description, 'itemType', 'feature',
        'extent', onemap.ogc_extent(c.timed IS NOT NULL), 'storageCrs', (SELECT s.uri FROM onemap.ogc_crs() s WHERE s.place = 1),
        'crs', (SELECT jsonb_agg(s.uri ORDER BY s.place) FROM onemap.ogc_crs() s), 'links', jsonb_build_array(
            onemap.ogc_link(l.l, 'self', 'application/json'),
            onemap.ogc_link(l.l || '/items', 'items', 'application/geo+json', c.title),
            onemap.ogc_link(l.l || '/queryables', 'http://www.opengis.net/def/rel/ogc/1.0/queryables', 'application/schema+json')))
    FROM onemap.ogc_collections() c, LATERAL (SELECT root || '/collections/' || c.collection) l (l) WHERE c.collection = $2
$$;
COMMENT ON FUNCTION onemap.ogc_collection(text,
    text) IS 'A collection as its page and the list of all show it; NULL if there is none';

CREATE OR REPLACE FUNCTION onemap.http_ogc_collections(request jsonb) RETURNS TABLE (body json)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT json_build_object('links', json_build_array(onemap.ogc_link(r.root || '/collections', 'self', 'application/json')),
        'crs', (SELECT json_agg(s.uri ORDER BY s.place) FROM onemap.ogc_crs() s),
        'collections', (SELECT json_agg(onemap.ogc_collection(r.root, c.collection) ORDER BY c.place)
            FROM onemap.ogc_collections() c))
    FROM (SELECT onemap.ogc_root(request) AS root) r
$$;
COMMENT ON FUNCTION onemap.http_ogc_collections(jsonb) IS 'GET /ogc/collections';

CREATE OR REPLACE FUNCTION onemap.http_ogc_collection(request jsonb) RETURNS TABLE (body json)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT onemap.ogc_collection(onemap.ogc_root(request), request->>'collection')::json
$$;
COMMENT ON FUNCTION onemap.http_ogc_collection(jsonb) IS 'GET /ogc/collections/{collection}';

CREATE OR REPLACE FUNCTION onemap.ogc_schema(kind text, title text) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE kind WHEN 'date-time' THEN '{"type": "string", "format": "date-time"}' ELSE jsonb_build_object('type', kind) END
        || jsonb_build_object('title', title)
$$;
COMMENT ON FUNCTION onemap.ogc_schema(text, text) IS 'A property''s JSON Schema';

CREATE OR REPLACE FUNCTION onemap.http_ogc_queryables(request jsonb) RETURNS TABLE (body json)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT json_build_object('$schema', 'https://json-schema.org/draft/2020-12/schema',
        '$id', onemap.ogc_root(request) || '/collections/' || c.collection || '/queryables', 'type', 'object', 'title', c.title,
        'properties', (SELECT jsonb_object_agg(p.property, onemap.ogc_schema(p.kind, p.title)) FROM onemap.ogc_properties() p
            WHERE p.collection = c.collection AND p.queried IS NOT NULL), 'additionalProperties', false)
    FROM onemap.ogc_collections() c WHERE c.collection = request->>'collection'
$$;
COMMENT ON FUNCTION onemap.http_ogc_queryables(jsonb) IS
    'GET /ogc/collections/{collection}/queryables: by what its features can be asked for, each a parameter of its items';

CREATE OR REPLACE FUNCTION onemap.http_ogc_items(request jsonb) RETURNS TABLE (body json, content_crs text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    root text := onemap.ogc_root(request); most int := (request->>'limit')::int; matched int; page record; links jsonb;
    shown constant int := 10000; -- features are counted up to so many
BEGIN
    IF NOT EXISTS (SELECT FROM onemap.ogc_collections() c WHERE c.collection = request->>'collection') THEN
        RETURN;
    END IF;
    PERFORM onemap.ogc_queried_check(request);
    SELECT f.keys, f.features INTO page FROM onemap.ogc_find(request, most + 1) f;
    links := jsonb_build_array(onemap.ogc_link(onemap.ogc_items_url(request, NULL), 'self', 'application/geo+json'),
        onemap.ogc_link(root || '/collections/' || (request->>'collection'), 'collection', 'application/json'));
    IF cardinality(page.keys) > most THEN
        links := links || onemap.ogc_link(onemap.ogc_items_url(request, page.keys[most]), 'next', 'application/geo+json');
    END IF;
    IF NOT request ? 'cursor' THEN
        matched := CASE WHEN cardinality(page.keys) > most THEN onemap.ogc_count(request, shown)
            ELSE coalesce(cardinality(page.keys), 0) END;
    END IF;
    RETURN QUERY SELECT onemap.ogc_with(jsonb_strip_nulls(jsonb_build_object('type', 'FeatureCollection', 'numberMatched', matched,
            'numberReturned', least(coalesce(cardinality(page.keys), 0), most), 'links', links,
            'timeStamp', to_char(now() AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')))::json, 'features',
            coalesce(array_to_json(page.features[1:most]), '[]')), onemap.ogc_crs_check(request, 'crs');
END $$;
COMMENT ON FUNCTION onemap.http_ogc_items(jsonb) IS
    'GET /ogc/collections/{collection}/items: a page of features; numberMatched: on the first page, if it is cheap to say';

CREATE OR REPLACE FUNCTION onemap.http_ogc_item(request jsonb) RETURNS TABLE (body json, content_crs text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT onemap.ogc_with(f.features[1], 'links', json_build_array(
            onemap.ogc_link(l.l || '/items/' || onemap.ogc_encoded(request->>'fid'), 'self', 'application/geo+json'),
            onemap.ogc_link(l.l, 'collection', 'application/json'))), onemap.ogc_crs_check(request, 'crs')
    FROM (SELECT onemap.ogc_root(request) || '/collections/' || c.collection FROM onemap.ogc_collections() c
          WHERE c.collection = request->>'collection') l (l), LATERAL onemap.ogc_find(request, 1) f WHERE f.features IS NOT NULL
$$;
COMMENT ON FUNCTION onemap.http_ogc_item(jsonb) IS 'GET /ogc/collections/{collection}/items/{fid}: one feature';

-- ---- the API document ----

CREATE OR REPLACE FUNCTION onemap.ogc_parameter(name text, meaning text, schema jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_object('name', name, 'in', 'query', 'required', false, 'style', 'form', 'explode', false,
        'description', meaning, 'schema', schema)
$$;
COMMENT ON FUNCTION onemap.ogc_parameter(text, text, jsonb) IS 'A parameter of a query, as OpenAPI 3.0 says it';

CREATE OR REPLACE FUNCTION onemap.ogc_crs_parameter(name text, meaning text) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT onemap.ogc_parameter(name, meaning, jsonb_build_object('type', 'string', 'format', 'uri',
        'default', (SELECT c.uri FROM onemap.ogc_crs() c WHERE c.place = 1),
        'enum', (SELECT jsonb_agg(c.uri ORDER BY c.place) FROM onemap.ogc_crs() c)))
$$;
COMMENT ON FUNCTION onemap.ogc_crs_parameter(text, text) IS 'A parameter that names a reference system, as OpenAPI 3.0 says it';

CREATE OR REPLACE FUNCTION onemap.ogc_items_parameters(collection text) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_array(
        onemap.ogc_parameter('limit', '一页最多多少个；超过最大值按最大值',
            '{"type": "integer", "minimum": 1, "maximum": 5000, "default": 100}'),
        onemap.ogc_parameter('bbox', '范围，四个或六个数，次序按 bbox-crs；没有位置的要素总在其中',
            '{"type": "array", "minItems": 4, "maxItems": 6, "items": {"type": "number"}}'),
        onemap.ogc_crs_parameter('bbox-crs', 'bbox 的坐标系'),
        onemap.ogc_parameter('datetime', '时刻、日期，或时段 a/b、../b、a/..；没有时间的要素总在其中', '{"type": "string"}'),
        onemap.ogc_crs_parameter('crs', '应答的坐标系'),
        onemap.ogc_parameter('cursor', '由 next 链接给出', '{"type": "string", "minLength": 1, "maxLength": 64}'))
        || (SELECT jsonb_agg(onemap.ogc_parameter(p.property, p.title, jsonb_build_object('type', p.kind, 'minLength', 1,
            'maxLength', 128))
            ORDER BY p.place) FROM onemap.ogc_properties() p WHERE p.collection = $1 AND p.queried IS NOT NULL)
$$;
COMMENT ON FUNCTION onemap.ogc_items_parameters(text) IS 'The parameters of a collection''s items, as OpenAPI 3.0 says them';

CREATE OR REPLACE FUNCTION onemap.ogc_operation(name text, summary text, type text, parameters jsonb DEFAULT '[]') RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_object('get', jsonb_build_object('operationId', name, 'summary', summary, 'tags',
        '["OGC API - Features"]'::jsonb,
        'parameters', parameters, 'responses', jsonb_build_object('200', jsonb_build_object('description', summary,
            'content', jsonb_build_object(type, '{"schema": {"type": "object"}}'::jsonb)))
        || (SELECT jsonb_object_agg(s.status, jsonb_build_object('$ref', '#/components/responses/problem'))
            FROM unnest('{400,401,403,404,406,500,503}'::text[]) s (status))))
$$;
COMMENT ON FUNCTION onemap.ogc_operation(text, text, text, jsonb) IS 'A path that is read, as OpenAPI 3.0 says it';

CREATE OR REPLACE FUNCTION onemap.ogc_paths() RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_object('/', onemap.ogc_operation('getLandingPage', '首页', 'application/json'),
        '/api', onemap.ogc_operation('getApi', '本说明', 'application/vnd.oai.openapi+json;version=3.0'),
        '/conformance', onemap.ogc_operation('getConformance', '符合的标准', 'application/json'),
        '/collections', onemap.ogc_operation('getCollections', '数据集', 'application/json'))
    || jsonb_object_agg('/collections/' || c.collection || x.path, x.operation)
    FROM onemap.ogc_collections() c, LATERAL (VALUES
        ('', onemap.ogc_operation('get_' || c.collection, c.title, 'application/json')),
        ('/queryables', onemap.ogc_operation('get_' || c.collection || '_queryables', c.title || '：可筛选的属性',
            'application/schema+json')),
        ('/items', onemap.ogc_operation('get_' || c.collection || '_items', c.title || '：要素', 'application/geo+json',
            onemap.ogc_items_parameters(c.collection))),
        ('/items/{featureId}', onemap.ogc_operation('get_' || c.collection || '_item', c.title || '：一个要素',
            'application/geo+json',
            jsonb_build_array('{"name": "featureId", "in": "path", "required": true, "schema": {"type": "string"}}'::jsonb,
                onemap.ogc_crs_parameter('crs', '应答的坐标系'))))) x (path, operation)
$$;
COMMENT ON FUNCTION onemap.ogc_paths() IS 'All paths of /ogc, as OpenAPI 3.0 says them';

CREATE OR REPLACE FUNCTION onemap.http_ogc_api(request jsonb) RETURNS TABLE (body json)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT json_build_object('openapi', '3.0.3', 'info', '{"title": "一张图：OGC API - Features", "version": "1.0.0"}'::json,
        'servers', json_build_array(json_build_object('url', onemap.ogc_root(request))), 'paths', onemap.ogc_paths(),
        'security', '[{"token": []}, {"password": []}]'::json, 'components', '{
            "responses": {"problem": {"description": "RFC 9457",
                "content": {"application/problem+json": {"schema": {"type": "object"}}}}},
            "securitySchemes": {"token": {"type": "http", "scheme": "bearer"}, "password": {"type": "http",
                "scheme": "basic"}}}'::json)
$$;
COMMENT ON FUNCTION onemap.http_ogc_api(jsonb) IS 'GET /ogc/api: what is under /ogc, as OpenAPI 3.0';
GRANT EXECUTE ON FUNCTION onemap.http_ogc(jsonb), onemap.http_ogc_conformance(jsonb), onemap.http_ogc_collections(jsonb),
    onemap.http_ogc_collection(jsonb), onemap.http_ogc_queryables(jsonb), onemap.http_ogc_items(jsonb), onemap.http_ogc_item(jsonb),
    onemap.http_ogc_api(jsonb) TO cityhub_api;

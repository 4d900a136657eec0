-- What the HTTP server's routes answer: one function a route, http_<name>(request jsonb). The request holds the parameters
-- that the server has checked against the route's row (hub/http/routes_*.c), defaults filled in. Columns of the answer: body
-- (text, json or bytea), and optionally etag, status, location (hub/http/query.h). No row: 404. The server calls them as
-- cityhub_api, in read-only transactions unless the route writes. Nothing here changes anything. Here is what they have in
-- common, and the catalogue; each subject has its file http_<subject>.sql.

-- ---- what the routes have in common ----

-- Without a SET, so that the planner takes it into the statement and finds the index on the department.
CREATE OR REPLACE FUNCTION onemap.http_sees(departments int[], department int) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$ SELECT departments IS NULL OR department = ANY (departments) $$;
COMMENT ON FUNCTION onemap.http_sees(int[], int) IS
    'Whether a row of this department is shown to who sees these (identity_departments()): NULL sees all, also rows of no '
    'department';

CREATE OR REPLACE FUNCTION onemap.http_names_people(request jsonb) RETURNS boolean
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN onemap.identity(request)->'rights' ? 'alarm';
END $$;
COMMENT ON FUNCTION onemap.http_names_people(jsonb) IS
    'Whether who asks is told the names of people, and finds them by name, and what vendors have said freely of a device (personal '
    'data): who has the right to act on alarms';

-- T and Z may come in small letters, which typed_time() would pass over.
CREATE OR REPLACE FUNCTION onemap.http_time(request jsonb, key text) RETURNS timestamptz
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE WHEN request ? key THEN onemap.typed_time(upper(request->>key)) END;
END $$;
COMMENT ON FUNCTION onemap.http_time(jsonb, text) IS
    'A moment of the request; a day is its midnight in the county; NULL if it was left out';

CREATE OR REPLACE FUNCTION onemap.http_ms(moment timestamptz) RETURNS bigint
LANGUAGE sql STABLE PARALLEL SAFE AS $$ SELECT (date_part('epoch', moment) * 1000)::bigint $$;
COMMENT ON FUNCTION onemap.http_ms(timestamptz) IS 'A moment as milliseconds since 1970 in UTC';

CREATE OR REPLACE FUNCTION onemap.http_box(box jsonb) RETURNS public.geometry
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    west float8 := (box->>0)::float8; south float8 := (box->>1)::float8;
    east float8 := (box->>2)::float8; north float8 := (box->>3)::float8;
BEGIN
    RETURN CASE WHEN west > east THEN public.ST_Collect(public.ST_MakeEnvelope(west, south, 180, north, 4326),
            public.ST_MakeEnvelope(-180, south, east, north, 4326))
        ELSE public.ST_MakeEnvelope(west, south, east, north, 4326) END;
END $$;
COMMENT ON FUNCTION onemap.http_box(jsonb) IS
    'A box [west, south, east, north] as a polygon, or two over the date line; NULL if there is none';

CREATE OR REPLACE FUNCTION onemap.http_area(area jsonb) RETURNS public.geometry
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    corners int := jsonb_array_length(area) / 2;
    line public.geometry := (SELECT public.ST_MakeLine(public.ST_SetSRID(public.ST_MakePoint((area->>(2 * (n % corners)))::float8,
        (area->>(2 * (n % corners) + 1))::float8), 4326) ORDER BY n) FROM generate_series(0, corners) n WHERE corners >= 3);
    polygon public.geometry := CASE WHEN line IS NOT NULL THEN public.ST_MakePolygon(line) END;
BEGIN
    IF area IS NULL THEN
        RETURN NULL;
    ELSIF polygon IS NULL OR jsonb_array_length(area) % 2 <> 0 OR public.ST_YMax(polygon) > 90 OR public.ST_YMin(polygon) < -90
        OR public.ST_Area(polygon) = 0 THEN
        RAISE EXCEPTION 'area: three corners or more, as lon,lat,lon,lat,... in degrees, not on one line' USING ERRCODE = 'CH042',
            DETAIL = '区域须有三个以上不在一条线上的角点',
            HINT = '区域须有三个以上不在一条线上的角点：经度,纬度,经度,纬度,…（度）。';
    END IF;
    -- Of one whose sides cross what lies within either loop.
    RETURN CASE WHEN public.ST_IsValid(polygon) THEN polygon ELSE public.ST_MakeValid(polygon) END;
END $$;
COMMENT ON FUNCTION onemap.http_area(jsonb) IS
    'A polygon of corners [lon, lat, lon, lat, ...], closed by itself; NULL if there is none; CH042 if they make none';

CREATE OR REPLACE FUNCTION onemap.http_where(request jsonb) RETURNS public.geometry
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN CASE WHEN NOT request ? 'area' THEN onemap.http_box(request->'box')
        WHEN NOT request ? 'box' THEN onemap.http_area(request->'area')
        ELSE public.ST_Intersection(onemap.http_box(request->'box'), onemap.http_area(request->'area')) END;
END $$;
COMMENT ON FUNCTION onemap.http_where(jsonb) IS
    'What lies within the box and the area of a request, of those that it has; NULL: anywhere';

-- A filter that names nothing there is would find nothing, which reads as "all is well".
CREATE OR REPLACE FUNCTION onemap.http_vendor_check(request jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF request ? 'vendor' AND onemap.identity_departments(request) IS NULL THEN
        PERFORM onemap.vendor_known(request);
    END IF;
END $$;
COMMENT ON FUNCTION onemap.http_vendor_check(jsonb) IS
    'Refuses (CH013) a request that names a vendor that is not there; who sees a part is not told what else there is';

-- In plpgsql, which keeps its plan: the body of a function in sql that cannot be written into the statement is planned anew
-- each time.
CREATE OR REPLACE FUNCTION onemap.vendor_name(of_subsystem text, of_vendor text, moment timestamptz) RETURNS text
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_generic_plan AS $$
BEGIN
    RETURN (SELECT nullif(v.name_zh, '') FROM onemap.vendor_as_of(moment) v
            WHERE v.subsystem = of_subsystem AND v.vendor = of_vendor);
END $$;
COMMENT ON FUNCTION onemap.vendor_name(text, text, timestamptz) IS
    'What a vendor of a subsystem is called, at a moment (NULL: now); NULL: nobody gave it a name';

CREATE OR REPLACE FUNCTION onemap.http_there_check(request jsonb, key text, there boolean, hint text) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF request ? key AND NOT there AND onemap.identity_departments(request) IS NULL THEN
        RAISE EXCEPTION 'there is no % "%"', key, request->>key USING ERRCODE = 'CH013',
            DETAIL = format('没有 %s %s', key, request->>key), HINT = hint;
    END IF;
END $$;
COMMENT ON FUNCTION onemap.http_there_check(jsonb, text, boolean, text) IS
    'Refuses (CH013) a request whose parameter names what is not there; who sees a part is not told what else there is';

CREATE OR REPLACE FUNCTION onemap.http_device_check(request jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    PERFORM onemap.http_there_check(request, 'device', EXISTS (SELECT FROM onemap.device d WHERE d.id = (request->>'device')::int),
        '设备编号见 /api/v1/devices。');
END $$;
COMMENT ON FUNCTION onemap.http_device_check(jsonb) IS 'Refuses (CH013) a request that names a device by a number that is none';

CREATE OR REPLACE FUNCTION onemap.http_period_check(request jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF request ?& '{from,to}' AND onemap.http_time(request, 'from') >= onemap.http_time(request, 'to') THEN
        RAISE EXCEPTION 'from must be before to' USING ERRCODE = 'CH013',
            DETAIL = '开始 from 须早于结束 to', HINT = 'from 须早于 to；只写日期时指该日零时。';
    END IF;
END $$;
COMMENT ON FUNCTION onemap.http_period_check(jsonb) IS 'Refuses (CH013) a request whose from is not before its to';

CREATE OR REPLACE FUNCTION onemap.http_check(request jsonb) RETURNS void
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF request ? 'subsystem' AND NOT EXISTS (SELECT FROM onemap.subsystem s WHERE s.key = request->>'subsystem') THEN
        RAISE EXCEPTION 'there is no subsystem "%"', request->>'subsystem' USING ERRCODE = 'CH013',
            DETAIL = format('没有子系统 %s', request->>'subsystem'),
            HINT = (SELECT '子系统：' || string_agg(s.key || ' ' || s.name_zh,
                '，' ORDER BY s.key) || '。' FROM onemap.subsystem s);
    ELSIF request ? 'department' AND NOT EXISTS (SELECT FROM onemap.department d WHERE d.code = request->>'department') THEN
        RAISE EXCEPTION 'the county has no department "%"', request->>'department' USING ERRCODE = 'CH013',
            DETAIL = format('县里没有单位 %s', request->>'department'),
            HINT = '单位代码见 /api/v1/departments。';
    ELSIF request ? 'grid_cell' AND NOT EXISTS (SELECT FROM onemap.grid_cell g WHERE g.code = request->>'grid_cell') THEN
        RAISE EXCEPTION 'the county has no grid cell "%"', request->>'grid_cell' USING ERRCODE = 'CH013',
            DETAIL = format('县里没有单元网格 %s', request->>'grid_cell'),
            HINT = '单元网格代码为 15 位数字，见 /api/v1/grid_cells。';
    END IF;
    PERFORM onemap.http_period_check(request), onemap.http_vendor_check(request);
END $$;
COMMENT ON FUNCTION onemap.http_check(jsonb) IS
    'Refuses (CH013) a request whose subsystem, department, grid_cell or vendor is none, or whose from is not before its to';

CREATE OR REPLACE FUNCTION onemap.http_department_ids(request jsonb) RETURNS int[]
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE moment timestamptz;
BEGIN
    IF NOT request ? 'department' THEN
        RETURN NULL;
    ELSIF NOT request ? 'at' THEN
        RETURN (SELECT onemap.department_tree(d.id) FROM onemap.department d WHERE d.code = request->>'department');
    END IF;
    moment := onemap.http_at(request);
    RETURN (
        WITH RECURSIVE then_was AS MATERIALIZED (SELECT d.id, d.parent_id, d.code FROM onemap.department_as_of(moment) d),
        below AS (
            SELECT d.id FROM then_was d WHERE d.code = request->>'department'
            UNION SELECT d.id FROM then_was d JOIN below b ON d.parent_id = b.id)
        SELECT coalesce(array_agg(b.id ORDER BY b.id), '{}') FROM below b);
END $$;
COMMENT ON FUNCTION onemap.http_department_ids(jsonb) IS
    'The department that a request filters by, and those that are, or at its moment were, below it; NULL: it filters by none';

-- ---- finding by a part of a text ----

-- All pairs of characters that follow each other, so that an index finds texts by any part of two characters or more: Chinese
-- words often have two. The same expression stands in the indexes (schema/tables/093_http_thing.sql).
CREATE OR REPLACE FUNCTION onemap.search_pairs(words text) RETURNS text[]
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT string_to_array(regexp_replace(lower(words), '(..)', E'\\1\n', 'g'), E'\n')
        || string_to_array(regexp_replace(substr(lower(words), 2), '(..)', E'\\1\n', 'g'), E'\n')
$$;
COMMENT ON FUNCTION onemap.search_pairs(text) IS 'All pairs of neighbouring characters of a text in small letters, for an index';

CREATE OR REPLACE FUNCTION onemap.search_wanted(typed text, OUT pairs text[], OUT patterns text[])
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
DECLARE words text[] := regexp_split_to_array(lower(onemap.bare(typed)), '\s+');
BEGIN
    SELECT array_agg(DISTINCT substr(w, i, 2)) INTO pairs FROM unnest(words) w, generate_series(1, length(w) - 1) i;
    IF pairs IS NULL THEN
        RAISE EXCEPTION '"%" has no word of two characters', typed USING ERRCODE = 'CH013',
            DETAIL = format('“%s”里没有两个字符以上的词', typed), HINT = '请输入至少两个字符。';
    END IF;
    patterns := ARRAY(SELECT '%' || regexp_replace(w, '([\\%_])', '\\\1', 'g') || '%' FROM unnest(words) w);
END $$;
COMMENT ON FUNCTION onemap.search_wanted(text) IS
    'What a text must have: pairs in its search_pairs(), and patterns (LIKE ALL) of the words with blanks between them; CH013 if '
    'no word has two characters';

-- ---- the catalogue ----

-- ---- lists as CSV ----

-- As the commands' lists do (text_is_formula in hub/base/text.c): what a spreadsheet would calculate, in wide forms too, gets a '
-- in front; plain numbers stay.
-- Without a SET and in one expression, so that http_csv_line() takes them into its own: a list has millions of cells.
CREATE OR REPLACE FUNCTION onemap.http_csv_text(cell text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN cell !~ '^[\t\r\n=@＝＠＋－+-]' THEN cell
        WHEN cell ~ '^[\t\r\n]' OR cell ~ '^[=@＝＠＋－].'
            OR cell ~ '^[+-].' AND cell !~ '^[+-][0-9.]+([eE][+-]?[0-9.]+)?$' THEN '''' || cell
        ELSE coalesce(cell, '') END
$$;
COMMENT ON FUNCTION onemap.http_csv_text(text) IS
    'A cell of a list; what a spreadsheet would calculate is made text; NULL is empty';

CREATE OR REPLACE FUNCTION onemap.http_csv_cell(cell text) RETURNS text
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN cell ~ '[",\r\n]' THEN '"' || replace(onemap.http_csv_text(cell), '"', '""') || '"'
        ELSE onemap.http_csv_text(cell) END
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

-- Who has not asked for a part takes what comes for the whole list.
INSERT INTO onemap.setting (key, value, comment_zh) VALUES
    ('export_most', '50000', '一张 CSV 或 XLSX 表至多多少行；更多的拒绝，不截断')
ON CONFLICT (key) DO UPDATE SET comment_zh = excluded.comment_zh;

CREATE OR REPLACE FUNCTION onemap.http_csv_asked(request jsonb) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN request ? 'limit' THEN request
        ELSE request || jsonb_build_object('limit', onemap.setting('export_most')::int + 1, 'whole', true) END
$$;
COMMENT ON FUNCTION onemap.http_csv_asked(jsonb) IS 'A request for a list as CSV; without a limit for the whole, and one line more';

CREATE OR REPLACE FUNCTION onemap.http_csv_end(asked jsonb, lines bigint) RETURNS void
LANGUAGE plpgsql IMMUTABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF asked ? 'whole' AND lines >= (asked->>'limit')::int THEN
        RAISE EXCEPTION 'the list has more than % lines', lines - 1 USING ERRCODE = 'CH013',
            DETAIL = format('这张表超过 %s 行', lines - 1),
            HINT = '请缩小范围，如按月、按单位分几张；程序可用 JSON 的列表逐页取全。';
    END IF;
END $$;
COMMENT ON FUNCTION onemap.http_csv_end(jsonb, bigint) IS
    'Refuses (CH013) a list of so many lines that was asked for whole (http_csv_asked()) and is not: a part would be taken for it';

CREATE OR REPLACE FUNCTION onemap.http_department_codes(request jsonb) RETURNS text[]
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE WHEN m.mine IS NOT NULL THEN ARRAY(SELECT d.code FROM onemap.department d WHERE d.id = ANY (m.mine)) END
    FROM (SELECT onemap.identity_departments(request) AS mine) m
$$;
COMMENT ON FUNCTION onemap.http_department_codes(jsonb) IS
    'identity_departments() by code, for journals and scores, which name departments so; NULL: all';

CREATE OR REPLACE FUNCTION onemap.http_subsystem(subsystem text) RETURNS json
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN (
        SELECT json_build_object('key', s.key, 'name_zh', s.name_zh,
            'kinds', (SELECT coalesce(json_agg(json_build_object('key', k.key, 'name_zh', k.name_zh, 'mobile', k.mobile)
                          ORDER BY k.key), '[]')
                      FROM onemap.device_kind k WHERE k.subsystem = s.key),
            'metrics', (SELECT coalesce(json_agg(json_build_object('key', m.key, 'name_zh', m.name_zh, 'unit', m.unit,
                            'kind', m.kind, 'minimum', m.min_value, 'maximum', m.max_value) ORDER BY m.ordinal), '[]')
                        FROM onemap.metric m WHERE m.subsystem = s.key))
        FROM onemap.subsystem s WHERE s.key = $1);
END $$;
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


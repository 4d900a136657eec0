-- What the routes of people and vehicles on duty answer (人员管控), and of attendance (考勤). Names of people are personal data:
-- they are told, and found, where onemap.http_names_people() says so; everybody else sees codes and roles.

CREATE OR REPLACE FUNCTION onemap.http_mover_place(geom public.geometry, at timestamptz, track public.geometry,
    track_at timestamptz)
RETURNS public.geometry
LANGUAGE sql IMMUTABLE PARALLEL SAFE AS $$
    SELECT CASE WHEN track IS NOT NULL AND (geom IS NULL OR track_at >= at) THEN track ELSE geom END
$$;
COMMENT ON FUNCTION onemap.http_mover_place(public.geometry, timestamptz, public.geometry, timestamptz) IS
    'Where somebody is: by the last message of kind staff, or by the terminal''s track if that is later';

CREATE OR REPLACE FUNCTION onemap.http_people(request jsonb) RETURNS TABLE (body json)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    seen int[] := onemap.identity_departments(request); names boolean := onemap.http_names_people(request);
    most int := (request->>'limit')::int; units int[] := onemap.http_department_ids(request); wanted record;
    moment timestamptz := onemap.http_at(request);
BEGIN
    PERFORM onemap.http_check(request);
    SELECT w.pairs, w.patterns INTO wanted FROM onemap.search_wanted(coalesce(request->>'text', '--')) w;
    RETURN QUERY
    WITH page AS MATERIALIZED (
        SELECT p.* FROM onemap.person_as_of(moment) p
        WHERE p.id > (request->>'after')::int AND onemap.http_sees(seen, p.department_id)
            AND (NOT request ? 'subsystem' OR p.subsystem = request->>'subsystem')
            AND (NOT request ? 'department' OR p.department_id = ANY (units))
            AND (NOT request ? 'on_duty' OR coalesce(p.on_duty, false) = (request->>'on_duty')::boolean)
            AND (NOT request ? 'text' OR CASE WHEN names
                THEN onemap.search_pairs(p.code || ' ' || p.name) @> wanted.pairs
                    AND lower(p.code || ' ' || p.name) LIKE ALL (wanted.patterns)
                ELSE lower(p.code) LIKE ALL (wanted.patterns) END)
        ORDER BY p.id LIMIT most)
    SELECT json_build_object('people', coalesce(json_agg(json_build_object('id', p.id, 'subsystem', p.subsystem,
            'vendor', p.vendor, 'code', p.code, 'name', CASE WHEN names THEN p.name END, 'role', p.role, 'department', u.code,
            'device', p.device_id, 'on_duty', p.on_duty, 'at', p.observed_at, 'online', s.online, 'lon', public.ST_X(m.place),
            'lat', public.ST_Y(m.place)) ORDER BY p.id), '[]'),
        'next', CASE WHEN count(*) = most THEN max(p.id) END)
    FROM page p LEFT JOIN onemap.department u ON u.id = p.department_id
        LEFT JOIN LATERAL onemap.device_state_as_of(p.device_id, moment) s ON true
        CROSS JOIN LATERAL (SELECT onemap.http_mover_place(p.geom, p.observed_at, s.geom, s.geom_at) AS place) m;
END $$;
COMMENT ON FUNCTION onemap.http_people(jsonb) IS
    'GET /api/v1/people: as they are, or were at a moment (at): {people: [{id, subsystem, vendor, code, name, '
    'role, department, device, on_duty, at, online, lon, lat}], '
    'next}; name: NULL for who may not be told';
GRANT EXECUTE ON FUNCTION onemap.http_people(jsonb) TO cityhub_api;

CREATE OR REPLACE FUNCTION onemap.http_vehicles(request jsonb) RETURNS TABLE (body json)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    seen int[] := onemap.identity_departments(request); most int := (request->>'limit')::int;
    units int[] := onemap.http_department_ids(request); wanted record;
    moment timestamptz := onemap.http_at(request);
BEGIN
    PERFORM onemap.http_check(request);
    SELECT w.pairs, w.patterns INTO wanted FROM onemap.search_wanted(coalesce(request->>'text', '--')) w;
    RETURN QUERY
    WITH page AS MATERIALIZED (
        SELECT v.* FROM onemap.vehicle_as_of(moment) v
        WHERE v.id > (request->>'after')::int AND onemap.http_sees(seen, v.department_id)
            AND (NOT request ? 'subsystem' OR v.subsystem = request->>'subsystem')
            AND (NOT request ? 'department' OR v.department_id = ANY (units))
            AND (NOT request ? 'on_duty' OR coalesce(v.on_duty, false) = (request->>'on_duty')::boolean)
            AND (NOT request ? 'text' OR onemap.search_pairs(v.code || ' ' || v.name || ' ' || v.plate) @> wanted.pairs
                AND lower(v.code || ' ' || v.name || ' ' || v.plate) LIKE ALL (wanted.patterns))
        ORDER BY v.id LIMIT most)
    SELECT json_build_object('vehicles', coalesce(json_agg(json_build_object('id', v.id, 'subsystem', v.subsystem,
            'vendor', v.vendor, 'code', v.code, 'name', v.name, 'role', v.role, 'plate', v.plate, 'department', u.code,
            'device', v.device_id, 'on_duty', v.on_duty, 'at', v.observed_at, 'online', s.online, 'lon', public.ST_X(m.place),
            'lat', public.ST_Y(m.place)) ORDER BY v.id), '[]'),
        'next', CASE WHEN count(*) = most THEN max(v.id) END)
    FROM page v LEFT JOIN onemap.department u ON u.id = v.department_id
        LEFT JOIN LATERAL onemap.device_state_as_of(v.device_id, moment) s ON true
        CROSS JOIN LATERAL (SELECT onemap.http_mover_place(v.geom, v.observed_at, s.geom, s.geom_at) AS place) m;
END $$;
COMMENT ON FUNCTION onemap.http_vehicles(jsonb) IS
    'GET /api/v1/vehicles: {vehicles: [{id, subsystem, vendor, code, name, role, plate, department, device, on_duty, at, online, '
    'lon, lat}], next}';
GRANT EXECUTE ON FUNCTION onemap.http_vehicles(jsonb) TO cityhub_api;

CREATE OR REPLACE FUNCTION onemap.http_attendance_day(request jsonb) RETURNS date
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT onemap.local_time(coalesce(onemap.http_time(request, 'day'), now()))::date
$$;
COMMENT ON FUNCTION onemap.http_attendance_day(jsonb) IS 'The day of the county that attendance is asked of';

-- Whoever carries a terminal has been at work in the hours in which it sent.
CREATE OR REPLACE FUNCTION onemap.http_attendance_find(request jsonb)
RETURNS TABLE (id int, code text, name text, role text, subsystem text, department_id int, device_id int, present boolean,
    hours bigint, first_hour timestamptz, last_at timestamptz)
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    seen int[] := onemap.identity_departments(request); names boolean := onemap.http_names_people(request);
    units int[] := onemap.http_department_ids(request); day date := onemap.http_attendance_day(request);
    since date := (SELECT onemap.local_time(coalesce(min(o.hour), now()))::date FROM onemap.observation_hourly o);
BEGIN
    PERFORM onemap.http_check(request);
    -- Nobody has been absent on a day that has not begun, or of which nothing is kept.
    IF day > onemap.local_time(now())::date THEN
        RAISE EXCEPTION 'day: % has not begun', day USING ERRCODE = 'CH013',
            DETAIL = format('日期 %s 还没有开始', day), HINT = '考勤须为今天或以前的一天。';
    ELSIF day < since THEN
        RAISE EXCEPTION 'day: nothing is kept of %, data begin on %', day, since USING ERRCODE = 'CH013',
            DETAIL = format('没有 %s 的数据，最早的是 %s', day, since),
            HINT = format('最早的数据是 %s 的，更早的考勤无从得知。', since);
    END IF;
    RETURN QUERY
    WITH page AS MATERIALIZED (
        SELECT p.* FROM onemap.person p
        WHERE p.id > coalesce((request->>'after')::int, 0) AND onemap.http_sees(seen, p.department_id)
            AND (NOT request ? 'subsystem' OR p.subsystem = request->>'subsystem')
            AND (NOT request ? 'department' OR p.department_id = ANY (units))
        ORDER BY p.id LIMIT (request->>'limit')::int)
    SELECT p.id, p.code, CASE WHEN names THEN p.name END, p.role, p.subsystem, p.department_id, p.device_id,
        CASE WHEN p.device_id IS NOT NULL THEN h.hours > 0 END, h.hours, h.first_hour, h.last_at
    FROM page p CROSS JOIN LATERAL (SELECT count(*) AS hours, min(o.hour) AS first_hour, max(o.last_at) AS last_at
        FROM onemap.observation_hourly o WHERE o.device_id = p.device_id AND o.records > 0
            AND o.hour >= onemap.local_midnight(day) AND o.hour < onemap.local_midnight(day + 1)) h
    ORDER BY p.id;
END $$;
COMMENT ON FUNCTION onemap.http_attendance_find(jsonb) IS
    'Who of those that who asks may see was at work on a day: a page by id; present: NULL for who has no terminal; name: NULL for '
    'who may not be told';

CREATE OR REPLACE FUNCTION onemap.http_attendance(request jsonb) RETURNS TABLE (body json)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT json_build_object('day', onemap.http_attendance_day(request), 'time_zone', onemap.time_zone(),
        'attendance', coalesce(json_agg(json_build_object('person', p.id, 'code', p.code, 'name', p.name, 'role', p.role,
            'department', u.code, 'device', p.device_id, 'present', p.present, 'hours', p.hours, 'first_hour', p.first_hour,
            'last_at', p.last_at) ORDER BY p.id), '[]'),
        'next', CASE WHEN count(*) = (request->>'limit')::int THEN max(p.id) END)
    FROM onemap.http_attendance_find(request) p LEFT JOIN onemap.department u ON u.id = p.department_id
$$;
COMMENT ON FUNCTION onemap.http_attendance(jsonb) IS
    'GET /api/v1/attendance: {day, time_zone, attendance: [{person, code, name, role, department, device, present, hours, '
    'first_hour, last_at}], next}: hours of the day in which the person''s terminal sent; present: NULL for who has none';

CREATE OR REPLACE FUNCTION onemap.http_attendance_csv(request jsonb) RETURNS TABLE (body text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE asked jsonb := onemap.http_csv_asked(request); lines bigint;
BEGIN
    RETURN QUERY SELECT onemap.http_csv_head(request, '日期', '人员编号', '姓名', '岗位', '子系统', '单位代码', '单位', '终端编号',
        '到岗', '上报小时', '最早', '最晚');
    RETURN QUERY
    SELECT onemap.http_csv_line(onemap.http_attendance_day(request)::text, p.code, p.name, p.role, z.name_zh, u.code, u.name_zh,
        d.code, CASE WHEN p.present THEN '是' WHEN NOT p.present THEN '否' ELSE '' END, p.hours::text,
        onemap.county_time(p.first_hour), onemap.county_time(p.last_at))
    FROM onemap.http_attendance_find(asked) p JOIN onemap.subsystem z ON z.key = p.subsystem
        LEFT JOIN onemap.department u ON u.id = p.department_id
        LEFT JOIN onemap.device d ON d.id = p.device_id AND onemap.http_sees(onemap.identity_departments(request), d.department_id)
    ORDER BY p.id;
    GET DIAGNOSTICS lines = ROW_COUNT;
    PERFORM onemap.http_csv_end(asked, lines);
END $$;
COMMENT ON FUNCTION onemap.http_attendance_csv(jsonb) IS
    'GET /api/v1/attendance.csv: the same list line by line; nothing of who has no terminal is said';
GRANT EXECUTE ON FUNCTION onemap.http_attendance(jsonb), onemap.http_attendance_csv(jsonb) TO cityhub_api;

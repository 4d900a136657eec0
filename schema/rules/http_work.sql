-- What the routes of work answer (作业过程、作业标准、作业绩效): orders with the standard that they are held to and how they went,
-- and the same summed up by department.

-- Late: begun or ended after what was planned, or not yet although it should be by the moment; NULL: by now.
CREATE OR REPLACE FUNCTION onemap.work_performance(w onemap.work_order, moment timestamptz) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_object(
        'start_late_s', CASE WHEN w.status <> 'CANCELLED' THEN greatest(extract(epoch FROM coalesce(w.started_at, w.finished_at,
            moment, now()) - w.planned_start)::bigint, 0) END,
        'end_late_s', CASE WHEN w.status <> 'CANCELLED' THEN greatest(extract(epoch FROM coalesce(w.finished_at, moment, now())
            - w.planned_end)::bigint, 0) END,
        'duration_s', extract(epoch FROM w.finished_at - w.started_at)::bigint,
        'quantity', w.quantity, 'quantity_unit', w.quantity_unit, 'quality_score', w.quality_score)
$$;
COMMENT ON FUNCTION onemap.work_performance(onemap.work_order, timestamptz) IS
    'How work went: seconds that it began and ended late (up to now if it has not), how long it took, quantity, quality (0 to '
    '100); NULL where nothing was planned or told';

CREATE OR REPLACE FUNCTION onemap.work_is(w onemap.work_order, what text, moment timestamptz) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE what WHEN 'due' THEN w.status <> 'CANCELLED'
        WHEN 'met' THEN w.status = 'FINISHED' AND coalesce((p.p->>'end_late_s')::bigint, 0) = 0
        WHEN 'started_late' THEN coalesce((p.p->>'start_late_s')::bigint, 0) > 0
        WHEN 'ended_late' THEN coalesce((p.p->>'end_late_s')::bigint, 0) > 0 END
    FROM (SELECT onemap.work_performance(w, moment) AS p) p
$$;
COMMENT ON FUNCTION onemap.work_is(onemap.work_order, text, timestamptz) IS
    'Whether an order counts as due, met, started_late or ended_late: what the sums count, as a word of the list';

CREATE OR REPLACE FUNCTION onemap.work_person(w onemap.work_order, seen int[], moment timestamptz)
RETURNS TABLE (id int, role text)
LANGUAGE sql STABLE AS $$
    SELECT p.id, nullif(p.role, '') FROM onemap.person_as_of(moment) p
    WHERE p.id = w.person_id AND onemap.http_sees(seen, p.department_id)
$$;
COMMENT ON FUNCTION onemap.work_person(onemap.work_order, int[], timestamptz) IS
    'Whose work it is, and what that person is (岗位), for who sees these departments; no row: nobody is named, or told';

CREATE OR REPLACE FUNCTION onemap.http_work_find(request jsonb) RETURNS SETOF onemap.work_order
LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    seen int[] := onemap.identity_departments(request); most int := (request->>'limit')::int;
    units int[] := onemap.http_department_ids(request); moment timestamptz := onemap.http_at(request);
    from_at timestamptz := onemap.http_time(request, 'from'); to_at timestamptz := onemap.http_time(request, 'to');
BEGIN
    PERFORM onemap.http_check(request), onemap.http_device_check(request),
        onemap.http_there_check(request, 'person', request->>'person' = '0'
            OR EXISTS (SELECT FROM onemap.person p WHERE p.id = (request->>'person')::int),
            '人员编号见 /api/v1/people。'),
        onemap.http_there_check(request, 'vehicle', EXISTS (SELECT FROM onemap.vehicle v WHERE v.id = (request->>'vehicle')::int),
            '车辆编号见 /api/v1/vehicles。'),
        onemap.http_there_check(request, 'unit', request->>'unit' = '-'
            OR EXISTS (SELECT FROM onemap.department d WHERE d.code = request->>'unit'), '单位代码见 /api/v1/departments。'),
        onemap.http_there_check(request, 'standard', request->>'standard' = '-'
            OR EXISTS (SELECT FROM onemap.work_standard s WHERE s.code = request->>'standard'),
            '作业标准编码见作业单的 standard。');
    RETURN QUERY
    SELECT w.* FROM onemap.work_order_as_of(moment) w
    WHERE (NOT request ? 'after' OR w.id < (request->>'after')::bigint) AND onemap.http_sees(seen, w.department_id)
        AND (NOT request ? 'subsystem' OR w.subsystem = request->>'subsystem')
        AND (NOT request ? 'department' OR w.department_id = ANY (units))
        AND (NOT request ? 'unit' OR coalesce((SELECT d.code FROM onemap.department d WHERE d.id = w.department_id), '-')
            = request->>'unit')
        AND (NOT request ? 'standard' OR coalesce((SELECT s.code FROM onemap.work_standard s WHERE s.id = w.standard_id), '-')
            = request->>'standard')
        AND (NOT request ? 'is' OR onemap.work_is(w, request->>'is', moment))
        AND (NOT request ? 'status' OR w.status = upper(request->>'status'))
        AND (NOT request ? 'device' OR w.device_id = (request->>'device')::int)
        AND (NOT request ? 'person' OR coalesce((SELECT p.id FROM onemap.work_person(w, seen, moment) p), 0)
            = (request->>'person')::int)
        AND (NOT request ? 'role' OR coalesce((SELECT p.role FROM onemap.work_person(w, seen, moment) p), '-')
            = request->>'role')
        AND (NOT request ? 'vehicle' OR w.vehicle_id = (request->>'vehicle')::int)
        AND (from_at IS NULL OR w.planned_start >= from_at) AND (to_at IS NULL OR w.planned_start < to_at)
    ORDER BY w.id DESC LIMIT most;
END $$;
COMMENT ON FUNCTION onemap.http_work_find(jsonb) IS
    'The work orders that fit a request, of those that who asks may see, the newest first: a page of a list';

CREATE OR REPLACE FUNCTION onemap.http_work_entry(w onemap.work_order, seen int[], names boolean, moment timestamptz) RETURNS json
LANGUAGE sql STABLE AS $$
    SELECT json_build_object('id', w.id, 'subsystem', w.subsystem, 'vendor', w.vendor, 'code', w.code, 'title', w.title,
        'status', lower(w.status), 'department', u.code, 'device', w.device_id,
        'person', CASE WHEN n.id IS NOT NULL THEN json_build_object('id', n.id, 'code', n.code,
            'name', CASE WHEN names THEN n.name END) END,
        'vehicle', CASE WHEN v.id IS NOT NULL THEN json_build_object('id', v.id, 'code', v.code, 'plate', v.plate) END,
        'planned_start', w.planned_start, 'planned_end', w.planned_end, 'started_at', w.started_at,
        'finished_at', w.finished_at, 'result', w.result, 'lon', public.ST_X(w.geom), 'lat', public.ST_Y(w.geom),
        'standard', CASE WHEN s.id IS NOT NULL THEN json_build_object('code', s.code, 'name', s.name,
            'requirement', s.requirement,
            'source', coalesce(onemap.vendor_name(s.subsystem, s.source, moment), s.source)) END,
        'performance', onemap.work_performance(w, moment))
    FROM (SELECT) one LEFT JOIN onemap.department_as_of(moment) u ON u.id = w.department_id
        LEFT JOIN onemap.work_standard_as_of(moment) s ON s.id = w.standard_id
        LEFT JOIN onemap.person_as_of(moment) n ON n.id = w.person_id AND onemap.http_sees(seen, n.department_id)
        LEFT JOIN onemap.vehicle_as_of(moment) v ON v.id = w.vehicle_id AND onemap.http_sees(seen, v.department_id)
$$;
COMMENT ON FUNCTION onemap.http_work_entry(onemap.work_order, int[], boolean, timestamptz) IS
    'A work order as lists show it, with standard and performance; its person and vehicle if they are of these departments (NULL: '
    'all), the person''s name if names; moment: as it was then, NULL: as it is';

CREATE OR REPLACE FUNCTION onemap.http_work(request jsonb) RETURNS TABLE (body json)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    seen int[] := onemap.identity_departments(request); names boolean := onemap.http_names_people(request);
    moment timestamptz := onemap.http_at(request);
BEGIN
    RETURN QUERY
    SELECT json_build_object('work', coalesce(json_agg(onemap.http_work_entry(w, seen, names, moment) ORDER BY w.id DESC), '[]'),
        'next', CASE WHEN count(*) = (request->>'limit')::int THEN min(w.id) END)
    FROM onemap.http_work_find(request) w;
END $$;
COMMENT ON FUNCTION onemap.http_work(jsonb) IS
    'GET /api/v1/work: {work: orders with standard and performance, the newest first, next}; at: as they were at a moment';

CREATE OR REPLACE FUNCTION onemap.http_work_csv(request jsonb) RETURNS TABLE (body text)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    seen int[] := onemap.identity_departments(request); names boolean := onemap.http_names_people(request);
    moment timestamptz := onemap.http_at(request); asked jsonb := onemap.http_csv_asked(request); lines bigint;
BEGIN
    RETURN QUERY SELECT onemap.http_csv_head(request, '编号', '子系统', '厂商', '作业单号', '作业', '状态', '单位代码', '单位',
        '设备编号', '人员编号', '姓名', '车牌', '作业标准', '计划开始', '计划结束', '实际开始', '实际结束', '晚开始秒', '晚完成秒',
        '用时秒', '数量', '计量单位', '质量分', '结果', '经度', '纬度');
    RETURN QUERY
    SELECT onemap.http_csv_line(w.id::text, z.name_zh, w.vendor, w.code, w.title, CASE w.status WHEN 'PLANNED' THEN '计划'
            WHEN 'STARTED' THEN '进行中' WHEN 'FINISHED' THEN '完成' ELSE '取消' END, u.code, u.name_zh, d.code,
        e.e#>>'{person,code}', e.e#>>'{person,name}', e.e#>>'{vehicle,plate}', e.e#>>'{standard,name}',
        onemap.county_time(w.planned_start),
        onemap.county_time(w.planned_end), onemap.county_time(w.started_at), onemap.county_time(w.finished_at),
        e.e#>>'{performance,start_late_s}', e.e#>>'{performance,end_late_s}', e.e#>>'{performance,duration_s}',
        w.quantity::text, w.quantity_unit, w.quality_score::text, w.result, e.e->>'lon', e.e->>'lat')
    FROM onemap.http_work_find(asked) w JOIN onemap.subsystem z ON z.key = w.subsystem
        LEFT JOIN onemap.department_as_of(moment) u ON u.id = w.department_id
        LEFT JOIN onemap.device_as_of(moment) d ON d.id = w.device_id AND onemap.http_sees(seen, d.department_id)
        -- Once a row, not once a cell.
        CROSS JOIN LATERAL (SELECT onemap.http_work_entry(w, seen, names, moment)::jsonb OFFSET 0) e (e)
    ORDER BY w.id DESC;
    GET DIAGNOSTICS lines = ROW_COUNT;
    PERFORM onemap.http_csv_end(asked, lines);
END $$;
COMMENT ON FUNCTION onemap.http_work_csv(jsonb) IS 'GET /api/v1/work.csv: the same list line by line';
GRANT EXECUTE ON FUNCTION onemap.http_work_csv(jsonb) TO cityhub_api;
GRANT EXECUTE ON FUNCTION onemap.http_work(jsonb) TO cityhub_api;

CREATE OR REPLACE FUNCTION onemap.http_work_summary(request jsonb) RETURNS TABLE (body json)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    seen int[] := onemap.identity_departments(request); units int[] := onemap.http_department_ids(request);
    moment timestamptz := onemap.http_at(request);
    to_at timestamptz := coalesce(onemap.http_time(request, 'to'), moment, now());
    from_at timestamptz := coalesce(onemap.http_time(request, 'from'), to_at - interval '30 days');
BEGIN
    PERFORM onemap.http_check(request);
    IF from_at >= to_at OR to_at > from_at + interval '366 days' THEN
        RAISE EXCEPTION 'a summary is of 366 days at the most, from before to' USING ERRCODE = 'CH013',
            DETAIL = '汇总最长 366 天，from 须早于 to',
            HINT = '汇总最长 366 天，from 须早于 to。';
    END IF;
    RETURN QUERY
    WITH held AS (
        SELECT CASE WHEN b.by = 'unit' THEN w.department_id END AS department_id,
            CASE WHEN b.by = 'person' THEN (SELECT p.id FROM onemap.work_person(w, seen, moment) p) END AS person_id,
            CASE WHEN b.by = 'role' THEN coalesce((SELECT p.role FROM onemap.work_person(w, seen, moment) p), '-') END AS role,
            CASE WHEN b.by = 'month' THEN to_char(onemap.local_time(w.planned_start), 'YYYY-MM') END AS month,
            w.subsystem, w.status, w.quality_score, onemap.work_performance(w, moment) AS p
        FROM onemap.work_order_as_of(moment) w, (SELECT coalesce(request->>'by', 'unit') AS by) b
        WHERE w.planned_start >= from_at AND w.planned_start < to_at AND onemap.http_sees(seen, w.department_id)
            AND (NOT request ? 'subsystem' OR w.subsystem = request->>'subsystem')
            AND (NOT request ? 'department' OR w.department_id = ANY (units))),
    unit AS (
        SELECT h.department_id, h.person_id, h.role, h.month, h.subsystem,
            count(*) FILTER (WHERE h.status <> 'CANCELLED') AS due,
            count(*) FILTER (WHERE h.status = 'FINISHED') AS finished, count(*) FILTER (WHERE h.status = 'CANCELLED') AS cancelled,
            count(*) FILTER (WHERE (h.p->>'start_late_s')::bigint > 0) AS started_late,
            count(*) FILTER (WHERE (h.p->>'end_late_s')::bigint > 0) AS ended_late,
            round(avg(h.quality_score)::numeric, 2) AS quality_score
        FROM held h GROUP BY h.department_id, h.person_id, h.role, h.month, h.subsystem)
    SELECT json_build_object('from', from_at, 'to', to_at, 'time_zone', onemap.time_zone(), 'summary', coalesce(json_agg(
        json_build_object('department', d.code, 'department_zh', d.name_zh, 'person', u.person_id, 'person_code', p.code,
            'person_name', CASE WHEN onemap.http_names_people(request) THEN p.name END, 'role', u.role, 'month', u.month,
            'subsystem', u.subsystem, 'due', u.due,
            'finished', u.finished, 'cancelled', u.cancelled, 'started_late', u.started_late, 'ended_late', u.ended_late,
            'quality_score', u.quality_score) ORDER BY d.position, d.code, u.month DESC, u.role, p.code, u.subsystem), '[]'))
    FROM unit u LEFT JOIN onemap.department_as_of(moment) d ON d.id = u.department_id
        LEFT JOIN onemap.person_as_of(moment) p ON p.id = u.person_id;
END $$;
COMMENT ON FUNCTION onemap.http_work_summary(jsonb) IS
    'GET /api/v1/work/summary: work planned in a time by subsystem and department, or by person, role or month: due, finished, '
    'cancelled, started_late, ended_late, mean quality_score; at: as it was known at a moment';
GRANT EXECUTE ON FUNCTION onemap.http_work_summary(jsonb) TO cityhub_api;

-- What the routes of work answer (作业过程、作业标准、作业绩效): orders with the standard that they are held to and how they went,
-- and the same summed up by department.

-- Late: begun or ended after what was planned, or not yet although it should be.
CREATE OR REPLACE FUNCTION onemap.work_performance(w onemap.work_order) RETURNS jsonb
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT jsonb_build_object(
        'start_late_s', CASE WHEN w.status <> 'CANCELLED' THEN greatest(extract(epoch FROM coalesce(w.started_at, w.finished_at,
            now()) - w.planned_start)::bigint, 0) END,
        'end_late_s', CASE WHEN w.status <> 'CANCELLED' THEN greatest(extract(epoch FROM coalesce(w.finished_at, now())
            - w.planned_end)::bigint, 0) END,
        'duration_s', extract(epoch FROM w.finished_at - w.started_at)::bigint,
        'quantity', w.quantity, 'quantity_unit', w.quantity_unit, 'quality_score', w.quality_score)
$$;
COMMENT ON FUNCTION onemap.work_performance(onemap.work_order) IS
    'How work went: seconds that it began and ended late (up to now if it has not), how long it took, quantity, quality (0 to '
    '100); NULL where nothing was planned or told';

CREATE OR REPLACE FUNCTION onemap.work_is(w onemap.work_order, what text) RETURNS boolean
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT CASE what WHEN 'due' THEN w.status <> 'CANCELLED'
        WHEN 'met' THEN w.status = 'FINISHED' AND coalesce((p.p->>'end_late_s')::bigint, 0) = 0
        WHEN 'started_late' THEN coalesce((p.p->>'start_late_s')::bigint, 0) > 0
        WHEN 'ended_late' THEN coalesce((p.p->>'end_late_s')::bigint, 0) > 0 END
    FROM (SELECT onemap.work_performance(w) AS p) p
$$;
COMMENT ON FUNCTION onemap.work_is(onemap.work_order, text) IS
    'Whether an order counts as due, met, started_late or ended_late: what the sums count, as a word of the list';

CREATE OR REPLACE FUNCTION onemap.http_work(request jsonb) RETURNS TABLE (body json)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    seen int[] := onemap.identity_departments(request); names boolean := onemap.http_names_people(request);
    most int := (request->>'limit')::int; units int[] := onemap.http_department_ids(request);
    from_at timestamptz := onemap.http_time(request, 'from'); to_at timestamptz := onemap.http_time(request, 'to');
BEGIN
    PERFORM onemap.http_check(request);
    RETURN QUERY
    WITH page AS MATERIALIZED (
        SELECT w AS w, w.id FROM onemap.work_order w
        WHERE (NOT request ? 'after' OR w.id < (request->>'after')::bigint) AND onemap.http_sees(seen, w.department_id)
            AND (NOT request ? 'subsystem' OR w.subsystem = request->>'subsystem')
            AND (NOT request ? 'department' OR w.department_id = ANY (units))
            AND (NOT request ? 'unit' OR coalesce((SELECT d.code FROM onemap.department d WHERE d.id = w.department_id), '-')
                = request->>'unit')
            AND (NOT request ? 'standard' OR coalesce((SELECT s.code FROM onemap.work_standard s WHERE s.id = w.standard_id), '-')
                = request->>'standard')
            AND (NOT request ? 'is' OR onemap.work_is(w, request->>'is'))
            AND (NOT request ? 'status' OR w.status = upper(request->>'status'))
            AND (NOT request ? 'device' OR w.device_id = (request->>'device')::int)
            AND (NOT request ? 'person' OR w.person_id = (request->>'person')::int)
            AND (from_at IS NULL OR w.planned_start >= from_at) AND (to_at IS NULL OR w.planned_start < to_at)
        ORDER BY w.id DESC LIMIT most)
    SELECT json_build_object('work', coalesce(json_agg(json_build_object('id', (p.w).id, 'subsystem', (p.w).subsystem,
            'vendor', (p.w).vendor, 'code', (p.w).code, 'title', (p.w).title, 'status', lower((p.w).status),
            'department', u.code, 'device', (p.w).device_id,
            'person', CASE WHEN n.id IS NOT NULL THEN json_build_object('id', n.id, 'code', n.code,
                'name', CASE WHEN names THEN n.name END) END,
            'vehicle', CASE WHEN v.id IS NOT NULL THEN json_build_object('id', v.id, 'code', v.code, 'plate', v.plate) END,
            'planned_start', (p.w).planned_start, 'planned_end', (p.w).planned_end, 'started_at', (p.w).started_at,
            'finished_at', (p.w).finished_at, 'result', (p.w).result, 'lon', public.ST_X((p.w).geom), 'lat',
                public.ST_Y((p.w).geom),
            'standard', CASE WHEN s.id IS NOT NULL THEN json_build_object('code', s.code, 'name', s.name,
                'requirement', s.requirement, 'source', s.source) END,
            'performance', onemap.work_performance(p.w)) ORDER BY p.id DESC), '[]'),
        'next', CASE WHEN count(*) = most THEN min(p.id) END)
    FROM page p LEFT JOIN onemap.department u ON u.id = (p.w).department_id
        LEFT JOIN onemap.work_standard s ON s.id = (p.w).standard_id
        LEFT JOIN onemap.person n ON n.id = (p.w).person_id AND onemap.http_sees(seen, n.department_id)
        LEFT JOIN onemap.vehicle v ON v.id = (p.w).vehicle_id AND onemap.http_sees(seen, v.department_id);
END $$;
COMMENT ON FUNCTION onemap.http_work(jsonb) IS
    'GET /api/v1/work: {work: orders with standard and performance, the newest first, next}';
GRANT EXECUTE ON FUNCTION onemap.http_work(jsonb) TO cityhub_api;

CREATE OR REPLACE FUNCTION onemap.http_work_summary(request jsonb) RETURNS TABLE (body json)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET plan_cache_mode = force_custom_plan AS $$
DECLARE
    seen int[] := onemap.identity_departments(request); units int[] := onemap.http_department_ids(request);
    to_at timestamptz := coalesce(onemap.http_time(request, 'to'), now());
    from_at timestamptz := coalesce(onemap.http_time(request, 'from'), to_at - interval '30 days');
BEGIN
    PERFORM onemap.http_check(request);
    IF from_at >= to_at OR to_at > from_at + interval '366 days' THEN
        RAISE EXCEPTION 'a summary is of 366 days at the most, from before to' USING ERRCODE = 'CH013',
            HINT = '汇总最长 366 天，from 须早于 to。';
    END IF;
    RETURN QUERY
    WITH held AS (
        SELECT w.department_id, w.subsystem, w.status, w.quality_score, onemap.work_performance(w) AS p
        FROM onemap.work_order w
        WHERE w.planned_start >= from_at AND w.planned_start < to_at AND onemap.http_sees(seen, w.department_id)
            AND (NOT request ? 'subsystem' OR w.subsystem = request->>'subsystem')
            AND (NOT request ? 'department' OR w.department_id = ANY (units))),
    unit AS (
        SELECT h.department_id, h.subsystem, count(*) FILTER (WHERE h.status <> 'CANCELLED') AS due,
            count(*) FILTER (WHERE h.status = 'FINISHED') AS finished, count(*) FILTER (WHERE h.status = 'CANCELLED') AS cancelled,
            count(*) FILTER (WHERE (h.p->>'start_late_s')::bigint > 0) AS started_late,
            count(*) FILTER (WHERE (h.p->>'end_late_s')::bigint > 0) AS ended_late,
            round(avg(h.quality_score)::numeric, 2) AS quality_score
        FROM held h GROUP BY h.department_id, h.subsystem)
    SELECT json_build_object('from', from_at, 'to', to_at, 'time_zone', onemap.time_zone(), 'summary', coalesce(json_agg(
        json_build_object('department', d.code, 'department_zh', d.name_zh, 'subsystem', u.subsystem, 'due', u.due,
            'finished', u.finished, 'cancelled', u.cancelled, 'started_late', u.started_late, 'ended_late', u.ended_late,
            'quality_score', u.quality_score) ORDER BY d.position, d.code, u.subsystem), '[]'))
    FROM unit u LEFT JOIN onemap.department d ON d.id = u.department_id;
END $$;
COMMENT ON FUNCTION onemap.http_work_summary(jsonb) IS
    'GET /api/v1/work/summary: work planned in a time by department and subsystem: due, finished, cancelled, started_late, '
    'ended_late, mean quality_score';
GRANT EXECUTE ON FUNCTION onemap.http_work_summary(jsonb) TO cityhub_api;

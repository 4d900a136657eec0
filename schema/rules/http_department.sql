-- Departments' own systems: the steps of a department's cases, each once and in order, from a cursor on. Numbers are given by a
-- sweep to what it sees, one sweep after the other: an event that commits late gets a later number, and none is passed over.

CREATE OR REPLACE FUNCTION onemap.department_change_sweep() RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE mark onemap.department_change_mark; added int;
BEGIN
    SELECT * INTO mark FROM onemap.department_change_mark FOR UPDATE; -- one after the other
    INSERT INTO onemap.department_change (event_id, department, left_it)
    SELECT e.id, d.department, d.left_it
    FROM onemap.case_event e CROSS JOIN LATERAL (VALUES (e.department, false), (e.previous_department, true)) AS d
        (department, left_it)
    WHERE e.id > mark.settled_id AND d.department IS NOT NULL AND (NOT d.left_it OR e.department IS DISTINCT FROM
        e.previous_department)
    ORDER BY e.id, d.left_it ON CONFLICT DO NOTHING;
    GET DIAGNOSTICS added = ROW_COUNT;
    IF pg_snapshot_xmin(pg_current_snapshot()) > mark.noted_by OR mark.noted_by > pg_current_xact_id() THEN
        -- All that could add one up to newest_id is over; a mark of the future is that of a cluster restored from.
        UPDATE onemap.department_change_mark m SET settled_id = CASE WHEN mark.noted_by > pg_current_xact_id() THEN m.settled_id
                ELSE m.newest_id END,
            newest_id = greatest(m.newest_id, (SELECT coalesce(max(e.id), 0) FROM onemap.case_event e)),
            noted_by = pg_current_xact_id();
    END IF;
    RETURN added;
END $$;
COMMENT ON FUNCTION onemap.department_change_sweep() IS
    'Numbers the steps of cases that have come since, for the departments that are to know of them; returns how many';
INSERT INTO onemap.sweep (function_name) VALUES ('department_change_sweep') ON CONFLICT DO NOTHING;

CREATE OR REPLACE FUNCTION onemap.http_department_changes(request jsonb) RETURNS TABLE (body json)
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE mine text[] := onemap.http_department_codes(request);
BEGIN
    RETURN QUERY SELECT json_build_object('changes', coalesce(json_agg(CASE WHEN p.gone
            THEN jsonb_build_object('change', p.id, 'case', p.case_code, 'left', true)
            ELSE jsonb_build_object('change', p.id, 'case', p.case_code, 'left', false, 'seq', p.seq, 'at', p.at, 'action',
                p.action,
                'state', p.to_state, 'reason', p.reason, 'now', n.body) END ORDER BY p.id), '[]'),
        'next', coalesce(max(p.id), (request->>'after')::bigint))
    FROM (SELECT k.id, e.case_id, e.case_code, e.seq, e.at, e.action, e.to_state, e.reason, k.left_it OR NOT EXISTS (
              SELECT FROM onemap.case_record r JOIN onemap.department d ON d.id = r.department_id
              WHERE r.id = e.case_id AND d.code = ANY (mine)) AND mine IS NOT NULL AS gone
          FROM onemap.department_change k JOIN onemap.case_event e ON e.id = k.event_id
          WHERE CASE WHEN mine IS NULL THEN NOT k.left_it ELSE k.department = ANY (mine) END
              AND k.id > (request->>'after')::bigint ORDER BY k.id LIMIT (request->>'limit')::int) p
        JOIN onemap.case_record c ON c.id = p.case_id LEFT JOIN LATERAL onemap.http_case_entry(c, NULL) n ON NOT p.gone;
END $$;
COMMENT ON FUNCTION onemap.http_department_changes(jsonb) IS
    'GET /api/v1/department/cases: {changes, next}: steps of the cases of the department that asks (of all, for who sees all), '
    'each once and in order; '
    'left: it is another''s now, of which no more is told; now: the case as it stands';
GRANT EXECUTE ON FUNCTION onemap.http_department_changes(jsonb) TO cityhub_api;

-- The live stream (实时推送, GET /api/v1/stream): which alarms, cases, months' scores and silent devices changed, for the hub,
-- which pushes them, and what who opens a stream may see. Of device states only those come by here that went offline, or to another
-- department: the rest the hub has committed.

CREATE OR REPLACE FUNCTION onemap.feed_noted() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO onemap.feed_change (layer, id) SELECT TG_ARGV[0], c.id FROM changed c;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION onemap.feed_noted() IS 'Trigger: the live stream is to tell of these rows, in the layer that is its argument';
CREATE OR REPLACE TRIGGER feed_alarm_added AFTER INSERT ON onemap.alarm REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION onemap.feed_noted('alarm');
CREATE OR REPLACE TRIGGER feed_alarm_changed AFTER UPDATE ON onemap.alarm REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION onemap.feed_noted('alarm');
CREATE OR REPLACE TRIGGER feed_case_added AFTER INSERT ON onemap.case_record REFERENCING NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION onemap.feed_noted('case');

CREATE OR REPLACE FUNCTION onemap.feed_case_change_noted() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO onemap.feed_change (layer, id, was_department)
    SELECT 'case', c.id, nullif(o.department_id, c.department_id) FROM changed c JOIN was o ON o.id = c.id;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION onemap.feed_case_change_noted() IS
    'Trigger: the live stream is to tell of these cases, and a department that it is no longer theirs';
CREATE OR REPLACE TRIGGER feed_case_changed AFTER UPDATE ON onemap.case_record REFERENCING OLD TABLE AS was NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION onemap.feed_case_change_noted();

-- What belongs to a department through its device, or its vendor, goes with that; 0: it was nobody's.
CREATE OR REPLACE FUNCTION onemap.feed_device_handover_noted() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO onemap.feed_change (layer, id, was_department)
    SELECT x.layer, x.id, coalesce(o.department_id, 0)
    FROM was o JOIN changed c ON c.id = o.id CROSS JOIN LATERAL (
        SELECT 'state' AS layer, c.id::bigint AS id
        UNION ALL SELECT 'alarm', a.id FROM onemap.alarm a WHERE a.device_id = c.id AND a.closed_at IS NULL) x
    WHERE o.department_id IS DISTINCT FROM c.department_id;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION onemap.feed_device_handover_noted() IS
    'Trigger: the live stream is to tell two departments of devices, and their open alarms, that went from one to the other';
CREATE OR REPLACE TRIGGER feed_device_handover AFTER UPDATE ON onemap.device REFERENCING OLD TABLE AS was NEW TABLE AS changed
    FOR EACH STATEMENT EXECUTE FUNCTION onemap.feed_device_handover_noted();

CREATE OR REPLACE FUNCTION onemap.feed_vendor_handover_noted() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO onemap.feed_change (layer, id, was_department)
    SELECT 'alarm', a.id, coalesce(OLD.department_id, 0)
    FROM onemap.alarm a JOIN onemap.alarm_rule r ON r.id = a.rule_id
    WHERE a.device_id = 0 AND a.closed_at IS NULL AND a.vendor = NEW.vendor AND r.subsystem = NEW.subsystem;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION onemap.feed_vendor_handover_noted() IS 'Trigger: the same of open alarms of a whole vendor';
CREATE OR REPLACE TRIGGER feed_vendor_handover AFTER UPDATE ON onemap.vendor
    FOR EACH ROW WHEN (OLD.department_id IS DISTINCT FROM NEW.department_id)
    EXECUTE FUNCTION onemap.feed_vendor_handover_noted();

-- What people enter, correct, close and publish of a month; what its cases do to it is told as cases.
CREATE OR REPLACE FUNCTION onemap.feed_score_noted() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    INSERT INTO onemap.feed_change (layer, id)
    SELECT DISTINCT 'score', to_char(m.month::date, 'YYYYMM')::bigint
    FROM (VALUES (to_jsonb(NEW)->>'month'), (to_jsonb(NEW)->>'counted_month')) AS m (month) WHERE m.month IS NOT NULL;
    RETURN NULL;
END $$;
COMMENT ON FUNCTION onemap.feed_score_noted() IS 'Trigger: the live stream is to tell of the months that this row counts in';
CREATE OR REPLACE TRIGGER feed_score_added AFTER INSERT ON onemap.score_input FOR EACH ROW
    EXECUTE FUNCTION onemap.feed_score_noted();
CREATE OR REPLACE TRIGGER feed_score_added AFTER INSERT ON onemap.score_adjustment FOR EACH ROW
    EXECUTE FUNCTION onemap.feed_score_noted();
CREATE OR REPLACE TRIGGER feed_score_added AFTER INSERT ON onemap.assessment_entry FOR EACH ROW
    EXECUTE FUNCTION onemap.feed_score_noted();
CREATE OR REPLACE TRIGGER feed_score_added AFTER INSERT ON onemap.assessment_award FOR EACH ROW
    EXECUTE FUNCTION onemap.feed_score_noted();
CREATE OR REPLACE TRIGGER feed_score_added AFTER INSERT ON onemap.assessment_publication FOR EACH ROW
    EXECUTE FUNCTION onemap.feed_score_noted();
CREATE OR REPLACE TRIGGER feed_score_closed AFTER UPDATE ON onemap.score_month FOR EACH ROW
    WHEN (OLD.closed_at IS DISTINCT FROM NEW.closed_at) EXECUTE FUNCTION onemap.feed_score_noted();

CREATE OR REPLACE FUNCTION onemap.feed_score(id bigint) RETURNS text
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT json_build_object('id', $1, 'month', to_char(m.month, 'YYYY-MM'),
        'closed', EXISTS (SELECT FROM onemap.score_month s WHERE s.month = m.month AND s.closed_at IS NOT NULL),
        'published', EXISTS (SELECT FROM onemap.assessment_publication p WHERE p.month = m.month),
        'inputs', (SELECT count(*) FROM onemap.score_input i WHERE i.month = m.month),
        'adjustments', (SELECT count(*) FROM onemap.score_adjustment a WHERE m.month IN (a.month, a.counted_month)),
        'entries', (SELECT count(*) FROM onemap.assessment_entry e WHERE e.month = m.month),
        'awards', (SELECT count(*) FROM onemap.assessment_award w WHERE w.month = m.month))::text
    FROM (SELECT make_date(($1 / 100)::int, ($1 % 100)::int, 1) AS month) m
$$;
COMMENT ON FUNCTION onemap.feed_score(bigint) IS
    'A month (id 202610) as the live stream shows it: how far it is, and how much was entered; the scores have their own route';

CREATE OR REPLACE FUNCTION onemap.feed_change_sweep() RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE gone int;
BEGIN
    DELETE FROM onemap.feed_change c WHERE c.changed_at < now() - interval '10 minutes';
    GET DIAGNOSTICS gone = ROW_COUNT;
    RETURN gone;
END $$;
COMMENT ON FUNCTION onemap.feed_change_sweep() IS
    'Forgets changes of more than 10 minutes ago: a hub that did not read for 5 tells its clients to read anew';
INSERT INTO onemap.sweep (function_name) VALUES ('feed_change_sweep') ON CONFLICT DO NOTHING;

CREATE OR REPLACE FUNCTION onemap.feed_alarm(id bigint)
RETURNS TABLE (subsystem text, department int, lon float8, lat float8, body text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT r.subsystem, CASE WHEN a.device_id = 0 THEN v.department_id ELSE d.department_id END,
        public.ST_X(p.place), public.ST_Y(p.place),
        json_build_object('id', a.id, 'subsystem', r.subsystem, 'rule', r.key, 'name_zh', r.name_zh, 'severity', a.severity,
            'device', nullif(a.device_id, 0), 'vendor', coalesce(d.vendor, a.vendor), 'lon', public.ST_X(p.place),
            'lat', public.ST_Y(p.place), 'opened_at', a.opened_at, 'closed_at', a.closed_at, 'value', a.value,
            'closing_value', a.closing_value, 'close_reason', a.close_reason,
            'close_reason_zh', onemap.alarm_end_zh(a.close_reason), 'acknowledged_at', a.acknowledged_at,
            'acknowledged_by', a.acknowledged_by)::text
    FROM onemap.alarm a JOIN onemap.alarm_rule r ON r.id = a.rule_id LEFT JOIN onemap.device d ON d.id = a.device_id
        LEFT JOIN onemap.device_state s ON s.device_id = a.device_id
        LEFT JOIN onemap.vendor v ON v.subsystem = r.subsystem AND v.vendor = a.vendor
        CROSS JOIN LATERAL (SELECT coalesce(s.geom, d.geom) AS place) p
    WHERE a.id = $1
$$;
COMMENT ON FUNCTION onemap.feed_alarm(bigint) IS 'An alarm as the live stream shows it; department: whose rows it is among';

CREATE OR REPLACE FUNCTION onemap.feed_case(id bigint)
RETURNS TABLE (subsystem text, department int, lon float8, lat float8, body text)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    SELECT c.subsystem, c.department_id, public.ST_X(c.geom), public.ST_Y(c.geom),
        json_build_object('id', c.id, 'code', c.code, 'version', c.version, 'state', c.state, 'title', c.title, 'source', c.source,
            'category', c.category_code, 'department', u.code, 'subsystem', c.subsystem, 'device', c.device_id,
            'grid_cell', c.grid_cell, 'lon', public.ST_X(c.geom), 'lat', public.ST_Y(c.geom), 'reported_at', c.reported_at,
            'deadline_at', c.deadline_at, 'stage_deadline_at', c.stage_deadline_at, 'ended_at', c.ended_at,
            'last_event_at', c.last_event_at, 'event', e.seq, 'action', e.action)::text
    FROM onemap.case_record c LEFT JOIN onemap.department u ON u.id = c.department_id
        LEFT JOIN onemap.case_event e ON e.case_id = c.id AND e.seq = c.event_count
    WHERE c.id = $1
$$;
COMMENT ON FUNCTION onemap.feed_case(bigint) IS
    'A case as the live stream shows it, with the number of its last event and what was done; never who reported it';

CREATE OR REPLACE FUNCTION onemap.feed_changes(previous pg_catalog.pg_snapshot, most int)
RETURNS TABLE (layer text, id bigint, subsystem text, department int, was text, lon float8, lat float8, body text, vendor text,
    code text, online boolean, last_seen_ms bigint)
LANGUAGE sql STABLE SET search_path = pg_catalog, pg_temp AS $$
    WITH changed AS MATERIALIZED (
        SELECT c.layer, c.id, string_agg(DISTINCT c.was_department::text, ',') AS was
        FROM onemap.feed_change c
        WHERE c.changed_xid >= pg_snapshot_xmin(previous) AND NOT pg_visible_in_snapshot(c.changed_xid, previous)
        GROUP BY c.layer, c.id LIMIT most)
    SELECT c.layer, c.id, f.subsystem, f.department, c.was, f.lon, f.lat, f.body, NULL, NULL, NULL::boolean, NULL::bigint
    FROM changed c CROSS JOIN LATERAL onemap.feed_alarm(c.id) f WHERE c.layer = 'alarm'
    UNION ALL
    SELECT c.layer, c.id, f.subsystem, f.department, c.was, f.lon, f.lat, f.body, NULL, NULL, NULL, NULL
    FROM changed c CROSS JOIN LATERAL onemap.feed_case(c.id) f WHERE c.layer = 'case'
    UNION ALL
    SELECT c.layer, c.id, NULL, NULL, NULL, NULL, NULL, onemap.feed_score(c.id), NULL, NULL, NULL, NULL
    FROM changed c WHERE c.layer = 'score'
    UNION ALL
    SELECT c.layer, c.id, d.subsystem, d.department_id, c.was, NULL, NULL, NULL, d.vendor, d.code, s.online,
        (date_part('epoch', s.last_seen_at) * 1000)::bigint
    FROM changed c JOIN onemap.device d ON d.id = c.id LEFT JOIN onemap.device_state s ON s.device_id = d.id
    WHERE c.layer = 'state'
    UNION ALL
    SELECT 'position', c.id, d.subsystem, d.department_id, c.was, public.ST_X(s.geom), public.ST_Y(s.geom), NULL, d.vendor, d.code,
        NULL, (date_part('epoch', s.geom_at) * 1000)::bigint
    FROM changed c JOIN onemap.device d ON d.id = c.id JOIN onemap.device_state s ON s.device_id = d.id
    WHERE c.layer = 'state' AND c.was IS NOT NULL AND s.geom IS NOT NULL
$$;
COMMENT ON FUNCTION onemap.feed_changes(pg_catalog.pg_snapshot, int) IS
    'What transactions have changed that the snapshot did not see yet, each thing once and as it is now; was: departments whose '
    'it is no longer, 0: nobody''s; last_seen_ms: of a position when it was there; at most so many things';
GRANT EXECUTE ON FUNCTION onemap.feed_changes(pg_catalog.pg_snapshot, int), onemap.feed_alarm(bigint), onemap.feed_case(bigint),
    onemap.feed_score(bigint) TO cityhub_hub;

-- ---- the route ----

CREATE OR REPLACE FUNCTION onemap.http_stream(request jsonb) RETURNS TABLE (departments text, snapshot text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT (SELECT CASE WHEN sees.ids IS NOT NULL OR wanted.id IS NOT NULL THEN coalesce((
                SELECT string_agg(d.id::text, ',' ORDER BY d.id) FROM onemap.department d
                WHERE (sees.ids IS NULL OR d.id = ANY (sees.ids))
                    AND (wanted.id IS NULL OR d.id = ANY (onemap.department_tree(wanted.id)))), '') END),
        pg_current_snapshot()::text
    FROM (SELECT onemap.identity_departments(request) AS ids) sees
        LEFT JOIN onemap.department wanted ON wanted.code = request->>'department'
    WHERE NOT request ? 'department' OR wanted.id IS NOT NULL
$$;
COMMENT ON FUNCTION onemap.http_stream(jsonb) IS
    'GET /api/v1/stream: ids of the departments whose rows it shows, with commas between (NULL: all rows); no row: no such '
    'department; snapshot: what changed up to now is seen by who reads from now on';
GRANT EXECUTE ON FUNCTION onemap.http_stream(jsonb) TO cityhub_api;

CREATE OR REPLACE FUNCTION onemap.http_stream_over(claims jsonb) RETURNS TABLE (place int)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT c.n::int - 1
    FROM jsonb_array_elements(claims) WITH ORDINALITY AS c (claim, n)
    WHERE NOT EXISTS (SELECT FROM onemap.identity_find(c.claim->>'kind', decode(c.claim->>'hash', 'hex'), c.claim->>'address') f
            WHERE f.identity::jsonb = c.claim->'identity')
        OR c.claim ? 'department'
            AND (SELECT s.departments FROM onemap.http_stream(c.claim) s) IS DISTINCT FROM c.claim->>'departments'
$$;
COMMENT ON FUNCTION onemap.http_stream_over(jsonb) IS
    'Which of these, counted from 0, are no longer who they were when they opened a stream: revoked, logged out, with other posts, '
    'rights or departments; of a stream of one department also if others are below it now: [{kind, hash, address, identity, '
    'department, departments as http_stream() answered}]';
GRANT EXECUTE ON FUNCTION onemap.http_stream_over(jsonb) TO cityhub_api;

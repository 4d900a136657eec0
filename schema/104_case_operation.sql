-- The two operations that everybody calls, onemap.case_report() and onemap.case_do(), JSON in and out; what the hub does by
-- itself (subsystems' reports, alarms, warnings, new calendars, seals); and the check of the journal. Readers are in 105.
-- Nothing here writes the case or its journal but through onemap.case_write() and onemap.case_open().

CREATE FUNCTION onemap.case_candidate_codes(candidates int[]) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT coalesce(jsonb_agg(d.code ORDER BY k.place), '[]')
            FROM unnest(candidates) WITH ORDINALITY AS k (id, place) JOIN onemap.department d ON d.id = k.id);
END $$;
COMMENT ON FUNCTION onemap.case_candidate_codes(int[]) IS 'Candidates in their order, by code';

CREATE FUNCTION onemap.case_department_code(department_id int) RETURNS text
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN (SELECT d.code FROM onemap.department d WHERE d.id = $1);
END $$;
COMMENT ON FUNCTION onemap.case_department_code(int) IS 'Code of a department, NULL if there is none';

CREATE FUNCTION onemap.case_answer(c onemap.case_record, unit text) RETURNS jsonb
LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN jsonb_build_object('case', c.code, 'version', c.version, 'state', c.state, 'seq', c.event_count, 'category', c.category_code,
        'condition', c.condition_number, 'department', unit,
        'candidates', CASE WHEN c.state IN ('registered', 'returned') THEN onemap.case_candidate_codes(c.candidates) END, 'deadline_at', c.deadline_at);
END $$;
COMMENT ON FUNCTION onemap.case_answer(onemap.case_record, text) IS 'What an operation answers about a case and the code of its department: {case, version, state, seq, category, condition, department, candidates, deadline_at}';

CREATE FUNCTION onemap.case_role_check(role text, unit text, c onemap.case_record) RETURNS void
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF role = 'system' AND NOT (pg_has_role(session_user, 'cityhub_hub', 'MEMBER') OR pg_has_role(session_user, 'cityhub_history', 'MEMBER')) THEN
        RAISE EXCEPTION 'the login % may not act as the system', session_user USING ERRCODE = 'CH019';
    ELSIF unit IS NOT NULL AND c.department_id IS DISTINCT FROM onemap.case_department(unit) THEN
        RAISE EXCEPTION 'case % is not with the department %', c.code, unit USING ERRCODE = 'CH019',
            HINT = coalesce('It is with ' || (SELECT d.code || ' ' || d.name_zh FROM onemap.department d WHERE d.id = c.department_id) || '.', 'It is with none yet.');
    END IF;
END $$;
COMMENT ON FUNCTION onemap.case_role_check(text, text, onemap.case_record) IS
    'CH019 if the login may not act as the system, or the unit that acts is not the responsible one';

CREATE FUNCTION onemap.case_refused(c onemap.case_record, action text, role text) RETURNS void
LANGUAGE plpgsql STABLE AS $$
DECLARE others text; open_to text;
BEGIN
    IF NOT EXISTS (SELECT FROM onemap.case_action a WHERE a.action = $2 AND a.action <> 'report') THEN
        RAISE EXCEPTION 'there is no action "%"', action USING ERRCODE = 'CH013',
            HINT = (SELECT 'Actions: ' || string_agg(a.action, ', ' ORDER BY a.action) || '.' FROM onemap.case_action a WHERE a.action <> 'report');
    ELSIF NOT EXISTS (SELECT FROM onemap.case_role r WHERE r.role = $3) THEN
        RAISE EXCEPTION 'there is no role "%"', role USING ERRCODE = 'CH013',
            HINT = (SELECT 'Roles: ' || string_agg(r.role, ', ' ORDER BY r.role) || '.' FROM onemap.case_role r);
    END IF;
    SELECT string_agg(t.role, ', ' ORDER BY t.role) INTO others FROM onemap.case_transition t WHERE t.action = $2 AND t.from_state = c.state;
    SELECT string_agg(t.action, ', ' ORDER BY t.action) INTO open_to FROM onemap.case_transition t WHERE t.role = $3 AND t.from_state = c.state;
    RAISE EXCEPTION 'case % is %: % is not for a % there', c.code, c.state, action, role USING ERRCODE = 'CH010',
        HINT = CASE WHEN others IS NULL THEN format('Nobody can %s a case that is %s.', action, c.state) ELSE format('It is for %s.', others) END
            || coalesce(format(' A %s can: %s.', role, open_to), '');
END $$;
COMMENT ON FUNCTION onemap.case_refused(onemap.case_record, text, text) IS 'Says why a transition is refused: CH010, or CH013 if there is no such action or role';

CREATE FUNCTION onemap.case_apply(c onemap.case_record, action text, role text, actor text, moment timestamptz, request jsonb, to_state text,
    unit text DEFAULT NULL) RETURNS onemap.case_record
LANGUAGE plpgsql AS $$
DECLARE n onemap.case_record; detail jsonb := request - '{case,action,role,actor,version,reason,at,unit,attachments,satisfaction}'::text[];
BEGIN
    n := onemap.case_act(c, action, request, moment);
    IF to_state = '<' THEN
        n := onemap.case_enter(n, c.resume_state, moment);
    ELSIF to_state <> '=' THEN
        n := onemap.case_enter(n, to_state, moment);
    ELSIF action IN ('classify', 'retime') THEN
        n.stage_deadline_at := onemap.case_stage_deadline(n);
    END IF;
    IF jsonb_typeof(request->'attachments') <> 'null' THEN
        detail := detail || jsonb_build_object('attachments', onemap.case_attachments(request));
    END IF;
    IF action = 'register' THEN
        detail := detail || jsonb_build_object('candidates', onemap.case_candidate_codes(n.candidates));
    ELSIF action = 'grant_extension' THEN
        detail := detail || jsonb_build_object('amount', coalesce(request->'amount', c.asked_extension->'amount'));
    END IF;
    RETURN onemap.case_write(c, n, action, role, actor, moment, request, detail, unit);
END $$;
COMMENT ON FUNCTION onemap.case_apply(onemap.case_record, text, text, text, timestamptz, jsonb, text, text) IS
    'Does a permitted action to a case that was read just now; returns the case after it; unit: code of the department it was with, if known';

-- What goes with an action beyond the case itself.
CREATE FUNCTION onemap.case_follow(c onemap.case_record, action text, moment timestamptz) RETURNS onemap.case_record
LANGUAGE plpgsql AS $$
DECLARE kept onemap.case_record;
BEGIN
    IF action = 'merge' THEN
        SELECT * INTO kept FROM onemap.case_record r WHERE r.id = c.merged_into FOR NO KEY UPDATE;
        IF kept.ended_at IS NOT NULL THEN
            RAISE EXCEPTION 'case % cannot be merged into %: that one has just ended', c.code, kept.code USING ERRCODE = 'CH011';
        END IF;
        PERFORM onemap.case_apply(kept, 'attach', 'system', 'cityhub', greatest(moment, kept.last_event_at), jsonb_build_object('merged', c.code), '=');
    ELSIF c.state = 'registered' AND cardinality(c.candidates) = 1 AND onemap.setting('case_dispatch_single') = 'on' THEN
        c := onemap.case_apply(c, 'dispatch', 'system', 'cityhub', moment, '{}', 'dispatched');
    END IF;
    RETURN c;
END $$;
COMMENT ON FUNCTION onemap.case_follow(onemap.case_record, text, timestamptz) IS
    'merge: the kept case notes it; a case registered for one department alone is dispatched to it, where the setting case_dispatch_single is on';

CREATE FUNCTION onemap.case_do(request jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp SET enable_seqscan = off AS $$
-- enable_seqscan: all of it looks things up by key, in small tables too, which without statistics are read whole.
DECLARE
    c onemap.case_record; n onemap.case_record; a record; role text := request->>'role'; action text := request->>'action';
BEGIN
    IF NOT coalesce(role <> '' AND action <> '' AND request->>'case' <> '' AND request->>'actor' <> '' AND request->>'version' <> '', false) THEN
        PERFORM onemap.case_fields_check(request, NULL, '{case,action,role,actor,version}');
    END IF;
    SELECT * INTO c FROM onemap.case_record r WHERE r.code = request->>'case';
    IF NOT FOUND THEN
        RAISE EXCEPTION 'there is no case "%"', request->>'case' USING ERRCODE = 'CH017';
    END IF;
    SELECT '{case,action,role,actor,version,reason,at,unit,attachments}' || k.fields AS fields, k.reason_required, t.to_state,
           d.code AS unit, d.active INTO a
    FROM onemap.case_transition t JOIN onemap.case_action k ON k.action = t.action LEFT JOIN onemap.department d ON d.id = c.department_id
    WHERE t.action = request->>'action' AND t.from_state = c.state AND t.role = request->>'role';
    IF NOT FOUND THEN
        PERFORM onemap.case_refused(c, action, role);
    ELSIF request - a.fields <> '{}' THEN
        PERFORM onemap.case_fields_check(request, a.fields, '{}');
    ELSIF onemap.case_text(request, 'actor', 100) IS NULL THEN
        RAISE EXCEPTION 'field "actor" is missing' USING ERRCODE = 'CH013';
    ELSIF request->>'version' <> c.version::text AND onemap.case_whole(request, 'version', 1, 2147483647) <> c.version THEN
        RAISE EXCEPTION 'case %: version % is no longer its last, which is %', c.code, request->>'version', c.version
            USING ERRCODE = 'CH011', HINT = 'Somebody else changed it meanwhile: look at it again, then decide again.';
    ELSIF a.reason_required AND onemap.case_text(request, 'reason', 2000) IS NULL THEN
        RAISE EXCEPTION 'case %: % needs a reason', c.code, action USING ERRCODE = 'CH012', HINT = 'Give "reason".';
    ELSIF role = 'system' OR request ? 'unit' AND (request->>'unit' = a.unit AND a.active) IS NOT TRUE THEN
        PERFORM onemap.case_role_check(role, request->>'unit', c);
    END IF;
    n := onemap.case_apply(c, action, role, btrim(request->>'actor'), onemap.case_at(request, c.last_event_at), request, a.to_state, a.unit);
    IF action IN ('merge', 'register', 'classify') THEN
        n := onemap.case_follow(n, action, n.last_event_at);
    END IF;
    RETURN onemap.case_answer(n, CASE WHEN n.department_id = c.department_id THEN a.unit ELSE onemap.case_department_code(n.department_id) END);
END $$;
COMMENT ON FUNCTION onemap.case_do(jsonb) IS
    'One action on one case: {case, action, role, actor, version, reason, unit, attachments, at, and the action''s own fields}; answers {case, version, state, seq, category, condition, department, candidates, deadline_at}; errors CH010 to CH020 of docs/cases.md';
GRANT EXECUTE ON FUNCTION onemap.case_do(jsonb) TO cityhub_api, cityhub_hub, cityhub_history;

-- ---- reports ----

CREATE FUNCTION onemap.case_open(c onemap.case_record, role text, actor text, request jsonb, detail jsonb) RETURNS onemap.case_record
LANGUAGE plpgsql AS $$
DECLARE was onemap.case_record; e onemap.case_event;
BEGIN
    c.id := nextval('onemap.case_record_id_seq');
    c.code := to_char(c.reported_at AT TIME ZONE onemap.setting('time_zone'), 'YYYYMMDD') || '-' || lpad(c.id::text, greatest(6, length(c.id::text)), '0');
    c.version := 1; c.event_count := 1; c.state := 'reported'; c.candidates := '{}'; c.flags := '{}';
    c.rework_count := 0; c.return_count := 0; c.wrong_dispatch_count := 0; c.extension_count := 0; c.suspension_count := 0;
    c.supervision_count := 0; c.reminder_count := 0;
    c.stage_entered_at := c.reported_at; c.last_event_at := c.reported_at;
    c.stage_deadline_at := onemap.case_stage_deadline(c);
    was.last_hash := decode(repeat('00', 32), 'hex');
    e := onemap.case_event_make(was, c, 'report', role, actor, c.reported_at, request, detail, NULL);
    c.last_hash := e.hash;
    INSERT INTO onemap.case_record OVERRIDING SYSTEM VALUE SELECT c.*;
    e.id := onemap.case_event_add(e);
    RETURN c;
END $$;
COMMENT ON FUNCTION onemap.case_open(onemap.case_record, text, text, jsonb, jsonb) IS 'Writes a new case and its first event; draws its number: day-serial';

CREATE FUNCTION onemap.case_place(c onemap.case_record, request jsonb) RETURNS onemap.case_record
LANGUAGE plpgsql STABLE AS $$
DECLARE d record; lon numeric := onemap.case_number(request, 'lon', -180, 180); lat numeric := onemap.case_number(request, 'lat', -90, 90);
BEGIN
    IF (lon IS NULL) <> (lat IS NULL) THEN
        RAISE EXCEPTION 'a place needs both "lon" and "lat"' USING ERRCODE = 'CH013';
    ELSIF request->>'component_code' !~ '^[0-9]{16}$' THEN
        RAISE EXCEPTION 'field "component_code" must be 16 digits, not %', request->>'component_code' USING ERRCODE = 'CH013';
    ELSIF request ? 'device_code' AND NOT request ?& '{subsystem,vendor}' THEN
        RAISE EXCEPTION 'field "device_code" needs "subsystem" and "vendor"' USING ERRCODE = 'CH013';
    END IF;
    c.component_code := request->>'component_code';
    SELECT x.id, x.geom, x.grid_cell, x.component_code INTO d FROM onemap.device x
    WHERE CASE WHEN request ? 'device_code' THEN x.subsystem = c.subsystem AND x.vendor = c.vendor AND x.code = request->>'device_code'
               ELSE x.component_code = c.component_code END ORDER BY x.id LIMIT 1;
    IF FOUND THEN
        c.device_id := d.id;
        c.component_code := coalesce(c.component_code, d.component_code);
    ELSIF request ? 'device_code' THEN
        RAISE EXCEPTION 'there is no device "%" of %/%', request->>'device_code', c.subsystem, c.vendor USING ERRCODE = 'CH013';
    END IF;
    c.geom := coalesce(public.ST_SetSRID(public.ST_MakePoint(lon::float8, lat::float8), 4326), d.geom);
    c.grid_cell := onemap.case_text(request, 'grid_cell', 15);
    IF c.grid_cell IS NOT NULL AND NOT EXISTS (SELECT FROM onemap.grid_cell g WHERE g.code = c.grid_cell) THEN
        RAISE EXCEPTION 'there is no grid cell "%"', c.grid_cell USING ERRCODE = 'CH013';
    END IF;
    c.grid_cell := coalesce(c.grid_cell, CASE WHEN lon IS NOT NULL THEN onemap.grid_cell_at(c.geom) ELSE d.grid_cell END);
    c.street := left(c.grid_cell, 9);
    RETURN c;
END $$;
COMMENT ON FUNCTION onemap.case_place(onemap.case_record, jsonb) IS
    'Where a case is: its place (WGS 84) or that of its device or component, and the grid cell there unless the request names one';

CREATE FUNCTION onemap.case_new(request jsonb, moment timestamptz) RETURNS onemap.case_record
LANGUAGE plpgsql STABLE AS $$
DECLARE c onemap.case_record;
BEGIN
    c.catalogue_version := onemap.case_catalogue_current();
    IF c.catalogue_version IS NULL THEN
        RAISE EXCEPTION 'there is no catalogue of categories yet' USING ERRCODE = 'CH015', HINT = '`cityhub catalogue import` brings one.';
    END IF;
    c.source := request->>'source';
    c.title := coalesce(onemap.case_text(request, 'title', 200), '');
    c.description := coalesce(onemap.case_text(request, 'description', 4000), '');
    c.reporter := coalesce(onemap.case_text(request, 'reporter', 100), '');
    c.address := coalesce(onemap.case_text(request, 'address', 300), '');
    c.subsystem := onemap.case_text(request, 'subsystem', 32);
    c.vendor := onemap.case_text(request, 'vendor', 63);
    c.external_code := onemap.case_text(request, 'external_code', 128);
    c.reported_at := moment;
    IF c.subsystem IS NOT NULL AND NOT EXISTS (SELECT FROM onemap.subsystem s WHERE s.key = c.subsystem) THEN
        RAISE EXCEPTION 'there is no subsystem "%"', c.subsystem USING ERRCODE = 'CH013';
    ELSIF c.external_code IS NOT NULL AND EXISTS (SELECT FROM onemap.case_record r
            WHERE r.subsystem = c.subsystem AND r.vendor = c.vendor AND r.external_code = c.external_code) THEN
        RAISE EXCEPTION '%/% has reported "%" before', c.subsystem, c.vendor, c.external_code USING ERRCODE = 'CH018';
    END IF;
    RETURN onemap.case_place(onemap.case_classify(c, request, false), request);
END $$;
COMMENT ON FUNCTION onemap.case_new(jsonb, timestamptz) IS 'A case from the fields of a report, not yet written';

CREATE FUNCTION onemap.case_report(request jsonb) RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    c onemap.case_record; attachments jsonb;
    known text[] := '{source,role,actor,title,description,reporter,address,category,condition,lon,lat,grid_cell,component_code,subsystem,vendor,device_code,external_code,contact,attachments,reason,at}';
BEGIN
    PERFORM onemap.case_fields_check(request, known, '{source,role,actor}');
    IF NOT EXISTS (SELECT FROM onemap.case_source s WHERE s.source = request->>'source') THEN
        RAISE EXCEPTION 'there is no source "%"', request->>'source' USING ERRCODE = 'CH013',
            HINT = (SELECT 'Sources: ' || string_agg(s.source, ', ' ORDER BY s.source) || '.' FROM onemap.case_source s);
    ELSIF NOT EXISTS (SELECT FROM onemap.case_report_right t WHERE t.source = request->>'source' AND t.role = request->>'role') THEN
        RAISE EXCEPTION 'a % does not report cases of source %', request->>'role', request->>'source' USING ERRCODE = 'CH010',
            HINT = (SELECT 'It is for ' || string_agg(t.role, ', ' ORDER BY t.role) || '.' FROM onemap.case_report_right t WHERE t.source = request->>'source');
    ELSIF request->>'source' = 'alarm' AND NOT request ?& '{device_code,category}' THEN
        RAISE EXCEPTION 'a case of source alarm needs "device_code" and "category"' USING ERRCODE = 'CH013';
    END IF;
    IF request ? 'contact' THEN
        PERFORM onemap.case_fields_check(request->'contact', '{name,phone}', '{}');
    END IF;
    PERFORM onemap.case_role_check(request->>'role', NULL, c);
    attachments := onemap.case_attachments(request);
    c := onemap.case_new(request, onemap.case_at(request, '-infinity'));
    -- Who reported stays out of the journal, which nobody can ever correct.
    c := onemap.case_open(c, request->>'role', coalesce(onemap.case_text(request, 'actor', 100), ''), request,
        request - '{source,role,actor,category,condition,grid_cell,reason,at,contact,reporter}'::text[]
        || CASE WHEN attachments IS NULL THEN '{}' ELSE jsonb_build_object('attachments', attachments) END);
    IF request ? 'contact' THEN
        INSERT INTO onemap.case_contact (case_id, name, phone)
        VALUES (c.id, coalesce(onemap.case_text(request->'contact', 'name', 100), ''), coalesce(onemap.case_text(request->'contact', 'phone', 40), ''));
    END IF;
    RETURN onemap.case_answer(c, NULL);
EXCEPTION WHEN unique_violation THEN
    RAISE EXCEPTION 'there is an open case of this alarm or report already' USING ERRCODE = 'CH018';
END $$;
COMMENT ON FUNCTION onemap.case_report(jsonb) IS
    'Opens a case: {source, role, actor, title, description, reporter, address, category, condition, lon, lat (WGS 84), grid_cell, component_code, subsystem, vendor, device_code, external_code, contact: {name, phone}, attachments, at}; answers as case_do()';
GRANT EXECUTE ON FUNCTION onemap.case_report(jsonb) TO cityhub_api, cityhub_hub, cityhub_history;

CREATE FUNCTION onemap.case_report_from_subsystem(subsystem text, vendor text, record jsonb) RETURNS text
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE answer jsonb;
BEGIN
    IF record ? 'category_code' AND NOT EXISTS (SELECT FROM onemap.case_category k
            WHERE k.version = onemap.case_catalogue_current() AND k.code = record->>'category_code') THEN
        RAISE EXCEPTION 'category_code: the catalogue has no category %', record->>'category_code' USING ERRCODE = 'CH002';
    END IF;
    PERFORM onemap.record_device(subsystem, vendor, record, 'device_code');
    answer := onemap.case_report(jsonb_strip_nulls(jsonb_build_object('source', 'subsystem', 'role', 'system', 'actor', vendor,
        'subsystem', subsystem, 'vendor', vendor, 'external_code', record->>'case_code', 'category', record->>'category_code',
        'title', left(record->>'title', 200), 'description', left(record->>'description', 4000), 'device_code', record->>'device_code',
        'lon', record->'lon', 'lat', record->'lat', 'attachments', nullif(record->'attachments', '[]'),
        'reason', concat_ws(' ', 'occurred at ' || to_char(onemap.record_time(record, 'occurred_at_ms') AT TIME ZONE onemap.setting('time_zone'),
            'YYYY-MM-DD HH24:MI:SS'), 'severity ' || (record->>'severity')))));
    RETURN answer->>'case';
END $$;
COMMENT ON FUNCTION onemap.case_report_from_subsystem(text, text, jsonb) IS
    'Opens a case from a decoded CaseRecord of a subsystem (proto/common.proto); its own time and severity become the reason; CH002 for an unknown device or category';
GRANT EXECUTE ON FUNCTION onemap.case_report_from_subsystem(text, text, jsonb) TO cityhub_hub;

-- ---- alarms ----

CREATE FUNCTION onemap.case_for_alarm(device_id int, category text) RETURNS onemap.case_record
LANGUAGE plpgsql AS $$
DECLARE c onemap.case_record;
BEGIN
    -- An open case of this device and category, or one that such a case was merged into.
    SELECT r.* INTO c FROM onemap.case_record r
    WHERE r.device_id = $1 AND r.category_code = $2 AND r.ended_at IS NULL ORDER BY r.source <> 'alarm', r.id LIMIT 1 FOR NO KEY UPDATE;
    IF NOT FOUND THEN
        SELECT k.* INTO c FROM onemap.case_record r JOIN onemap.case_record k ON k.id = r.merged_into
        WHERE r.device_id = $1 AND r.category_code = $2 AND k.ended_at IS NULL ORDER BY k.id LIMIT 1 FOR NO KEY UPDATE OF k;
    END IF;
    RETURN c;
END $$;
COMMENT ON FUNCTION onemap.case_for_alarm(int, text) IS 'The open case that an alarm of this device and category belongs to, locked; all NULL if there is none';

CREATE FUNCTION onemap.case_from_alarm(alarm_id bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE a record; c onemap.case_record; moment timestamptz; about jsonb;
BEGIN
    SELECT x.id, x.device_id, x.opened_at, x.value, x.severity, r.key, r.name_zh, r.category_code, r.metric, r.comparison, r.threshold,
           d.subsystem, d.vendor, d.code, d.name_zh AS device_name
    INTO STRICT a FROM onemap.alarm x JOIN onemap.alarm_rule r ON r.id = x.rule_id JOIN onemap.device d ON d.id = x.device_id WHERE x.id = $1;
    about := jsonb_build_object('alarm', jsonb_strip_nulls(jsonb_build_object('id', a.id, 'rule', a.key, 'opened_at', a.opened_at,
        'value', a.value, 'severity', a.severity)));
    c := onemap.case_for_alarm(a.device_id, a.category_code);
    IF c.id IS NOT NULL THEN
        c := onemap.case_apply(c, 'attach', 'system', 'cityhub', greatest(clock_timestamp(), c.last_event_at), about, '=');
    ELSE
        moment := clock_timestamp();
        c := onemap.case_new(jsonb_strip_nulls(jsonb_build_object('source', 'alarm', 'title', left(a.name_zh || '：' || coalesce(nullif(a.device_name, ''), a.code), 200),
            'description', concat_ws(' ', a.metric, a.value, a.comparison, a.threshold), 'subsystem', a.subsystem, 'vendor', a.vendor,
            'device_code', a.code, 'category', a.category_code,
            'condition', (SELECT min(n.number) FROM onemap.case_condition n
                          WHERE n.version = onemap.case_catalogue_current() AND n.category_code = a.category_code))), moment);
        c := onemap.case_open(c, 'system', 'cityhub', '{}', about || jsonb_build_object('title', c.title, 'description', c.description,
            'subsystem', a.subsystem, 'vendor', a.vendor, 'device_code', a.code));
    END IF;
    INSERT INTO onemap.case_alarm (alarm_id, case_id, seq) VALUES ($1, c.id, c.event_count);
END $$;
COMMENT ON FUNCTION onemap.case_from_alarm(bigint) IS 'Attaches an alarm to the open case of its device and category, or opens one under the category''s first condition';

CREATE FUNCTION onemap.case_alarm_ended(alarm_id bigint) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE a onemap.alarm; c onemap.case_record; noted int := 0;
BEGIN
    SELECT * INTO a FROM onemap.alarm x WHERE x.id = $1;
    SELECT r.* INTO c FROM onemap.case_alarm l JOIN onemap.case_record r ON r.id = l.case_id WHERE l.alarm_id = $1 FOR NO KEY UPDATE OF r;
    IF c.ended_at IS NULL THEN
        c := onemap.case_apply(c, 'attach', 'system', 'cityhub', greatest(clock_timestamp(), c.last_event_at), jsonb_build_object('alarm_closed',
            jsonb_strip_nulls(jsonb_build_object('id', a.id, 'closed_at', a.closed_at, 'value', a.closing_value, 'reason', a.close_reason))), '=');
        noted := c.event_count;
    END IF;
    UPDATE onemap.case_alarm l SET close_seq = noted WHERE l.alarm_id = $1;
END $$;
COMMENT ON FUNCTION onemap.case_alarm_ended(bigint) IS 'Notes in the case that an alarm of it has ended; the case stays open: people check';

CREATE FUNCTION onemap.case_alarm_sweep() RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE x record; done int := 0; strange text;
BEGIN
    IF onemap.case_catalogue_current() IS NULL THEN
        RETURN 0;
    END IF;
    FOR x IN SELECT a.id, a.device_id FROM onemap.alarm a JOIN onemap.alarm_rule r ON r.id = a.rule_id
             JOIN onemap.case_category k ON k.version = onemap.case_catalogue_current() AND k.code = r.category_code
             JOIN onemap.device d ON d.id = a.device_id
             WHERE a.closed_at IS NULL AND NOT EXISTS (SELECT FROM onemap.case_alarm l WHERE l.alarm_id = a.id)
             ORDER BY a.opened_at, a.id LOOP
        PERFORM onemap.case_from_alarm(x.id);
        done := done + 1;
    END LOOP;
    FOR x IN SELECT l.alarm_id FROM onemap.case_alarm l JOIN onemap.alarm a ON a.id = l.alarm_id
             WHERE l.close_seq IS NULL AND a.closed_at IS NOT NULL ORDER BY a.closed_at, a.id LOOP
        PERFORM onemap.case_alarm_ended(x.alarm_id);
        done := done + 1;
    END LOOP;
    SELECT string_agg(DISTINCT r.subsystem || '.' || r.key || ' (' || r.category_code || ')', ', ') INTO strange
    FROM onemap.alarm a JOIN onemap.alarm_rule r ON r.id = a.rule_id
    WHERE a.closed_at IS NULL AND r.category_code IS NOT NULL AND NOT EXISTS (SELECT FROM onemap.case_category k
        WHERE k.version = onemap.case_catalogue_current() AND k.code = r.category_code);
    IF strange IS NOT NULL THEN
        RAISE WARNING 'alarms of rules whose category the catalogue does not have make no cases: %', strange;
    END IF;
    RETURN done;
END $$;
COMMENT ON FUNCTION onemap.case_alarm_sweep() IS
    'Open alarms whose rule has a category become cases: one open case per device and category, repeated alarms attach to it, their ends are noted; returns the alarms treated';
INSERT INTO onemap.sweep (function_name) VALUES ('case_alarm_sweep');

-- ---- warnings and new calendars ----

CREATE FUNCTION onemap.case_warning_sweep() RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE given jsonb; total int;
BEGIN
    WITH due AS (
        SELECT c.id, c.code, k.kind, k.deadline_at
        FROM onemap.case_record c, LATERAL (VALUES
            ('due_soon', c.deadline_at, c.clock_started_at IS NOT NULL AND c.warn_at <= now() AND c.deadline_at > now()),
            ('overdue', c.deadline_at, c.clock_started_at IS NOT NULL AND c.deadline_at <= now()),
            ('stage_overdue', c.stage_deadline_at, c.stage_deadline_at <= now())) AS k (kind, deadline_at, holds)
        WHERE c.ended_at IS NULL AND k.holds
    ), added AS (
        INSERT INTO onemap.case_warning (case_id, kind, deadline_at) SELECT d.id, d.kind, d.deadline_at FROM due d
        ON CONFLICT DO NOTHING RETURNING case_id, kind
    ) SELECT jsonb_agg(jsonb_build_object('case', c.code, 'warning', a.kind) ORDER BY a.case_id, a.kind), count(*) INTO given, total
      FROM added a JOIN onemap.case_record c ON c.id = a.case_id;
    IF total > 0 THEN
        -- A payload has room for 8000 bytes; who wants all reads case_warning.
        PERFORM pg_notify('cityhub_cases', jsonb_build_object('warnings', total, 'first', given->0)::text);
    END IF;
    RETURN total;
END $$;
COMMENT ON FUNCTION onemap.case_warning_sweep() IS
    'Gives the warnings that are due, once per case, kind and deadline: due_soon, overdue, stage_overdue; returns how many';
INSERT INTO onemap.sweep (function_name) VALUES ('case_warning_sweep');

CREATE FUNCTION onemap.case_retime(source text) RETURNS int
LANGUAGE plpgsql SET search_path = pg_catalog, pg_temp AS $$
DECLARE c onemap.case_record; n onemap.case_record; changed int := 0;
BEGIN
    FOR c IN SELECT r.* FROM onemap.case_record r WHERE r.ended_at IS NULL AND r.state <> 'suspended' ORDER BY r.id FOR NO KEY UPDATE LOOP
        n := onemap.case_act(c, 'retime', '{}', c.last_event_at);
        IF (n.deadline_at, onemap.case_stage_deadline(n)) IS DISTINCT FROM (c.deadline_at, c.stage_deadline_at) THEN
            PERFORM onemap.case_apply(c, 'retime', 'system', 'cityhub', greatest(clock_timestamp(), c.last_event_at),
                                      jsonb_build_object('reason', coalesce(nullif($1, ''), 'calendar')), '=');
            changed := changed + 1;
        END IF;
    END LOOP;
    RETURN changed;
END $$;
COMMENT ON FUNCTION onemap.case_retime(text) IS
    'After a change of calendar or office hours: open cases whose deadline or stage deadline is another now get it by an event retime, whose reason is the source; returns how many. A suspended case needs none: its deadline follows when it resumes';

-- ---- the journal's check and seals ----

CREATE FUNCTION onemap.case_chain_check(code text DEFAULT NULL) RETURNS TABLE (case_code text, seq int, problem text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    WITH e AS (
        SELECT x.*, row_number() OVER w AS place, lag(x.hash) OVER w AS hash_before, lag(x.at) OVER w AS at_before,
               lag(x.to_state) OVER w AS state_before, onemap.case_event_hash(x) AS hash_now
        FROM onemap.case_event x
        WHERE $1 IS NULL OR x.case_id = (SELECT r.id FROM onemap.case_record r WHERE r.code = $1)
        WINDOW w AS (PARTITION BY x.case_id ORDER BY x.seq)
    ), last AS (
        SELECT DISTINCT ON (e.case_id) e.* FROM e ORDER BY e.case_id, e.seq DESC
    ), n AS (
        SELECT e.case_code, e.seq, e.hash <> e.hash_now AS changed, e.place <> e.seq AS gap,
               e.previous_hash <> coalesce(e.hash_before, decode(repeat('00', 32), 'hex')) AS unchained, e.at < e.at_before AS backward,
               e.from_state IS DISTINCT FROM e.state_before AS jumped,
               NOT CASE WHEN e.action = 'report' THEN e.seq = 1 AND e.to_state = 'reported'
                        ELSE EXISTS (SELECT FROM onemap.case_transition t WHERE t.action = e.action AND t.role = e.role
                            AND t.from_state = e.from_state AND (t.to_state IN (e.to_state, '<') OR t.to_state = '=' AND e.to_state = e.from_state)) END AS lawless
        FROM e
    )
    SELECT n.case_code, n.seq, p.problem FROM n, LATERAL (VALUES
        (n.changed, 'the event is not what its hash says'), (n.unchained, 'the event does not follow from the one before it'),
        (n.gap, 'an event before this one is missing'), (n.backward, 'the event is before the one before it'),
        (n.jumped, 'the event begins in another state than the one before it ended in'),
        (n.lawless, 'the state machine has no such transition')) AS p (holds, problem) WHERE p.holds
    UNION ALL
    SELECT coalesce(r.code, l.case_code), coalesce(l.seq, 0), CASE
        WHEN l.case_id IS NULL THEN 'the case has no events' WHEN r.id IS NULL THEN 'the case of these events is missing'
        ELSE 'the case is not what its last event left' END
    FROM (SELECT x.* FROM onemap.case_record x WHERE $1 IS NULL OR x.code = $1) r FULL JOIN last l ON l.case_id = r.id
    WHERE (r.last_hash, r.event_count, r.state, r.last_event_at, r.category_code, r.deadline_at, r.grid_cell) IS DISTINCT FROM
          (l.hash, l.seq, l.to_state, l.at, l.category, l.deadline_at, l.grid_cell)
    ORDER BY 1, 2, 3
$$;
COMMENT ON FUNCTION onemap.case_chain_check(text) IS 'Whatever does not fit in the journal of one case, or of all: hashes, order, transitions, and the case against its last event; no rows = whole';
GRANT EXECUTE ON FUNCTION onemap.case_chain_check(text) TO cityhub_api, cityhub_hub, cityhub_read;

CREATE FUNCTION onemap.case_seal_hash(previous bytea, after_id bigint, through bigint, OUT events bigint, OUT hash bytea)
LANGUAGE sql STABLE AS $$
    SELECT count(*), sha256(previous || coalesce(string_agg(onemap.case_event_hash(e) || int8send(e.id), ''::bytea ORDER BY e.id), ''))
    FROM onemap.case_event e WHERE e.id > after_id AND e.id <= through
$$;
COMMENT ON FUNCTION onemap.case_seal_hash(bytea, bigint, bigint) IS
    'SHA-256 over the previous seal''s hash and, for each event by id, its hash as recomputed and its id (8 bytes, most significant first)';

CREATE FUNCTION onemap.case_seal_put(through bigint) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE s onemap.case_seal; n record;
BEGIN
    LOCK TABLE onemap.case_seal IN SHARE ROW EXCLUSIVE MODE;
    SELECT * INTO s FROM onemap.case_seal x ORDER BY x.id DESC LIMIT 1;
    IF NOT FOUND THEN
        s.through_id := 0;
        s.hash := decode(repeat('00', 32), 'hex');
    END IF;
    SELECT * INTO n FROM onemap.case_seal_hash(s.hash, s.through_id, through);
    IF n.events = 0 THEN
        RETURN jsonb_build_object('sealed', false, 'through_id', s.through_id, 'hash', encode(s.hash, 'hex'));
    END IF;
    INSERT INTO onemap.case_seal (through_id, events, previous_hash, hash) VALUES (through, n.events, s.hash, n.hash);
    RETURN jsonb_build_object('sealed', true, 'through_id', through, 'events', n.events, 'hash', encode(n.hash, 'hex'));
END $$;
COMMENT ON FUNCTION onemap.case_seal_put(bigint) IS 'Seals the events after the last seal up to an id, below which none can come any more';

CREATE FUNCTION onemap.case_seal_now() RETURNS jsonb
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    -- Waits for the transactions that are adding events, so that none can come below the last id.
    LOCK TABLE onemap.case_event IN SHARE MODE;
    RETURN onemap.case_seal_put((SELECT coalesce(max(e.id), 0) FROM onemap.case_event e));
END $$;
COMMENT ON FUNCTION onemap.case_seal_now() IS 'Seals the whole journal at once: {sealed, through_id, events, hash}; holds up transitions until it commits';
GRANT EXECUTE ON FUNCTION onemap.case_seal_now() TO cityhub_api, cityhub_hub;

CREATE FUNCTION onemap.case_seal_sweep() RETURNS int
LANGUAGE plpgsql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
DECLARE due onemap.case_seal_due;
BEGIN
    -- In two steps, so that nobody waits: first the last id is noted; once every transaction that ran then has ended, no
    -- event can come below it, and it is sealed. (An event draws its id after its transaction has its own number.)
    SELECT * INTO due FROM onemap.case_seal_due FOR UPDATE;
    IF FOUND AND pg_snapshot_xmin(pg_current_snapshot()) >= due.settled_at THEN
        DELETE FROM onemap.case_seal_due;
        PERFORM onemap.case_seal_put(due.through_id);
        RETURN 1;
    ELSIF NOT FOUND AND NOT EXISTS (SELECT FROM onemap.case_seal s
            WHERE s.sealed_at > clock_timestamp() - make_interval(secs => 3600 * onemap.setting('case_seal_hours')::float8)) THEN
        INSERT INTO onemap.case_seal_due (through_id, settled_at)
        SELECT max(e.id), pg_snapshot_xmax(pg_current_snapshot()) FROM onemap.case_event e HAVING max(e.id) IS NOT NULL;
    END IF;
    RETURN 0;
END $$;
COMMENT ON FUNCTION onemap.case_seal_sweep() IS 'Seals the journal every case_seal_hours (setting) without holding anybody up; returns the seals made';
INSERT INTO onemap.sweep (function_name) VALUES ('case_seal_sweep');

CREATE FUNCTION onemap.case_seal_check() RETURNS TABLE (seal_id bigint, problem text)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS $$
    SELECT s.id, p.problem
    FROM (SELECT x.*, lag(x.hash, 1, decode(repeat('00', 32), 'hex')) OVER w AS hash_before, lag(x.through_id, 1, 0::bigint) OVER w AS through_before
          FROM onemap.case_seal x WINDOW w AS (ORDER BY x.id)) s
    CROSS JOIN LATERAL onemap.case_seal_hash(s.previous_hash, s.through_before, s.through_id) AS h
    CROSS JOIN LATERAL (VALUES (s.previous_hash <> s.hash_before, 'the seal does not follow from the one before it'),
        (h.events <> s.events, format('%s events where %s were sealed', h.events, s.events)),
        (h.hash <> s.hash, 'the events are not those that were sealed')) AS p (holds, problem)
    WHERE p.holds ORDER BY s.id, p.problem
$$;
COMMENT ON FUNCTION onemap.case_seal_check() IS 'Whatever of the journal is no longer as it was sealed; no rows = whole. Compare the last seal''s hash with the one published outside, too';
GRANT EXECUTE ON FUNCTION onemap.case_seal_check() TO cityhub_api, cityhub_hub, cityhub_read;
